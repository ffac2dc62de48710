//! Explains which resource of the process or system has run out, and what to do.

use std::io;

/// For a thread that could not be started.
pub(super) fn threads(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        io::ErrorKind::WouldBlock => {
            Some("no threads left; raise the limit of processes (ulimit -u, or the container's pids limit)")
        }
        _ => resource(error),
    }
}

/// For anything else.
pub(super) fn resource(error: &io::Error) -> Option<&'static str> {
    #[cfg(unix)]
    match error.raw_os_error() {
        Some(libc::EMFILE) => {
            return Some(
                "no file descriptors left in this process; close some or raise the limit (ulimit -n)",
            );
        }
        Some(libc::ENFILE) => return Some("no file descriptors left in this system; raise fs.file-max"),
        Some(libc::ENOBUFS) => return Some("no memory left for network buffers"),
        _ => {}
    }
    (error.kind() == io::ErrorKind::OutOfMemory).then_some("no memory left")
}
