//! Gives the shared library its name in the world, and keeps it loaded.

use std::io::{self, Write};

fn main() -> io::Result<()> {
    let mut cargo = io::stdout().lock();
    writeln!(cargo, "cargo::rerun-if-changed=build.rs")?;
    if target_is_linux() {
        // Until 1.0 every minor version may change the binary interface, so it is part of the name.
        let series = concat!(env!("CARGO_PKG_VERSION_MAJOR"), ".", env!("CARGO_PKG_VERSION_MINOR"));
        writeln!(cargo, "cargo::rustc-cdylib-link-arg=-Wl,-soname,libsecretcache.so.{series}")?;
        // Threads of ours may run when a program calls `dlclose`: the code must stay where it is.
        writeln!(cargo, "cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete")?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "how cargo tells build scripts of the target")]
fn target_is_linux() -> bool {
    std::env::var_os("CARGO_CFG_TARGET_OS").is_some_and(|system| system == "linux")
}
