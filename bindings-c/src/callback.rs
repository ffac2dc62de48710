//! What a C program hands over to be called with.

use std::ffi::c_void;

/// Frees user data. It may run on any thread.
pub type Release = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// A pointer of the program's, and how it is freed once nothing will be called with it any more.
#[derive(Debug)]
pub(crate) struct UserData {
    pub(crate) pointer: *mut c_void,
    release: Release,
}

// SAFETY: the header says of every callback on which threads it runs; a program passes what may be used there.
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
            // SAFETY: the program gave both for this call, which is the last and only one.
            unsafe { release(self.pointer) };
        }
    }
}
