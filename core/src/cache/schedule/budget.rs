//! What looks cost: one account for all secrets of a cache.

/// What plain refreshing looks after, on average, in times to live.
pub(super) const PLAIN: f64 = 0.75;

/// Looks saved so far, of those that plain refreshing would have made. Whoever looks less often saves, for all secrets;
/// whoever looks more often spends. Only secrets with a schedule do either.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    saved: f64,
}

impl Budget {
    pub(super) fn saved(&self) -> f64 {
        self.saved
    }

    pub(super) fn is_empty(&self) -> bool {
        self.saved <= 0.0
    }

    /// A look, so many times to live after the last one.
    pub(super) fn enter(&mut self, distance: f64) {
        self.saved += distance / PLAIN - 1.0;
    }

    pub(super) fn spend(&mut self, looks: f64) {
        self.saved -= looks;
    }
}
