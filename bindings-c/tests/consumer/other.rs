//! Another static library that was written in Rust: it has the standard library in it, and unwinds.

/// Whether a panic of its own is caught.
#[unsafe(no_mangle)]
pub extern "C" fn other_catches() -> bool {
    std::panic::set_hook(Box::new(|_| {}));
    std::panic::catch_unwind(|| std::panic::panic_any(1)).is_err()
}
