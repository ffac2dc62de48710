//! Shared by the tests across crates and languages.

pub mod databases;
#[cfg(doctest)]
mod documentation;
pub mod parsers;
pub mod provider;
pub mod rotations;
pub mod scenario;
