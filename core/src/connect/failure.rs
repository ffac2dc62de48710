//! How an attempt to connect failed.

use std::fmt;

use crate::error::{Error, Retry};
use crate::id::Stage;

/// A version whose login was refused.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RejectedVersion {
    /// Its staging label.
    pub version_stage: Stage,
    /// Its id.
    pub version_id: String,
    /// How often it was refused in this attempt; zero if it was refused earlier and not tried again.
    pub times: u32,
}

impl fmt::Display for RejectedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.version_stage, self.version_id)?;
        match self.times {
            0 => f.write_str(", refused before"),
            1 => Ok(()),
            times => write!(f, ", {times} times"),
        }
    }
}

/// Why the attempt did not connect.
#[derive(Clone, Debug)]
pub enum ConnectFailure {
    /// The login was refused with every version that could be tried.
    Rejected {
        /// A message that names the secret and the versions that were tried.
        text: String,
        /// The versions that were refused, in order.
        tried: Vec<RejectedVersion>,
    },
    /// The secret could not be read, or a login did not finish.
    Secret(Error),
}

impl ConnectFailure {
    /// Whether a retry may help soon. After refusals it may: the next step of a rotation makes a version work.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Rejected { .. } => Retry::Later,
            Self::Secret(error) => error.retry(),
        }
    }
}

/// Formats one sentence about the versions that were refused.
pub(crate) fn rejection(secret_id: &str, tried: &[RejectedVersion]) -> String {
    let tried: Vec<_> = tried.iter().map(ToString::to_string).collect();
    format!("every version of secret {secret_id:?} was refused ({})", tried.join("; "))
}
