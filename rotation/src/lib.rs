//! Rotation of AWS Secrets Manager secrets: the four-step contract as one state machine.
//!
//! [`Engine`] runs the steps `createSecret`, `setSecret`, `testSecret` and `finishSecret` over two ports: a
//! [`SecretStore`], and the [`Target`] or [`Provider`] whose credential rotates. A [`Strategy`] decides how the
//! credential changes. Nothing here reads a clock or generates random numbers: passwords come from the store, and
//! delays go through [`Pause`].
//!
//! Types that can gain members are `#[non_exhaustive]`. Three kinds are exhaustive on purpose. A release that adds to
//! them says so.
//!
//! - What an implementer of a port or a strategy constructs or destructures: [`SecretState`], [`VersionState`],
//!   [`Version`], [`Pending`], [`StageMove`], [`Change`], [`Requirements`], [`Key`], [`Guard`], [`Restored`].
//! - What a caller constructs to run something: [`Engine`], [`Event`], [`Runner`], [`operate::RotationContext`], and
//!   the four strategies.
//! - Enums whose every case a caller must handle: [`Step`], [`StepOutcome`], [`operate::Health`], [`operate::Outcome`].

mod administrator;
#[cfg(feature = "aws")]
mod aws;
mod context;
mod contract;
mod dependent;
mod details;
mod diagnosis;
mod document;
mod engine;
mod error;
mod event;
mod observer;
pub mod operate;
mod password;
#[cfg(any(feature = "aws", feature = "tls"))]
mod pause;
mod percent;
mod resource;
#[cfg(all(feature = "postgres", feature = "mysql", feature = "redis", feature = "http"))]
mod rotator;
mod runner;
mod schedule;
mod settings;
mod store;
mod strategy;
mod target;
#[cfg(feature = "tls")]
#[cfg_attr(
    not(all(feature = "postgres", feature = "mysql", feature = "redis", feature = "http")),
    allow(dead_code, unused_imports, reason = "what the drivers share is more than some of them use")
)]
pub mod targets;
mod token;

#[cfg(feature = "aws")]
pub use aws::AwsStore;
pub use context::{Context, Pair};
pub use contract::Driver;
pub use details::{Details, Rules};
pub use diagnosis::{Diagnosis, Finding, Requirements};
pub use document::Document;
pub use engine::{Engine, StepOutcome};
pub use error::{Error, ErrorKind};
pub use event::{Event, RotationToken, Step};
pub use observer::{Observer, Progress, Rotation, Unobserved};
pub use password::PasswordPolicy;
#[cfg(any(feature = "aws", feature = "tls"))]
pub use pause::RealPause;
pub use resource::{Resource, StrategyName, from_function};
#[cfg(all(feature = "postgres", feature = "mysql", feature = "redis", feature = "http"))]
pub use rotator::{Described, RotationOptions, Rotator, Verification};
pub use runner::Runner;
pub use schedule::{Schedule, Window};
pub use settings::{MasterHost, Settings};
pub use store::{
    BoxFuture, Moved, Pause, Pending, Put, SecretState, SecretStore, StageMove, Version, VersionState,
};
pub use strategy::{AlternatingUsers, ApiKey, DualPassword, Restored, SingleUser, Strategy};
pub use target::{Accounts, Applied, Change, Guard, Key, Lock, Probe, Provider, Target, UserStatus};
pub use token::derive_token;

/// Selects a version of a secret, by staging label or version id.
pub use secretcache::Selector;
