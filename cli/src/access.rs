//! The commands that look at who can read a secret: arguments in, text and exit status out.

mod audit;
pub(crate) mod obtain;
mod render;
mod values;
mod who;

pub(crate) use audit::Audit;
pub(crate) use who::Access;
