//! Sets the name of the shared library (its soname), and keeps it loaded.

use std::io::{self, Write};

fn main() -> io::Result<()> {
    let mut cargo = io::stdout().lock();
    writeln!(cargo, "cargo::rerun-if-changed=build.rs")?;
    if target_is_linux() {
        // Before 1.0, every minor version can change the binary interface, so it is part of the name.
        let series = concat!(env!("CARGO_PKG_VERSION_MAJOR"), ".", env!("CARGO_PKG_VERSION_MINOR"));
        writeln!(cargo, "cargo::rustc-cdylib-link-arg=-Wl,-soname,libsecretcache.so.{series}")?;
        // The library's threads can still run when a program calls `dlclose`, so the code must stay loaded.
        writeln!(cargo, "cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete")?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "how cargo passes the target to build scripts")]
fn target_is_linux() -> bool {
    std::env::var_os("CARGO_CFG_TARGET_OS").is_some_and(|system| system == "linux")
}
