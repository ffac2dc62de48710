//! State that must not outlive a fork, when several threads of the child request it at the same time.

use std::sync::Arc;

use shuttle::thread;

mod sync {
    pub(crate) use shuttle::sync::atomic;
}

#[expect(dead_code, reason = "the seed is not asked for here")]
#[path = "../../../core/src/native/process.rs"]
mod process;

struct SystemClock;

impl SystemClock {
    fn now() -> secretcache::host::Now {
        secretcache::host::Now::default()
    }
}

#[test]
fn all_threads_of_one_process_get_one_value_and_those_of_its_child_another() {
    let test = || {
        let value: Arc<process::PerProcess<usize>> = Arc::default();
        let race = |value: &Arc<process::PerProcess<usize>>, least: usize| {
            let threads: Vec<_> = (least..least + 3)
                .map(|number| {
                    let value = Arc::clone(value);
                    thread::spawn(move || *value.get_or_try_make(|| Ok::<_, ()>(number)).expect("it is made"))
                })
                .collect();
            let got: Vec<_> = threads.into_iter().map(|thread| thread.join().expect("no panic")).collect();
            assert!(got.iter().all(|one| *one == got[0] && *one >= least), "{got:?}");
            assert_eq!(value.get(), Some(&got[0]));
        };
        race(&value, 0);
        process::count_fork();
        assert_eq!(value.get(), None);
        race(&value, 10);
    };
    shuttle::check_random(test, 1_000);
    shuttle::check_pct(test, 1_000, 3);
}
