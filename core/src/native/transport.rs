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
    /// How long one request may take, in every Region together.
    pub(super) fn timeout(&self) -> Duration {
        match self {
            Self::Aws(options) => {
                let regions = u32::try_from(options.fallback_regions.len()).unwrap_or(u32::MAX);
                options.timeout.unwrap_or(TIMEOUT).saturating_mul(regions.saturating_add(1))
            }
            Self::Source(_, timeout) => *timeout,
        }
    }
}
