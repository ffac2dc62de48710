//! Callbacks of a C program, and their user data.

use std::ffi::c_void;

/// Frees user data. It may run on any thread.
pub type Release = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// A pointer of the program, and the function that frees it after the last callback.
#[derive(Debug)]
pub(crate) struct UserData {
    pub(crate) pointer: *mut c_void,
    release: Release,
}

// SAFETY: the header says for every callback on which threads it runs, so the program passes data that can be used
// there.
unsafe impl Send for UserData {}
// SAFETY: as above.
unsafe impl Sync for UserData {}

impl UserData {
    pub(crate) fn new(pointer: *mut c_void, release: Release) -> Self {
        Self { pointer, release }
    }
}

impl Drop for UserData {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: the program passed both for this call, which happens once, after all others.
            unsafe { release(self.pointer) };
        }
    }
}
