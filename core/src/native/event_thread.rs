//! The thread that calls a program's listeners.

use std::cell::Cell;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::process::PerProcess;
use super::threads::spawn_thread;

/// `None` once it has been ended.
static THREAD: PerProcess<Mutex<Option<Running>>> = PerProcess::new();

thread_local!(static IS_EVENT_THREAD: Cell<bool> = const { Cell::new(false) });

type Task = Box<dyn FnOnce() + Send>;

struct Running {
    tasks: Sender<Task>,
    /// Disconnects when the thread ends.
    end: Mutex<Receiver<()>>,
}

impl Running {
    fn start() -> std::io::Result<Self> {
        let (tasks, work): (_, Receiver<Task>) = channel();
        let (alive, end) = channel::<()>();
        let run = move || {
            IS_EVENT_THREAD.set(true);
            work.into_iter().for_each(|task| task());
            drop(alive);
        };
        spawn_thread("secretcache-events", run)?;
        Ok(Self { tasks, end: Mutex::new(end) })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `task` on the event thread. Tasks run one after the other, in order; the first one starts the thread.
///
/// For bindings that pass events to programs. A program's callbacks should run neither on the runtime, which must not
/// be held up, nor on a reader's thread, which may hold locks. If no thread can be started, or after
/// [`end_event_thread`], the task is dropped.
pub fn run_on_event_thread(task: impl FnOnce() + Send + 'static) {
    let Ok(thread) = THREAD.get_or_try_make(|| Running::start().map(|running| Mutex::new(Some(running))))
    else {
        return;
    };
    let tasks = lock(thread).as_ref().map(|running| running.tasks.clone());
    if let Some(tasks) = tasks {
        // A send fails only if the thread is gone; then the task is dropped.
        let _ = tasks.send(Box::new(task));
    }
}

/// Ends the event thread after the tasks it already has, and waits for that, at most for `patience`. A task on the
/// thread can call this too: then nothing waits, and the thread ends after the tasks that are already queued.
pub fn end_event_thread(patience: Duration) {
    let Ok(thread) = THREAD.get_or_try_make(|| Ok::<_, ()>(Mutex::new(None))) else { return };
    let Some(Running { tasks, end }) = lock(thread).take() else { return };
    drop(tasks);
    if !IS_EVENT_THREAD.get() {
        // It disconnects without sending anything; after `patience`, the wait is over in any case.
        let _ = lock(&end).recv_timeout(patience);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn the_end_waits_for_what_was_given_and_drops_what_comes_later() {
        let done = Arc::new(AtomicUsize::new(0));
        for _ in 0..100 {
            let done = Arc::clone(&done);
            run_on_event_thread(move || {
                done.fetch_add(1, Ordering::Relaxed);
            });
        }
        end_event_thread(Duration::from_secs(60));
        assert_eq!(done.load(Ordering::Relaxed), 100);
        let late = Arc::clone(&done);
        run_on_event_thread(move || {
            late.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(Arc::strong_count(&done), 1, "the late task was kept");
        end_event_thread(Duration::from_secs(60));
    }
}
