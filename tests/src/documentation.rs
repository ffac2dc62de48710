//! The Rust examples of the documentation, compiled as doctests.

#[doc = include_str!("../../access/README.md")]
struct Access;

#[doc = include_str!("../../core/README.md")]
struct Core;

#[doc = include_str!("../../docs/getting-started/rust.md")]
struct GettingStarted;

#[doc = include_str!("../../docs/security/memory.md")]
struct Memory;
