//! The scenarios: each makes a plan of its options and a seed. What is measured and judged is the
//! same for all of them.

pub(crate) mod options;
pub(crate) mod profile;
pub(crate) mod script;
pub(crate) mod show;
pub(crate) mod slow;
pub(crate) mod storm;
pub(crate) mod viewers;
