#![doc = include_str!("../README.md")]

mod answers;
mod arn;
mod clock;
mod connection;
mod control;
mod engine;
mod error;
mod events;
mod export;
mod extension;
mod faults;
mod filter;
mod guard;
mod journal;
pub mod labels;
mod localstack;
mod log;
mod neighbours;
mod operations;
mod options;
mod page;
mod paging;
mod policy;
mod progress;
mod protocol;
mod replica;
mod replication;
mod requests;
mod rotation;
mod rotator;
mod secret;
mod seed;
mod server;
mod service;
mod stop;
mod store;
mod story;
mod tag;
mod time;
mod tls;
mod validate;
mod value;

pub use arn::Scope;
pub use engine::Calls;
pub use error::{ErrorCode, ServiceError};
pub use events::{Event, EventName};
pub use export::{ExportError, export_data, export_running};
pub use faults::{Effect, Fault};
pub use journal::DataError;
pub use log::Log;
pub use operations::{Call, Functions, Outcome, execute};
pub use options::{
    DEFAULT_EXTENSION_PORT, DEFAULT_HOST, DEFAULT_PORT, Extension, FunctionStrategy, FunctionVariable,
    Options, RotationOptions, ServerName, StandIn, StartError, Tls,
};
pub use replica::{CrossAccountReplica, Primary, Replica, ReplicationStatus};
pub use rotation::{Purpose, Rotation, RotationRules, RotationWindow, Underway};
pub use secret::{Secret, Version};
pub use server::{Handle, Server};
pub use store::{Change, Store};
pub use tag::Tag;
pub use time::Timestamp;
pub use value::SecretValue;
