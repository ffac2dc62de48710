//! Threads for blocking calls, separate from those of the runtime.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::exhausted;
use super::process::PerProcess;
use super::threads::{blocking_threads, is_own_thread, mark_own_thread, spawn_thread};
use crate::error::{Error, ErrorKind};

/// Runs calls that may block, on at most as many threads as [`set_threads`](crate::host::set_threads) allows for blocking
/// work. Threads start when needed and end when idle.
///
/// Each source has its own pool. If its calls hang, it blocks only itself, and neither the runtime's host-name lookups
/// nor another source.
///
/// ```
/// let pool = secretcache::host::BlockingPool::default();
/// let (sender, receiver) = std::sync::mpsc::channel();
/// pool.run(move || sender.send(7).unwrap())?;
/// assert_eq!(receiver.recv(), Ok(7));
/// # Ok::<(), secretcache::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct BlockingPool(PerProcess<Arc<Shared>>);

/// How long a thread waits for more work.
const IDLE: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
}

#[derive(Default)]
struct Queue {
    tasks: VecDeque<Task>,
    threads: usize,
    idle: usize,
}

type Task = Box<dyn FnOnce() + Send>;

impl BlockingPool {
    /// Runs a call when a thread is free.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ResourceExhausted`] if there is no thread and none can be started.
    pub fn run(&self, task: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        let Ok(shared) = self.0.get_or_try_make(|| Ok::<_, Infallible>(Arc::default()));
        let unfinished = Unfinished::new();
        let mut queue = shared.lock();
        queue.tasks.push_back(Box::new(move || {
            let _unfinished = unfinished;
            task();
        }));
        if queue.tasks.len() > queue.idle && queue.threads < blocking_threads() {
            let worker = Arc::clone(shared);
            match spawn_thread("secretcache", move || worker.work()) {
                Ok(()) => queue.threads += 1,
                Err(_) if queue.threads > 0 => {} // a running thread will take the task
                Err(error) => {
                    queue.tasks.pop_back();
                    let text = exhausted::threads(&error).map_or_else(|| error.to_string(), str::to_owned);
                    let text = format!("cannot start a thread for the source: {text}");
                    return Err(Error::new(ErrorKind::ResourceExhausted, text));
                }
            }
        }
        shared.filled.notify_one();
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        // A source that blocked on its own cache would wait for itself.
        mark_own_thread();
        let mut queue = self.lock();
        loop {
            if let Some(task) = queue.tasks.pop_front() {
                drop(queue);
                // The panic hook has reported the panic; the thread continues with the other tasks.
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(task));
                queue = self.lock();
                continue;
            }
            queue.idle += 1;
            let (woken, wait) = self.filled.wait_timeout(queue, IDLE).unwrap_or_else(PoisonError::into_inner);
            queue = woken;
            queue.idle -= 1;
            if wait.timed_out() && queue.tasks.is_empty() {
                queue.threads -= 1;
                return;
            }
        }
    }
}

/// The number of unfinished calls in all pools of this process.
static COUNT: PerProcess<Arc<Count>> = PerProcess::new();

#[derive(Debug, Default)]
struct Count {
    unfinished: Mutex<usize>,
    none: Condvar,
}

/// A call in a pool, counted until it has ended or was dropped.
struct Unfinished(Arc<Count>);

impl Unfinished {
    fn new() -> Self {
        let Ok(count) = COUNT.get_or_try_make(|| Ok::<_, Infallible>(Arc::default()));
        *count.unfinished.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Self(Arc::clone(count))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let mut unfinished = self.0.unfinished.lock().unwrap_or_else(PoisonError::into_inner);
        *unfinished -= 1;
        if *unfinished == 0 {
            self.0.none.notify_all();
        }
    }
}

/// Waits until all calls have ended, at most for `patience`. A call in a pool does not wait, because it would wait for
/// itself.
pub(super) fn wait_for_calls(patience: Duration) {
    let Some(count) = COUNT.get().filter(|_| !is_own_thread()) else { return };
    let unfinished = count.unfinished.lock().unwrap_or_else(PoisonError::into_inner);
    // The result does not matter: the wait is over either way.
    let _ = count.none.wait_timeout_while(unfinished, patience, |unfinished| *unfinished > 0);
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn calls_that_hang_leave_another_pool_alone() {
        let (hung, free) = (BlockingPool::default(), BlockingPool::default());
        let (hold, held) = mpsc::channel::<()>();
        let held = Arc::new(Mutex::new(held));
        for _ in 0..2 * blocking_threads() {
            let held = Arc::clone(&held);
            hung.run(move || drop(held.lock().map(|held| held.recv()))).unwrap();
        }
        let (done, is_done) = mpsc::channel();
        free.run(move || done.send(()).unwrap()).unwrap();
        is_done.recv().unwrap();
        drop(hold);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the call must go on for a while after its answer")]
    fn a_call_is_waited_for_to_its_end_and_not_only_until_it_has_answered() {
        let pool = BlockingPool::default();
        let (answer, answered) = mpsc::channel();
        let (ended, has_ended) = mpsc::channel();
        pool.run(move || {
            answer.send(()).unwrap();
            thread::sleep(Duration::from_millis(100));
            ended.send(()).unwrap();
        })
        .unwrap();
        answered.recv().unwrap();
        wait_for_calls(Duration::from_secs(60));
        assert!(has_ended.try_recv().is_ok());
    }

    #[test]
    fn a_call_does_not_wait_for_itself() {
        let pool = BlockingPool::default();
        let (done, is_done) = mpsc::channel();
        pool.run(move || {
            wait_for_calls(Duration::from_secs(600));
            done.send(()).unwrap();
        })
        .unwrap();
        is_done.recv_timeout(Duration::from_secs(60)).unwrap();
    }

    #[test]
    fn a_panic_ends_its_own_call_alone() {
        let pool = BlockingPool::default();
        let (done, is_done) = mpsc::channel();
        for number in 0..10 {
            let done = done.clone();
            pool.run(move || {
                done.send(number).unwrap();
                assert!(number % 2 == 0, "a bug in the source");
            })
            .unwrap();
        }
        assert_eq!(is_done.iter().take(10).count(), 10);
    }
}
