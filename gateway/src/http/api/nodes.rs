//! The gateways of the cluster, as this one knows them.

use axum::Json;
use axum::extract::State;
use broker_bridge::{Node, NodeState};
use serde::Serialize;

use crate::http::api::Api;

/// `{"nodes":[…]}`, in the order of their names.
#[derive(Serialize)]
pub(super) struct Nodes {
    nodes: Vec<NodeInfo>,
}

#[derive(Serialize)]
struct NodeInfo {
    node: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    public: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    admin: Option<String>,
    state: &'static str,
    connections: u32,
    rooms: u32,
    heard_ms: u64,
}

impl From<Node> for NodeInfo {
    fn from(node: Node) -> Self {
        let Node { boot, identity, load, heard_ms } = node;
        let node = boot.to_string();
        let named = !identity.name.is_empty();
        Self {
            name: if named { identity.name.as_ref().to_owned() } else { node.clone() },
            public: identity.public.map(|place| place.as_ref().to_owned()),
            admin: identity.admin.map(|place| place.as_ref().to_owned()),
            state: match load.state {
                NodeState::Ready => "ready",
                NodeState::Draining => "draining",
            },
            connections: load.connections,
            rooms: load.rooms,
            heard_ms,
            node,
        }
    }
}

pub(super) async fn all(State(api): State<Api>) -> Json<Nodes> {
    let mut nodes: Vec<NodeInfo> = api.broker.nodes().into_iter().map(NodeInfo::from).collect();
    nodes.sort_by(|a, b| (&a.name, &a.node).cmp(&(&b.name, &b.node)));
    Json(Nodes { nodes })
}
