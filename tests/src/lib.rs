//! What the tests across crates and languages share.

pub mod databases;
#[cfg(doctest)]
mod documentation;
pub mod parsers;
pub mod provider;
pub mod rotations;
pub mod scenario;
