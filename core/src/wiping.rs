//! Memory that is wiped when it is given back.

use std::alloc::{GlobalAlloc, Layout, System};

/// The system's allocator, which wipes whatever is freed.
///
/// [`Secret`](crate::Secret) wipes its own bytes in any program. What passes through the HTTP client, TLS and the AWS SDK
/// on the way is theirs to free, and they do not wipe it. With this allocator those copies are wiped too. The packages for
/// Python, Node, C and C++ and the command have it for their own memory; a Rust program chooses it:
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: secretcache::WipingAllocator = secretcache::WipingAllocator;
/// # let secret = vec![1u8; 100];
/// # drop(secret);
/// ```
///
/// It costs the time to write each freed byte once, about 30 ms for each gigabyte, and buffers that grow are always moved.
/// Reads from memory free nothing and cost the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct WipingAllocator;

// SAFETY: everything is passed on to the system's allocator as it is. `realloc` is the trait's own: it allocates, copies,
// and frees by `dealloc`, so that a buffer that grows leaves nothing behind.
unsafe impl GlobalAlloc for WipingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: by contract of the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: by contract of the caller.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block is of that size and the caller's to give back. The barrier has the compiler believe that
        // somebody reads it before it is freed.
        unsafe {
            block.write_bytes(0, layout.size());
            zeroize::optimization_barrier(&*block);
            System.dealloc(block, layout);
        }
    }
}
