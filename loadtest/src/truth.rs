//! What was published, what every viewer got and was told, and whether the two agree.
//!
//! | file | what it holds |
//! | --- | --- |
//! | [`mark`] | what an event of this run carries in its text: its number and its intended time |
//! | [`digest`] | messages of a gateway, each understood once however many viewers get it |
//! | [`told`] | what such a message tells a viewer |
//! | [`ledger`] | what was published |
//! | [`life`] | which messages one viewer got, in order |
//! | [`account`] | the sums of a life |
//! | [`balance`] | the sums of one stretch of it, and what they prove |
//! | [`verdict`] | does it close? |
//! | [`judge`] | all lives of a process; equal ones are judged once |

pub(crate) mod account;
mod balance;
pub(crate) mod digest;
pub(crate) mod judge;
pub(crate) mod ledger;
pub(crate) mod life;
pub(crate) mod mark;
pub(crate) mod told;
pub(crate) mod verdict;
