//! Server processes, and the programs that talk to them.
#![expect(
    clippy::disallowed_methods,
    reason = "a server that never gets ready must be noticed: there is a clock"
)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use super::folder::Folder;

/// How long a server can take to start or to stop: machines that run tests are busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    stop: libc::c_int,
    log: PathBuf,
}

impl Process {
    /// Starts a server. `stop` is the signal that stops it at once.
    pub(super) fn start(mut command: Command, stop: libc::c_int, folder: &Folder) -> Result<Self, String> {
        let log = folder.join("log");
        let file = fs::File::create(&log).map_err(|error| error.to_string())?;
        let errors = file.try_clone().map_err(|error| error.to_string())?;
        command.stdin(Stdio::null()).stdout(file).stderr(errors);
        let program = command.get_program().to_owned();
        let child = spawn(command, stop).map_err(|error| format!("{}: {error}", program.display()))?;
        Ok(Self { child, stop, log })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn until_ready(&mut self, is_ready: impl Fn() -> bool) -> Result<(), String> {
        let start = Instant::now();
        while !is_ready() {
            let ended = self.child.try_wait().map_err(|error| error.to_string())?;
            if ended.is_some() || start.elapsed() > PATIENCE {
                let log = fs::read_to_string(&self.log).unwrap_or_default();
                return Err(format!("the server did not get ready ({ended:?}); it said:\n{log}"));
            }
            thread::park_timeout(Duration::from_millis(50));
        }
        Ok(())
    }

    fn signal(&self, signal: libc::c_int) {
        if let Ok(id) = libc::pid_t::try_from(self.child.id()) {
            // SAFETY: sends a signal to a child that has not been waited for, so that its id is still its own.
            unsafe { libc::kill(id, signal) };
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        self.signal(self.stop);
        let start = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if start.elapsed() > PATIENCE {
                self.signal(libc::SIGKILL);
                let _ = self.child.wait();
            }
            thread::park_timeout(Duration::from_millis(10));
        }
    }
}

/// Starts a program that receives `stop` when this process ends, for any reason.
///
/// The kernel sends that signal when the thread that started the program ends. Test threads come and go, so one
/// permanent thread starts all programs.
fn spawn(mut command: Command, stop: libc::c_int) -> std::io::Result<Child> {
    type Job = (Command, Sender<std::io::Result<Child>>);
    static STARTER: OnceLock<Mutex<Sender<Job>>> = OnceLock::new();
    #[cfg(target_os = "linux")]
    // SAFETY: `prctl` is safe to call between fork and exec.
    unsafe {
        command.pre_exec(move || {
            libc::prctl(libc::PR_SET_PDEATHSIG, stop);
            Ok(())
        });
    }
    #[cfg(not(target_os = "linux"))]
    let _ = stop;
    let starter = STARTER.get_or_init(|| {
        let (sender, jobs) = channel::<Job>();
        thread::spawn(move || {
            for (mut command, answer) in jobs {
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(sender)
    });
    let (answer, child) = channel();
    let gone = |_| std::io::Error::other("the starting thread is gone");
    let starter = starter.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    starter.send((command, answer)).map_err(|_| std::io::Error::other("the starting thread is gone"))?;
    child.recv().map_err(gone)?
}

/// A command that runs as the servers' user, in the folder, without this process's environment.
pub(super) fn command(program: &Path, folder: &Folder) -> Command {
    let mut command = client(program);
    // Servers that share a folder for temporary files would delete each other's.
    command.current_dir(folder.path()).env("TMPDIR", folder.path());
    if let Some((user, group)) = unprivileged() {
        command.uid(user).gid(group);
    }
    command
}

/// A command without this process's environment.
pub(super) fn client(program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C");
    command
}

/// Runs a program to completion.
pub(super) fn run(mut command: Command) -> Result<Output, String> {
    let program = command.get_program().to_owned();
    command.stdin(Stdio::null()).output().map_err(|error| format!("{}: {error}", program.display()))
}

/// Like [`run`], but a failed exit is an error.
pub(super) fn succeed(command: Command) -> Result<(), String> {
    let program = command.get_program().to_owned();
    let output = run(command)?;
    if output.status.success() { Ok(()) } else { Err(format!("{}: {}", program.display(), said(&output))) }
}

/// Returns a program's output from both streams.
pub(super) fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat()
}

/// Returns the first of these files that exists.
///
/// # Errors
///
/// What to install.
pub(super) fn find<P: AsRef<OsStr>>(places: &[P], install: &str) -> Result<PathBuf, String> {
    let found = places.iter().map(Path::new).find(|path| path.exists());
    found.map(Path::to_path_buf).ok_or_else(|| {
        let name = places.first().map_or_else(Default::default, |place| place.as_ref().to_string_lossy());
        format!("{name} is missing; {install}")
    })
}

/// Returns the user and group that servers run as if the tests run as root, which most servers refuse: those of
/// `nobody`.
pub(super) fn unprivileged() -> Option<(u32, u32)> {
    // SAFETY: `geteuid` cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let nobody = users.lines().find(|line| line.starts_with("nobody:")).unwrap_or("nobody:x:65534:65534");
    let mut numbers = nobody.split(':').skip(2).filter_map(|field| field.parse().ok());
    Some((numbers.next()?, numbers.next()?))
}
