//! Another static library written in Rust: it contains the standard library, and unwinds.

/// Returns whether this library catches its own panic.
#[unsafe(no_mangle)]
pub extern "C" fn other_catches() -> bool {
    std::panic::set_hook(Box::new(|_| {}));
    std::panic::catch_unwind(|| std::panic::panic_any(1)).is_err()
}
