//! The Rust examples of the documentation, compiled as doctests.

#[doc = include_str!("../../docs/getting-started/rust.md")]
struct GettingStarted;
