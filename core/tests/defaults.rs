//! The defaults are the same in every language; each one tests its own against the same table.

use std::time::Duration;

use secretcache::{AWSCURRENT, Config};
use serde_json::Value;

#[test]
fn the_defaults_are_those_of_the_table() {
    let table: Value = serde_json::from_str(include_str!("../../tests/defaults.json")).unwrap();
    let seconds = |name: &str| table[name].as_f64().map(Duration::from_secs_f64);
    let defaults = Config::default();
    assert_eq!(Some(defaults.ttl), seconds("refresh_interval_seconds"));
    assert_eq!(Some(defaults.max_wait), seconds("max_wait_seconds"));
    assert_eq!(defaults.max_stale, seconds("max_stale_seconds"));
    assert_eq!(Some(defaults.max_size as u64), table["max_size"].as_u64());
    assert_eq!(Some(defaults.stale_on_denied), table["stale_on_denied"].as_bool());
    #[cfg(feature = "aws")]
    assert_eq!(Some(secretcache::host::Options::FALLBACK_AFTER), seconds("fallback_after_seconds"));
    assert_eq!(Some(AWSCURRENT), table["version_stage"].as_str());

    let part = table["grace_of_interval"].as_f64().unwrap();
    let minute = Duration::from_secs(60);
    assert_eq!(defaults.grace(minute), minute.mul_f64(part));
    assert_eq!(Some(defaults.grace(Duration::from_secs(86_400))), seconds("longest_grace_seconds"));
}
