//! The brakes of this process, one for each endpoint.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};

use super::process::PerProcess;
use crate::cache::brake::Brake;

/// The most brakes kept. A program uses a few endpoints, and only tests use many.
const MOST: usize = 256;

static BRAKES: PerProcess<Mutex<HashMap<String, Brake>>> = PerProcess::new();

/// Returns this process's brake for an endpoint, by its URL; see
/// [`Cache::share_brake`](crate::host::Cache::share_brake).
pub fn brake_of(endpoint: &str) -> Brake {
    let Ok(brakes) = BRAKES.get_or_try_make(|| Ok::<_, Infallible>(Mutex::default()));
    let mut brakes = brakes.lock().unwrap_or_else(PoisonError::into_inner);
    if brakes.len() >= MOST {
        brakes.clear();
    }
    brakes.entry(endpoint.trim_end_matches('/').to_owned()).or_default().clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x3_caches_that_ask_one_endpoint_have_one_brake() {
        let brake = brake_of("https://secretsmanager.eu-central-1.amazonaws.com");
        assert!(brake.is(&brake_of("https://secretsmanager.eu-central-1.amazonaws.com/")));
        assert!(!brake.is(&brake_of("https://secretsmanager.eu-west-1.amazonaws.com")));
    }
}
