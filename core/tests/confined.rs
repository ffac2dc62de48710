//! A process that is not allowed to call `membarrier` any more, as under a seccomp filter set after the start.
#![cfg(all(target_os = "linux", target_pointer_width = "64", target_endian = "little"))]

use std::time::Duration;

use secretcache::host::{Answer, Cache, Lookup, Now};
use secretcache::{Config, Fetched, Selector};

/// Makes `membarrier` fail in this thread and those that it starts.
fn refuse_membarrier() {
    let number = u32::try_from(libc::SYS_membarrier).unwrap();
    let filter = [
        // Load the system call's number; return EPERM if it is that one, and allow it otherwise.
        libc::sock_filter { code: 0x20, jt: 0, jf: 0, k: 0 },
        libc::sock_filter { code: 0x15, jt: 0, jf: 1, k: number },
        libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: libc::SECCOMP_RET_ERRNO | libc::EPERM as u32 },
        libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW },
    ];
    let program = libc::sock_fprog { len: 4, filter: filter.as_ptr().cast_mut() };
    // SAFETY: both calls take numbers, and the program points to a filter that lives until the call returns.
    let set = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
    };
    assert!(set, "{}", std::io::Error::last_os_error());
    // SAFETY: the call takes only numbers.
    assert_eq!(unsafe { libc::syscall(libc::SYS_membarrier, 0, 0, 0) }, -1);
}

#[test]
fn s7_values_are_replaced_without_membarrier() {
    let cache = Cache::new(Config::default(), 7).unwrap();
    let mut now = Now::default().plus(Duration::from_secs(1));
    let fill = |version: &str, now: Now| {
        let (Lookup::Leader(permit, _) | Lookup::HitDue(_, permit)) =
            cache.lookup("db", Selector::CURRENT, now)
        else {
            panic!("no permit granted")
        };
        permit.complete(Ok(Answer::value(Fetched::string(version, version))), now);
    };
    fill("v0", now);
    refuse_membarrier();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for version in 1..200 {
                now = now.plus(Duration::from_secs(301));
                fill(&format!("v{version}"), now);
                let hit = cache.hit("db", Selector::CURRENT, now.coarse).unwrap();
                assert_eq!(hit.string().unwrap(), format!("v{version}"));
            }
        });
    });
}
