//! `credential_process`: runs a program of the user's that prints credentials.
//!
//! A library must not interfere with the children of its program. It installs no signal handler and leaves `SIGCHLD` as
//! the program set it, and it waits for its child by process id alone. If the program ignores `SIGCHLD`, or reaps every
//! child, the exit status is lost; then the child's output decides.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, future};
use aws_smithy_types::date_time::{DateTime, Format};
use serde::Deserialize;
use zeroize::Zeroizing;

/// The time limit for the program, which may have to ask its user in a browser.
const LONGEST: Duration = Duration::from_secs(120);
/// The most output accepted: credentials are never longer.
const MOST_OUTPUT: usize = 64 << 10;
/// The most characters quoted of the program's error output.
const MOST_QUOTED: usize = 400;

/// Runs the program each time credentials are needed.
pub(super) struct CredentialProcess {
    command: Vec<String>,
}

impl CredentialProcess {
    /// Parses the command. It is split into words as a POSIX shell does, and run without one, as botocore does.
    pub(super) fn new(command: &str) -> Result<Self, &'static str> {
        let words = shlex::split(command).filter(|words| !words.is_empty());
        let command = words.ok_or("has a credential_process that is empty or has an unclosed quote")?;
        Ok(Self { command })
    }

    async fn credentials(&self) -> provider::Result {
        let program = &self.command[0];
        let failed = |problem: String| {
            CredentialsError::provider_error(format!("credential_process {program:?} {problem}"))
        };
        let mut command = Command::new(program);
        command.args(&self.command[1..]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().map_err(|error| failed(format!("cannot be started: {error}")))?;
        let mut running = Running(child);
        let ended = tokio::time::timeout(LONGEST, running.output()).await;
        let (status, output, complaint) = ended
            .map_err(|_| failed(format!("did not end within {} s", LONGEST.as_secs())))?
            .map_err(|error| failed(format!("cannot be read: {error}")))?;
        if status.is_some_and(|status| !status.success()) {
            let status = status.map(|status| status.to_string()).unwrap_or_default();
            let complaint = String::from_utf8_lossy(&complaint);
            let quoted: String = complaint.trim().chars().take(MOST_QUOTED).collect();
            return Err(failed(format!("failed ({status}): {quoted}")));
        }
        parse_credentials(&output).map_err(|problem| failed(problem.to_owned()))
    }
}

/// The program's output. It has no `Debug`, and its strings are moved to where they are wiped.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Output {
    version: u32,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    expiration: Option<String>,
}

/// Parses what such a program prints. Public for the fuzz target.
///
/// # Errors
///
/// What is wrong with it, without quoting it.
#[doc(hidden)]
pub fn parse_credentials(output: &[u8]) -> Result<Credentials, &'static str> {
    let output: Output = serde_json::from_slice(output)
        .map_err(|_| "printed no JSON object with Version, AccessKeyId and SecretAccessKey")?;
    if output.version != 1 {
        return Err("printed credentials of an unknown Version; only 1 is supported");
    }
    let expiry = output.expiration.map(|expiration| {
        let expiration = DateTime::from_str(&expiration, Format::DateTimeWithOffset).ok();
        expiration.and_then(|expiration| SystemTime::try_from(expiration).ok())
    });
    if expiry == Some(None) {
        return Err("printed an Expiration that is not an ISO 8601 time");
    }
    let Output { access_key_id, secret_access_key, session_token, .. } = output;
    Ok(Credentials::new(
        access_key_id,
        secret_access_key,
        session_token,
        expiry.flatten(),
        "credential_process",
    ))
}

/// The child process, which is killed when it is abandoned.
struct Running(Child);

type Ended = (Option<ExitStatus>, Zeroizing<Vec<u8>>, Zeroizing<Vec<u8>>);

impl Running {
    /// Returns everything the child writes, and its exit status if that can be known.
    async fn output(&mut self) -> std::io::Result<Ended> {
        let (stdout, stderr) = (self.0.stdout.take(), self.0.stderr.take());
        let (output, complaint) = tokio::join!(read(stdout), read(stderr));
        let (output, complaint) = (output?, complaint?);
        let mut pause = Duration::from_millis(1);
        loop {
            match self.0.try_wait() {
                Ok(Some(status)) => return Ok((Some(status), output, complaint)),
                Ok(None) => tokio::time::sleep(pause).await,
                // The program has reaped it, or made the kernel do so.
                Err(_) => return Ok((None, output, complaint)),
            }
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// Reads to the end without blocking a thread.
#[cfg(unix)]
async fn read(pipe: Option<impl Into<std::os::fd::OwnedFd>>) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let Some(pipe) = pipe else { return Ok(Zeroizing::default()) };
    let pipe = tokio::net::unix::pipe::Receiver::from_owned_fd(pipe.into())?;
    let mut content = Zeroizing::new(vec![0; MOST_OUTPUT]);
    let mut length = 0;
    loop {
        pipe.readable().await?;
        match pipe.try_read(&mut content[length..]) {
            Ok(0) if length == MOST_OUTPUT => return Err(std::io::Error::other("it prints too much")),
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    content.truncate(length);
    Ok(content)
}

#[cfg(not(unix))]
async fn read(pipe: Option<impl std::io::Read + Send + 'static>) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let Some(pipe) = pipe else { return Ok(Zeroizing::default()) };
    let read = move || {
        let mut content = Zeroizing::new(Vec::with_capacity(MOST_OUTPUT));
        std::io::Read::read_to_end(&mut pipe.take(MOST_OUTPUT as u64), &mut content)?;
        Ok(content)
    };
    tokio::task::spawn_blocking(read).await.map_err(std::io::Error::other)?
}

impl std::fmt::Debug for CredentialProcess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Arguments may be secret.
        f.debug_struct("CredentialProcess").field("program", &self.command[0]).finish_non_exhaustive()
    }
}

impl ProvideCredentials for CredentialProcess {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}
