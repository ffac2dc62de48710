//! Gives the shared library its name in the world, and keeps it loaded.

fn main() {
    let linux = std::env::var_os("CARGO_CFG_TARGET_OS").is_some_and(|system| system == "linux");
    if linux {
        // Until 1.0 every minor version may change the binary interface, so it is part of the name.
        let soname = concat!(
            "libsecretcache.so.",
            env!("CARGO_PKG_VERSION_MAJOR"),
            ".",
            env!("CARGO_PKG_VERSION_MINOR")
        );
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,{soname}");
        // Threads of ours may run when a program calls `dlclose`: the code must stay where it is.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
