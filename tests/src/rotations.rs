//! Rotations on real servers, observed from outside: killed at every effect, repeated a thousand times, measured.
//!
//! A rotation under test runs as its own process (`secretcache-rotate-once`), or as a runner in this one. Either way
//! its connections go through relays that understand the protocols. A relay sees every message that can change
//! something, and holds the message or its response until the test has made its checks. So nothing here depends on
//! timing.

mod lane;
mod matrix;
mod message;
mod overhead;
mod relay;
mod resource;
mod resources;
mod row;
mod secrets;
mod witness;

pub use matrix::{Cell, Matrix, Summary, matrix};
pub use overhead::{Overhead, overhead};
pub use resource::{Kind, Subject};
pub use row::{Row, in_a_row};
pub use secrets::{connect_options, rotate};
