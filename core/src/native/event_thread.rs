//! The thread that calls a program's listeners.

use std::cell::Cell;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::process::PerProcess;
use super::runtime::spawn_thread;

/// `None` once it was ended.
static THREAD: PerProcess<Mutex<Option<Running>>> = PerProcess::new();

thread_local!(static IS_EVENT_THREAD: Cell<bool> = const { Cell::new(false) });

type Task = Box<dyn FnOnce() + Send>;

struct Running {
    tasks: Sender<Task>,
    /// Hangs up when the thread ends.
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

/// Runs `task` on the events thread, one after the other, in order; the thread starts with the first.
///
/// For bindings that hand events to programs: neither the runtime, which must go on, nor a reader, who may be far away
/// or hold locks, should run a program's callbacks. If no thread can be started, or after [`end_event_thread`], the task
/// is dropped.
pub fn run_on_event_thread(task: impl FnOnce() + Send + 'static) {
    let Ok(thread) = THREAD.get_or_try_make(|| Running::start().map(|running| Mutex::new(Some(running))))
    else {
        return;
    };
    let tasks = lock(thread).as_ref().map(|running| running.tasks.clone());
    if let Some(tasks) = tasks {
        // A send fails only if the thread is gone; then there is nobody to tell.
        let _ = tasks.send(Box::new(task));
    }
}

/// Ends the events thread once it has done what it was given, and waits for that, at most for `patience`. A task of it may
/// call this: then nobody waits, and the thread ends after that task and those before it in the queue.
pub fn end_event_thread(patience: Duration) {
    let Ok(thread) = THREAD.get_or_try_make(|| Ok::<_, ()>(Mutex::new(None))) else { return };
    let Some(Running { tasks, end }) = lock(thread).take() else { return };
    drop(tasks);
    if !IS_EVENT_THREAD.get() {
        // It hangs up rather than sending anything, and is not waited for any longer than this.
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
