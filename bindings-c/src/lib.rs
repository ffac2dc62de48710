//! The C interface of secretcache. Its documentation is the header, `include/secretcache.h`, which is generated from
//! this crate.
//!
//! [`export`] generates every exported function: it checks the arguments, catches panics, and sets outputs only on
//! success. Nothing is decided here: a function converts its arguments, calls the core once, and converts the result.
#![deny(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    clippy::unwrap_used
)]

#[macro_use]
mod export;

mod arguments;

// In the order of the header.
pub mod process;

pub mod text;

pub mod error;

pub mod config;

pub mod events;

pub mod source;

pub mod cache;

pub mod value;

pub mod asynchronous;

pub mod connect;

pub mod watch;

pub mod stats;

pub mod callback;

pub mod ffi;

/// Wipes freed memory, because secrets also pass through the buffers of HTTP and TLS.
#[global_allocator]
static ALLOCATOR: secretcache::WipingAllocator = secretcache::WipingAllocator;
