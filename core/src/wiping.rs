//! An allocator that wipes memory when it is freed.

use std::alloc::{GlobalAlloc, Layout, System};

/// The system allocator, with every block wiped when it is freed.
///
/// [`Secret`](crate::Secret) wipes its own bytes in any program. The HTTP client, TLS and the AWS SDK free the buffers
/// that it passes through without wiping them. With this allocator those copies are wiped too. The packages for Python,
/// Node, C and C++ and the command-line tool use it for their own memory; a Rust program opts in:
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: secretcache::WipingAllocator = secretcache::WipingAllocator;
/// # let secret = vec![1u8; 100];
/// # drop(secret);
/// ```
///
/// It costs the time to write each freed byte once, about 30 ms per gigabyte, and buffers that grow are always moved.
/// Cache hits free nothing and cost the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct WipingAllocator;

// SAFETY: every call is passed on unchanged to the system allocator. `realloc` is the trait's default: it allocates,
// copies, and frees with `dealloc`, so a buffer that grows leaves no copy behind.
unsafe impl GlobalAlloc for WipingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller upholds the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller upholds the contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller passes a live block of that size. The barrier makes the compiler assume that the zeros are
        // read before the block is freed.
        unsafe {
            block.write_bytes(0, layout.size());
            zeroize::optimization_barrier(&*block);
            System.dealloc(block, layout);
        }
    }
}
