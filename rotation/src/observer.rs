//! Watching a rotation as it goes.

use std::fmt::Debug;

use crate::engine::StepOutcome;
use crate::error::Error;
use crate::event::Step;

/// Is told what a [`Runner`](crate::Runner) does, for progress lines and metrics.
///
/// It is called between the effects of a rotation, so it should be quick, and it can change nothing.
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
    /// Something begins or has ended.
    fn notice(&self, progress: Progress<'_>);
}

/// What an [`Observer`] is told.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// The rotation to be run is known.
    Found(&'a Rotation),
    /// A step begins.
    StepBegins(Step),
    /// A step succeeded.
    StepDone(Step, StepOutcome),
    /// A step failed; what follows is another attempt or the end.
    StepFailed(Step, &'a Error),
    /// The rotation is run once more.
    Retrying {
        /// Which attempt it is; the first one is 1.
        attempt: u32,
    },
}

/// A rotation as a runner finds it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Rotation {
    /// The id of the version being rotated in.
    pub token: String,
    /// The id of the version that is current meanwhile.
    pub current: String,
    /// Whether it was begun before.
    pub is_resumed: bool,
}

/// Takes no notice.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn notice(&self, _: Progress<'_>) {}
}
