//! Who can read an AWS Secrets Manager secret, by which statement, and what to fix.
//!
//! Everything here works on a [`Snapshot`]: the configuration of an account, without any secret value. It comes from a
//! file, or from AWS with the `collect` feature.
//!
//! - [`Document`] is a policy document: identity, resource, key, endpoint, boundary, SCP or session policy.
//! - [`evaluate`](evaluate::evaluate) decides one request against all of them. It names the statement that decides, or
//!   the policy that is missing.
//! - [`checks`] find problems and say how to fix each.

pub mod audit;
mod audited;
pub mod checks;
#[cfg(feature = "collect")]
pub mod collect;
pub mod condition;
pub mod document;
pub mod evaluate;
mod event_pattern;
mod exposure;
mod filter_pattern;
mod finding;
mod fix;
pub mod pattern;
pub mod permissions;
pub mod policy;
pub mod reach;
mod service;
pub mod snapshot;

pub use document::{Document, Effect, Statement};
pub use snapshot::Snapshot;
