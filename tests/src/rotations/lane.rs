//! A server, the secrets of its users, and rotations that run one after the other through relays.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use secretcache_rotation::StrategyName;
use tokio::sync::mpsc;

use super::message::Protocol;
use super::relay::{Halt, Side, open};
use super::resource::{Kind, Resource, Subject};
use super::secrets::{Secrets, url};
use super::witness::Witness;

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) secrets: Secrets,
    pub(super) resource: Arc<dyn Resource>,
    pub(super) halts: mpsc::UnboundedReceiver<Halt>,
    /// The endpoint, through a relay.
    pub(super) url: String,
    /// The server, through a relay.
    port: u16,
    users: usize,
}

/// How a process ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum End {
    Killed,
    Succeeded,
    Failed(String),
}

impl Lane {
    /// Starts a server, with relays in front of it and of the endpoint.
    pub(super) async fn start(kind: Kind, secrets: Secrets) -> Result<Self, String> {
        let resource = kind.start().await?;
        let (sender, halts) = mpsc::unbounded_channel();
        let port = open(resource.protocol(), true, resource.port(), sender.clone()).await?;
        let url = url(open(Protocol::Http, false, secrets.port, sender).await?);
        Self { secrets, resource, halts, url, port, users: 0 }.with_administrator().await
    }

    /// Starts a server without relays, for measuring time.
    pub(super) async fn straight(kind: Kind, secrets: Secrets) -> Result<Self, String> {
        let resource = kind.start().await?;
        let (url, port) = (url(secrets.port), resource.port());
        Self { secrets, resource, halts: mpsc::unbounded_channel().1, url, port, users: 0 }
            .with_administrator()
            .await
    }

    async fn with_administrator(self) -> Result<Self, String> {
        let lane = self;
        if let Some((user, password)) = lane.resource.administrator() {
            let port = lane.port;
            let value = format!(
                r#"{{"host":"127.0.0.1","port":{port},"username":"{user}","password":"{password}"}}"#
            );
            lane.secrets.create(&lane.administrator(), &value).await?;
        }
        Ok(lane)
    }

    /// Returns the name of the administrator's secret.
    pub(super) fn administrator(&self) -> String {
        format!("administrator-{}", self.port)
    }

    /// Creates a user with a secret, and returns the secret's name.
    pub(super) async fn add_user(&mut self, subject: Subject) -> Result<String, String> {
        self.users += 1;
        let user = format!("app_{}", self.users);
        let mut value = self.resource.prepare(&user, self.port).await?;
        if subject.has_administrator {
            value.truncate(value.len() - 1);
            value.push_str(&format!(r#","masterarn":"{}"}}"#, self.administrator()));
        }
        let name = format!("{user}-{}", self.port);
        self.secrets.create(&name, &value).await?;
        Ok(name)
    }

    /// Returns everything that belongs to others, at the server and at the endpoint.
    pub(super) async fn others(&self) -> Result<Vec<String>, String> {
        let mut others = self.resource.others().await?;
        if self.resource.administrator().is_some() {
            others.push(self.secrets.everything(&self.administrator()).await?);
        }
        Ok(others)
    }

    /// Returns the description of the provider, if it is one.
    pub(super) fn description(&self) -> Option<String> {
        self.resource.description(self.port)
    }

    /// Runs a rotation as a process, `program`, which can be killed on one side of one of its effects. Returns the
    /// effects it had, or was about to have.
    pub(super) async fn run(
        &mut self,
        program: &Path,
        secret: &str,
        strategy: StrategyName,
        kill: Option<(usize, Side)>,
        witness: &mut Witness,
    ) -> Result<(End, Vec<String>), String> {
        let mut child = self.spawn(program, secret, strategy)?;
        let mut effects = Vec::new();
        let end = loop {
            let halt = tokio::select! {
                status = child.wait() => {
                    let status = status.map_err(|error| error.to_string())?;
                    break if status.success() { End::Succeeded } else { End::Failed(child.said()) };
                }
                halt = self.halts.recv() => halt.ok_or("the relays are gone")?,
            };
            if halt.side == Side::Before {
                effects.push(halt.effect.clone());
            }
            witness.at(self, &halt).await?;
            if kill == Some((effects.len() - 1, halt.side)) {
                // Sends `SIGKILL` and waits, so that the process has gone before anything else happens.
                child.kill().map_err(|error| error.to_string())?;
                break End::Killed;
            }
            halt.pass();
        };
        Ok((end, effects))
    }

    fn spawn(&self, program: &Path, secret: &str, strategy: StrategyName) -> Result<Rotation, String> {
        let mut command = Command::new(program);
        command.args([&self.url, secret, strategy.name()]).env_clear();
        // No user's settings, and no service that provides credentials.
        command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let child = command.spawn().map_err(|error| format!("{}: {error}", program.display()))?;
        let mut child = Rotation(child);
        let description = self.description().unwrap_or_default();
        let mut input = child.0.stdin.take().ok_or("no standard input")?;
        input.write_all(description.as_bytes()).map_err(|error| error.to_string())?;
        Ok(child)
    }
}

/// The process of a rotation, killed when dropped. It is polled by its id: tokio's process support installs a
/// process-wide signal handler, which the libraries built in this workspace must not have.
struct Rotation(Child);

impl Rotation {
    async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status);
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    fn kill(&mut self) -> std::io::Result<()> {
        self.0.kill()?;
        self.0.wait().map(drop)
    }

    fn said(&mut self) -> String {
        let mut text = String::new();
        if let Some(errors) = &mut self.0.stderr {
            let _ = errors.read_to_string(&mut text);
        }
        text.trim_end().to_owned()
    }
}

impl Drop for Rotation {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
