//! Values on a tape of simd-json, which lists all nodes of a text in order: a container is a node
//! that says how many nodes it holds, followed by them.

use simd_json::{Node, StaticNode, Tape};

/// A value: its node first, then the nodes in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value<'t, 'a>(&'t [Node<'a>]);

impl<'t, 'a> Value<'t, 'a> {
    /// The value that is the whole text.
    pub(super) fn root(tape: &'t Tape<'a>) -> Self {
        Self(&tape.0)
    }

    /// Nothing if it is `null`.
    pub(super) fn unless_null(self) -> Option<Self> {
        let is_null = matches!(self.0.first(), Some(Node::Static(StaticNode::Null)));
        (!is_null).then_some(self)
    }

    pub(super) fn text(self) -> Option<&'a str> {
        match self.0.first() {
            Some(Node::String(text)) => Some(text),
            _ => None,
        }
    }

    /// An integer that is not negative; 1.0 is none.
    pub(super) fn integer(self) -> Option<u64> {
        match self.0.first() {
            Some(Node::Static(StaticNode::U64(number))) => Some(*number),
            Some(Node::Static(StaticNode::I64(number))) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    pub(super) fn is_number(self) -> bool {
        matches!(
            self.0.first(),
            Some(Node::Static(StaticNode::U64(_) | StaticNode::I64(_) | StaticNode::F64(_)))
        )
    }

    /// The fields of an object.
    pub(super) fn fields(self) -> Option<impl Iterator<Item = (&'a str, Self)>> {
        let Some((Node::Object { .. }, nodes)) = self.0.split_first() else { return None };
        let mut values = Values(nodes);
        Some(std::iter::from_fn(move || Some((values.next()?.text()?, values.next()?))))
    }

    /// The items of an array.
    pub(super) fn items(self) -> Option<impl Iterator<Item = Self>> {
        let Some((Node::Array { .. }, nodes)) = self.0.split_first() else { return None };
        Some(Values(nodes))
    }
}

/// Values one after another.
struct Values<'t, 'a>(&'t [Node<'a>]);

impl<'t, 'a> Iterator for Values<'t, 'a> {
    type Item = Value<'t, 'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let nodes = match self.0.first()? {
            Node::Object { count, .. } | Node::Array { count, .. } => 1 + count,
            Node::String(_) | Node::Static(_) => 1,
        };
        let (value, rest) = self.0.split_at_checked(nodes)?;
        self.0 = rest;
        Some(Value(value))
    }
}
