//! Prints `docs/checks.md`: cargo run -p secretcache-access --example checks-page > docs/checks.md

use std::io::{self, Write};

fn main() -> io::Result<()> {
    io::stdout().lock().write_all(secretcache_access::checks::page().as_bytes())
}
