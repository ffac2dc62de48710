//! The servers and the provider that rotations are tested on.

mod keys;
mod mysql;
mod postgres;
mod redis;

pub(super) use keys::Keys;
pub(super) use mysql::MySql;
pub(super) use postgres::Postgres;
pub(super) use redis::Redis;

use secretcache_rotation::Document;

/// Returns a field of a secret that these tests wrote.
fn field(document: &Document, name: &str) -> Result<String, String> {
    document.require(name).map(|value| value.to_string()).map_err(|error| error.to_string())
}
