#![doc = include_str!("../README.md")]

mod arn;
mod clock;
mod connection;
mod control;
mod engine;
mod error;
mod faults;
mod filter;
mod journal;
pub mod labels;
mod operations;
mod options;
mod paging;
mod policy;
mod protocol;
mod secret;
mod server;
mod service;
mod store;
mod time;
mod tls;
mod validate;
mod value;

pub use arn::Place;
pub use engine::Calls;
pub use error::{ErrorCode, ServiceError};
pub use faults::{Effect, Fault};
pub use journal::DataError;
pub use operations::{Call, Outcome, execute};
pub use options::{DEFAULT_HOST, DEFAULT_PORT, Log, Options, StartError, Tls};
pub use secret::{Secret, Tag, Version};
pub use server::{Handle, Server};
pub use store::{Change, Store};
pub use time::Timestamp;
pub use value::SecretValue;
