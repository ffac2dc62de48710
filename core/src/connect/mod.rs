//! Staying connected through a rotation: decides which version to log in with, and remembers the resource's responses.

pub(crate) mod attempt;
pub(crate) mod credential;
pub(crate) mod failure;
pub(crate) mod history;
pub(crate) mod refusal;
