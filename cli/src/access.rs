//! The commands that report who can read a secret. They parse arguments, print results and return an exit status.

mod audit;
pub(crate) mod obtain;
mod render;
mod values;
mod who;

pub(crate) use audit::Audit;
pub(crate) use who::Access;
