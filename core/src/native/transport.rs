//! Where a cache gets its secrets from.

use std::sync::Arc;
use std::time::Duration;

use super::options::{Options, TIMEOUT};
use crate::source::SecretSource;

/// Where a cache gets its secrets from.
#[derive(Clone, Debug)]
pub(super) enum Transport {
    Aws(Arc<Options>),
    /// A program's own source, and how long one of its requests may take.
    Source(Arc<dyn SecretSource>, Duration),
}

impl Transport {
    /// How long one request may take.
    pub(super) fn timeout(&self) -> Duration {
        match self {
            Self::Aws(options) => options.timeout.unwrap_or(TIMEOUT),
            Self::Source(_, timeout) => *timeout,
        }
    }
}
