//! What the tests across crates and languages share.

pub mod databases;
pub mod provider;
pub mod rotations;
pub mod scenario;
