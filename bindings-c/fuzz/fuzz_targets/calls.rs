//! Calls of the whole C interface, in any order and with any arguments, as `tests/programs/fuzz.c` makes them of bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use secretcache_c as _;

unsafe extern "C" {
    fn fuzz_calls(data: *const u8, length: usize);
}

// SAFETY: there are so many bytes.
fuzz_target!(|data: &[u8]| unsafe { fuzz_calls(data.as_ptr(), data.len()) });
