//! The thread on which programs are told of things.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

use super::process::PerProcess;
use super::runtime::spawn_thread;

static THREAD: PerProcess<Mutex<Sender<Task>>> = PerProcess::new();

type Task = Box<dyn FnOnce() + Send>;

/// Runs `task` on the events thread, one after the other, in order; the thread starts with the first.
///
/// For bindings that hand events to programs: neither the runtime, which must go on, nor a reader, who may be far away
/// or hold locks, should run a program's callbacks. If no thread can be started the task is dropped.
pub fn run_on_event_thread(task: impl FnOnce() + Send + 'static) {
    let sender = THREAD.get_or_try_make(|| {
        let (sender, receiver): (_, Receiver<Task>) = channel();
        let run = move || receiver.into_iter().for_each(|task| task());
        spawn_thread("secretcache-events", run).map(|()| Mutex::new(sender))
    });
    if let Ok(sender) = sender {
        // A send fails only if the thread is gone; then there is nobody to tell.
        let _ = sender.lock().unwrap_or_else(PoisonError::into_inner).send(Box::new(task));
    }
}
