//! Observing a rotation's progress.

use std::fmt::Debug;

use crate::engine::StepOutcome;
use crate::error::Error;
use crate::event::Step;

/// Receives the progress of a [`Runner`](crate::Runner), for progress lines and metrics.
///
/// It is called between the steps' side effects, so it should return quickly. It cannot influence the rotation.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use secretcache_rotation::{Observer, Progress};
///
/// #[derive(Debug, Default)]
/// struct Retries(AtomicU32);
///
/// impl Observer for Retries {
///     fn notice(&self, progress: Progress<'_>) {
///         if let Progress::Retrying { .. } = progress {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
/// ```
pub trait Observer: Debug + Send + Sync {
    /// Called when something starts or ends.
    fn notice(&self, progress: Progress<'_>);
}

/// A rotation's progress, as reported to an [`Observer`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// The rotation to run has been determined.
    Found(&'a Rotation),
    /// A step starts.
    StepBegins(Step),
    /// A step succeeded.
    StepDone(Step, StepOutcome),
    /// A step failed. Either a retry follows, or the rotation ends.
    StepFailed(Step, &'a Error),
    /// The rotation is being retried.
    Retrying {
        /// The number of the attempt that starts; the first run was 1.
        attempt: u32,
    },
}

/// A rotation that a runner has found in progress, or is about to start.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Rotation {
    /// The id of the version being rotated in.
    pub token: String,
    /// The id of the version that is current meanwhile.
    pub current: String,
    /// Whether it was already in progress.
    pub is_resumed: bool,
}

/// An observer that ignores everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn notice(&self, _: Progress<'_>) {}
}
