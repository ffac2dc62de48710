//! An order between the accesses of two threads for which only one of them pays.
//!
//! One side writes that it is here and looks whether the other one is; the other side does the same the other way round.
//! At least one of them must see the other, which processors do not promise of plain accesses. Usually both sides have
//! a fence between the two; here the side that is often there has none, [`light`], and the side that comes rarely has
//! the kernel run one on every processor that runs the process, [`heavy`]. Elsewhere than on Linux both have a fence.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// How it is done; not known before somebody has to know.
static WAY: AtomicU8 = AtomicU8::new(UNKNOWN);
const UNKNOWN: u8 = 0;
const FENCES: u8 = 1;
const KERNEL: u8 = 2;

/// Finds out how it is done. Must come before either side.
pub(crate) fn prepare() {
    if WAY.load(Relaxed) == UNKNOWN {
        WAY.store(if kernel::register() { KERNEL } else { FENCES }, Relaxed);
    }
}

/// Of the side that is often there.
#[inline]
pub(crate) fn light() {
    if WAY.load(Relaxed) == KERNEL {
        std::sync::atomic::compiler_fence(std::sync::atomic::Ordering::SeqCst);
    } else {
        fence();
    }
}

/// Of the side that comes rarely.
pub(crate) fn heavy() {
    if WAY.load(Relaxed) == KERNEL && !kernel::fence_everywhere() && !kernel::register_again() {
        // Taken away by a sandbox. Whoever has passed `light` meanwhile is seen as soon as its processor has written
        // out what it had in hand, which takes less than a microsecond.
        WAY.store(FENCES, Relaxed);
        std::thread::park_timeout(std::time::Duration::from_millis(1));
    }
    fence();
}

fn fence() {
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
}

/// `membarrier(2)`, commands "private expedited", since Linux 4.14.
#[cfg(target_os = "linux")]
mod kernel {
    const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;
    const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;

    pub(super) fn register() -> bool {
        membarrier(REGISTER_PRIVATE_EXPEDITED)
    }

    pub(super) fn fence_everywhere() -> bool {
        membarrier(PRIVATE_EXPEDITED)
    }

    /// For a forked child, should it not be registered as its parent was.
    pub(super) fn register_again() -> bool {
        register() && fence_everywhere()
    }

    fn membarrier(command: libc::c_int) -> bool {
        let (flags, cpu): (libc::c_uint, libc::c_int) = (0, 0);
        // SAFETY: these commands touch no memory of ours.
        unsafe { libc::syscall(libc::SYS_membarrier, command, flags, cpu) == 0 }
    }
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    pub(super) fn register() -> bool {
        false
    }

    pub(super) fn fence_everywhere() -> bool {
        false
    }

    pub(super) fn register_again() -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn one_of_two_sees_the_other() {
        const ROUNDS: usize = 20_000;
        prepare();
        let flags = [AtomicUsize::new(0), AtomicUsize::new(0)];
        let seen = [AtomicUsize::new(0), AtomicUsize::new(0)];
        let start = Barrier::new(2);
        let side = |mine: usize, barrier: fn()| {
            for round in 1..=ROUNDS {
                start.wait();
                flags[mine].store(round, Relaxed);
                barrier();
                seen[mine].store(flags[1 - mine].load(Relaxed), Relaxed);
                start.wait();
                assert!(seen.iter().any(|seen| seen.load(Relaxed) == round), "neither in round {round}");
                start.wait();
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| side(0, light));
            scope.spawn(|| side(1, heavy));
        });
    }
}
