//! Names and roles as others see them.

use std::sync::Arc;

use crate::ids::is_invisible;
use crate::limits::USER_NAME_CHARS_MAX;

/// A text without what is invisible, and without spaces around it.
pub fn visible(text: &str) -> String {
    let visible: String = text.chars().filter(|c| !is_invisible(*c)).collect();
    visible.trim().to_owned()
}

/// A name as it is shown: visible, and cut to [`USER_NAME_CHARS_MAX`] characters; `None` if
/// nothing is left of it. A name is for show only, so none is refused.
pub fn shown(name: &str) -> Option<Arc<str>> {
    let shown: String = visible(name).chars().take(USER_NAME_CHARS_MAX).collect();
    Some(shown.trim_end()).filter(|shown| !shown.is_empty()).map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_can_be_seen_of_it() {
        assert_eq!(shown(" 小\u{202e}明\n ").as_deref(), Some("小明"));
        assert_eq!(shown("a  b").as_deref(), Some("a  b"));
        let long = format!("{} x", "长".repeat(USER_NAME_CHARS_MAX - 1));
        assert_eq!(shown(&long).unwrap().chars().count(), USER_NAME_CHARS_MAX - 1);
        for nobody in ["", "  ", "\0\u{200b} \u{feff}"] {
            assert_eq!(shown(nobody), None);
        }
    }
}
