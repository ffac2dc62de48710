//! What operators do besides rotating a secret: dry runs, inspection, recovery, revocation, adoption, and bulk
//! rotation.
//!
//! Everything starts from a [`RotationContext`]: a secret, its strategy, and the [`Backend`] that its credential is
//! for.

mod adoption;
mod advice;
mod context;
mod deletion;
#[cfg(feature = "http")]
mod due;
mod forecast;
mod inspection;
mod recovery;
mod revocation;
mod shell;

pub use adoption::{Action, Adoption};
pub use advice::{Clients, Recommendation, Situation, recommend};
pub use context::{Backend, Login, RotationContext, VersionReport};
#[cfg(feature = "http")]
pub use due::{Due, Entry, Inventory, PasswordRules};
pub use forecast::{Forecast, StepForecast};
pub use inspection::{Health, Inspection, Outcome, Verdict};
pub use recovery::{Recovery, RecoveryMethod, RecoveryPlan};
pub use revocation::{Revocation, RevocationResult};
pub use shell::quoted;
