//! Passwords of Redis users after restarts and on replicas.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use secretcache::{AWSCURRENT, AWSPREVIOUS};
use secretcache_rotation::operate::{Backend, Forecast, RotationContext};
use secretcache_rotation::targets::{Redis, Tls};
use secretcache_rotation::*;

use crate::support::Store;

/// A Redis with its own configuration, stopped on drop.
pub(crate) struct Server {
    pub(crate) port: u16,
    folder: PathBuf,
    arguments: Vec<String>,
    process: Child,
}

impl Server {
    /// Starts a server. `lines` is its configuration file; if empty, it has none. `arguments` are added to the command.
    pub(crate) async fn start(name: &str, lines: &[&str], arguments: &[&str]) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let folder = std::env::temp_dir().join(format!("secretcache-redis-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut all = Vec::new();
        if !lines.is_empty() {
            let file = folder.join("redis.conf");
            fs::write(&file, lines.join("\n") + "\n").unwrap();
            all.push(file.display().to_string());
        }
        let (port_text, dir) = (port.to_string(), folder.display().to_string());
        all.extend(
            ["--bind", "127.0.0.1", "--port", &port_text, "--dir", &dir, "--save", ""].map(str::to_owned),
        );
        // The ACL file, for configurations that use one, starts with the administrator.
        fs::write(folder.join("users.acl"), "user default on >rootpw ~* &* +@all\n").unwrap();
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        let process = Self::spawn(&all);
        let mut server = Self { port, folder, arguments: all, process };
        server.until_ready().await;
        server
    }

    fn spawn(arguments: &[String]) -> Child {
        let mut command = Command::new("redis-server");
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("redis-server; install it with: apt-get install redis-server")
    }

    async fn until_ready(&mut self) {
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(self.process.try_wait().unwrap().is_none(), "redis-server ended: {:?}", self.arguments);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn restart(&mut self) {
        self.stop();
        self.process = Self::spawn(&self.arguments);
        self.until_ready().await;
    }

    fn stop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    pub(crate) fn secret(&self, user: &str, password: &str) -> Document {
        let port = self.port;
        let text =
            format!(r#"{{"host":"127.0.0.1","port":{port},"username":"{user}","password":"{password}"}}"#);
        Document::parse(&text).unwrap()
    }

    /// Runs a command as `default` with `redis-cli`, and returns the output.
    pub(crate) fn say(&self, words: &[&str]) -> String {
        let mut client = Command::new("redis-cli");
        client.args(["-p", &self.port.to_string(), "--no-auth-warning", "--user", "default"]).args(words);
        let output = client.env("REDISCLI_AUTH", "rootpw").output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

async fn forecast(store: &Store, target: &Redis) -> Forecast {
    let settings = Settings::default();
    let strategy = StrategyName::DualPassword;
    let context = RotationContext {
        store,
        pause: store,
        settings: &settings,
        secret_id: "s",
        strategy,
        backend: Backend::Target(target),
    };
    context.forecast(Some(strategy), None).await.unwrap()
}

fn problems(forecast: &Forecast) -> String {
    forecast.findings.iter().map(|finding| finding.problem.as_str()).collect::<Vec<_>>().join("\n")
}

async fn logs_in(target: &Redis, secret: &Document) -> bool {
    target.probe(secret).await.unwrap() == Probe::Accepted
}

const APP: &str = "user app on >first ~app:* +@all -flushall";

#[tokio::test]
async fn r3_passwords_of_the_configuration_file_survive_a_restart() {
    let target = Redis::new(Tls::off());
    let mut server = Server::start("conf", &["requirepass rootpw", APP], &[]).await;
    // `requirepass` sets the password of the user `default`.
    for (user, password) in [("app", "first"), ("default", "rootpw")] {
        let first = server.secret(user, password);
        for strategy in [&SingleUser { target: &target } as &dyn Strategy, &DualPassword { target: &target }]
        {
            let store = Store::new(first.clone(), None);
            let rules = |text: String| {
                let line =
                    text.lines().find(|line| line.starts_with(&format!("user {user} "))).map(str::to_owned);
                line.unwrap_or_default()
                    .split(' ')
                    .filter(|rule| !rule.starts_with('#'))
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            let before = rules(server.say(&["ACL", "LIST"]));
            store.rotate(strategy, &Settings::default()).await.unwrap();
            let after = rules(server.say(&["ACL", "LIST"]));
            assert!(user == "default" || after == before, "all other rules stay: {before} {after}");
            server.restart().await;
            assert!(
                logs_in(&target, &store.value(AWSCURRENT).unwrap()).await,
                "{user} by {}",
                strategy.name()
            );
            let keeps = strategy.name() == "dual-password";
            assert_eq!(logs_in(&target, &store.value(AWSPREVIOUS).unwrap()).await, keeps);
            // Reset for the next strategy.
            let current = store.value(AWSCURRENT).unwrap();
            let change = Change { login: &current, credential: &first, keep: None };
            assert_eq!(target.apply(change).await.unwrap(), Applied::Done);
        }
    }
}

#[tokio::test]
async fn r3_what_could_not_be_saved_is_refused_before_anything_changes() {
    let target = Redis::new(Tls::off());
    let own = "user app on >first ~* +@all -config -acl|save";
    let server = Server::start("unsaved", &["requirepass rootpw", own], &[]).await;
    let first = server.secret("app", "first");
    let store = Store::new(first.clone(), None);
    let seen = forecast(&store, &target).await;
    assert!(problems(&seen).contains("lost when Redis restarts"), "{}", problems(&seen));
    let error = store.rotate(&DualPassword { target: &target }, &Settings::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(logs_in(&target, &first).await);
    // Each dry run names the next missing command, until there is none.
    for _ in 0..3 {
        let seen = forecast(&store, &target).await;
        let Some(fix) = seen.findings.first().and_then(|finding| finding.fix.clone()) else { break };
        assert_eq!(server.say(&fix.split(' ').collect::<Vec<_>>()).trim(), "OK");
    }
    store.rotate(&DualPassword { target: &target }, &Settings::default()).await.unwrap();

    // Without a configuration file or ACL file, nothing survives a restart. That does not prevent a rotation; the dry
    // run warns of it.
    let server = Server::start("fileless", &[], &["--requirepass", "rootpw"]).await;
    let store = Store::new(server.secret("default", "rootpw"), None);
    let seen = forecast(&store, &target).await;
    assert!(seen.findings.is_empty() && seen.warnings[0].contains("restart forgets"), "{:?}", seen.warnings);
    store.rotate(&SingleUser { target: &target }, &Settings::default()).await.unwrap();
}

#[tokio::test]
async fn r3_replicas_are_set_too_or_named() {
    let target = Redis::new(Tls::off());
    let lines = ["requirepass rootpw", APP];
    let master = Server::start("master", &lines, &[]).await;
    let of = format!("127.0.0.1 {}", master.port);
    let link = format!("replicaof {of}");
    let mut replica = Server::start("replica", &[lines[0], lines[1], "masterauth rootpw", &link], &[]).await;
    while !master.say(&["ROLE"]).contains(&replica.port.to_string()) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let named = format!("127.0.0.1:{}", replica.port);
    let store = Store::new(master.secret("app", "first").with("replicas", &named).unwrap(), None);
    for strategy in [&SingleUser { target: &target } as &dyn Strategy, &DualPassword { target: &target }] {
        store.rotate(strategy, &Settings::default()).await.unwrap();
        replica.restart().await;
        while !master.say(&["ROLE"]).contains(&replica.port.to_string()) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let current = store.value(AWSCURRENT).unwrap();
        let there = current.with("port", &replica.port.to_string()).unwrap();
        assert!(logs_in(&target, &there).await && logs_in(&target, &current).await, "{}", strategy.name());
    }
    // Users cannot be changed on a replica.
    let first = store.value(AWSCURRENT).unwrap().with("port", &replica.port.to_string()).unwrap();
    let at_replica = Store::new(first, None);
    let seen = forecast(&at_replica, &target).await;
    assert!(problems(&seen).contains("is a replica of 127.0.0.1"), "{}", problems(&seen));
    // A replica without the user is named in the error, and nothing changes.
    replica.say(&["ACL", "DELUSER", "app"]);
    let seen = forecast(&store, &target).await;
    let name = format!("the replica 127.0.0.1:{} refuses the user \"app\"", replica.port);
    assert!(problems(&seen).contains(&name), "{}", problems(&seen));
    let current = store.value(AWSCURRENT).unwrap();
    let error = store.rotate(&SingleUser { target: &target }, &Settings::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(logs_in(&target, &current).await);
}
