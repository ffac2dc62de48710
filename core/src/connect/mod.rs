//! Staying connected through a rotation: which version to log in with, and what the resource said to it.

pub(crate) mod attempt;
pub(crate) mod credential;
pub(crate) mod history;
pub(crate) mod refusal;
