//! Rotations on real servers, watched from outside: killed at every effect, repeated a thousand times, measured.
//!
//! A rotation under test is a process of its own (`secretcache-rotate-once`) or a runner in this one. Either way its
//! connections go by way of relays that know the protocols: they see every message that may change something, and hold
//! it, or its answer, until the test has looked around. So nothing here depends on how fast anything is.

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
