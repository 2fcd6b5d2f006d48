//! What is seen of the gateway and of ourselves from outside: processes and metrics.

pub(crate) mod process;
pub(crate) mod server;
