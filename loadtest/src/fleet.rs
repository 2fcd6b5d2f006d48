//! One run over several processes: a coordinator, which has the plan and the report, and workers,
//! which have the sockets. A process may have some 20,000 files open, so a large run needs many.
//!
//! ```text
//!  scenario ── plan ──▶ coordinator ── parts of the plan, start, begin, finish ──▶ workers
//!                            ▲  ◀── progress, what was published ────────────────── │
//!                            │  ── everything that was published ─────────────────▶ │
//!                         report ◀── figures, verdicts over every viewer ────────── │
//! ```
//!
//! They speak in lines of JSON over the worker's standard input and output.

pub(crate) mod coordinator;
pub(crate) mod messages;
pub(crate) mod worker;
