//! Log lines on standard output, written so that a reader that stops reading does not stop the server.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::terminal::harmless;

/// Writes a line to standard output at once, and ignores failures: a reader that has gone must not stop the server.
pub(crate) fn say(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{}", harmless(line)).and_then(|()| out.flush());
}

/// Passes lines to a writer thread, and waits until they are written, but not for long if nothing reads them.
pub(crate) struct Lines(Mutex<State>);

struct State {
    lines: SyncSender<String>,
    written: Receiver<()>,
    /// Lines passed to the writer and not written yet.
    waiting: usize,
    /// Lines dropped because the queue was full.
    lost: usize,
    /// Makes the line that reports how many were dropped.
    missing: fn(usize) -> String,
}

impl Lines {
    /// If the thread cannot be started.
    pub(crate) fn new(
        write: impl Fn(&str) + Send + 'static,
        missing: fn(usize) -> String,
    ) -> io::Result<Self> {
        let (lines, given) = sync_channel::<String>(MOST);
        let (done, written) = sync_channel(MOST + 2);
        let work = move || {
            for line in given {
                write(&line);
                let _ = done.send(());
            }
        };
        std::thread::Builder::new().name("log".to_owned()).spawn(work)?;
        Ok(Self(Mutex::new(State { lines, written, waiting: 0, lost: 0, missing })))
    }

    pub(crate) fn line(&self, line: &str) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.settle();
        // An earlier line has already waited for the reader.
        let is_stuck = state.waiting > 0;
        if !is_stuck && state.lost > 0 {
            let lost = std::mem::take(&mut state.lost);
            let line = (state.missing)(lost);
            state.give(line);
        }
        state.give(line.to_owned());
        while !is_stuck && state.waiting > 0 && state.written.recv_timeout(PATIENCE).is_ok() {
            state.waiting -= 1;
        }
    }
}

impl State {
    fn settle(&mut self) {
        while self.written.try_recv().is_ok() {
            self.waiting -= 1;
        }
    }

    fn give(&mut self, line: String) {
        match self.lines.try_send(line) {
            Ok(()) => self.waiting += 1,
            Err(_) => self.lost += 1,
        }
    }
}

const MOST: usize = 1024;
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_line_is_written_when_it_was_given() {
        let written = Arc::new(Mutex::new(Vec::new()));
        let lines = Lines::new(
            {
                let written = Arc::clone(&written);
                move |line| written.lock().unwrap().push(line.to_owned())
            },
            |lost| lost.to_string(),
        )
        .unwrap();
        for number in 0..100 {
            lines.line(&number.to_string());
            assert_eq!(written.lock().unwrap().len(), number + 1);
        }
    }

    #[test]
    fn a_reader_that_stops_stops_nobody_and_hears_what_it_missed() {
        let (allow, allowed) = channel::<()>();
        let (give, written) = channel();
        let lines = Lines::new(
            move |line| {
                let _ = allowed.recv();
                let _ = give.send(line.to_owned());
            },
            |lost| format!("{lost} are missing"),
        )
        .unwrap();
        for number in 0..MOST + 11 {
            lines.line(&number.to_string());
        }
        drop(allow);
        // One line was being written, and `MOST` were queued.
        let read: Vec<_> = (0..=MOST).map(|_| written.recv().unwrap()).collect();
        assert_eq!(read, (0..=MOST).map(|number| number.to_string()).collect::<Vec<_>>());
        let is_settled = || {
            let mut state = lines.0.lock().unwrap();
            state.settle();
            state.waiting == 0
        };
        while !is_settled() {
            std::thread::yield_now();
        }
        lines.line("later");
        assert_eq!(written.recv().unwrap(), "10 are missing");
        assert_eq!(written.recv().unwrap(), "later");
    }
}
