//! Which replicas of a Redis get a password: those that somebody named, and no others. A server lists whatever address
//! a client announces, so its list decides nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use secretcache::AWSCURRENT;
use secretcache_rotation::targets::{Redis, Route, SystemRoute, Tls};
use secretcache_rotation::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::redis_kept::Server;
use crate::support::{Address, Kind, Store, context};
use crate::trust::everything;
use crate::wire::{Seen, overheard};

const APP: &str = "user app on >first ~app:* +@all -flushall";
const KEEPER: &str = "user keeper on >keeperpw ~* &* +@all";
/// All that a client needs in order to be listed as a replica.
const WATCHER: &str = "user watcher on >watcherpw +psync +replconf +ping";

async fn server(name: &str, more: &[&str]) -> Server {
    let usual = ["requirepass rootpw", "repl-diskless-sync-delay 0", APP, KEEPER, WATCHER];
    Server::start(name, &[&usual[..], more].concat(), &[]).await
}

async fn replica_of(master: &Server, name: &str) -> Server {
    let link = format!("replicaof 127.0.0.1 {}", master.port);
    let replica = server(name, &["masterauth rootpw", &link]).await;
    until_listed(master, &replica.port.to_string()).await;
    replica
}

async fn until_listed(master: &Server, what: &str) {
    for _ in 0..400 {
        if master.say(&["ROLE"]).contains(what) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no replica {what} is listed: {}", master.say(&["ROLE"]));
}

/// Announces an address as that of a replica, as any client may that is allowed `PSYNC`, and stays connected.
async fn announce(master: &Server, host: &str, port: u16) -> JoinHandle<()> {
    let mut client = TcpStream::connect(("127.0.0.1", master.port)).await.unwrap();
    let commands = format!(
        "AUTH watcher watcherpw\r\nREPLCONF listening-port {port}\r\nREPLCONF ip-address {host}\r\n\
         REPLCONF capa eof capa psync2\r\n"
    );
    client.write_all(commands.as_bytes()).await.unwrap();
    let mut answers = [0; 20];
    client.read_exact(&mut answers).await.unwrap();
    assert_eq!(&answers, b"+OK\r\n+OK\r\n+OK\r\n+OK\r\n");
    // Redis refuses it while answers are under way.
    client.write_all(b"PSYNC ? -1\r\n").await.unwrap();
    let kept = tokio::spawn(async move {
        let (mut from, mut to) = client.into_split();
        let reads = async { while let Ok(1..) = from.read(&mut [0; 4096]).await {} };
        let acknowledges = async {
            while to.write_all(b"REPLCONF ACK 0\r\n").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::join!(reads, acknowledges);
    });
    until_listed(master, &port.to_string()).await;
    kept
}

/// Starts a listener that forwards to the server, so that every credential works there as on the server.
async fn attacker(master: &Server) -> (u16, Seen) {
    let address = Address {
        kind: Kind::Redis.name(),
        host: "127.0.0.1".into(),
        port: master.port,
        user: "default",
        password: "rootpw".into(),
        database: None,
        ca_file: None,
    };
    let (theirs, seen) = overheard(&address).await;
    (theirs.port, seen)
}

fn heard(seen: &Seen) -> String {
    String::from_utf8_lossy(&seen.lock().unwrap()).into_owned()
}

/// Returns a store whose secret that logs in, the administrator's or the application's, has the field `replicas`.
fn store(master: &Server, is_administrator: bool, replicas: Option<&str>) -> Store {
    let with = |document: Document| match replicas {
        Some(replicas) => document.with("replicas", replicas).unwrap(),
        None => document,
    };
    let app = master.secret("app", "first");
    if is_administrator {
        let app = app.with("masterarn", "master").unwrap();
        Store::new(app, Some(with(master.secret("keeper", "keeperpw"))))
    } else {
        Store::new(with(app), None)
    }
}

#[tokio::test]
async fn nothing_is_said_to_a_replica_that_announced_itself() {
    let master = server("announced", &[]).await;
    let (port, seen) = attacker(&master).await;
    let named = server("announced-beside", &[]).await;
    // By address and by name, the latter in a form that a terminal would obey.
    for host in ["127.0.0.1", "localhost", "\u{1b}[2Jlocalhost"] {
        let announced = announce(&master, host, port).await;
        let beside = format!("127.0.0.1:{}", named.port);
        for is_administrator in [true, false] {
            for replicas in [None, Some(beside.as_str())] {
                for strategy in [StrategyName::SingleUser, StrategyName::DualPassword] {
                    let way = format!("{host:?} {is_administrator} {replicas:?} {strategy:?}");
                    let store = store(&master, is_administrator, replicas);
                    let (target, settings) = (Redis::new(Tls::off()), Settings::default());
                    let cx = context(&store, &settings, strategy, &target);
                    let forecast = cx.forecast(Some(strategy), None).await.unwrap();
                    assert_eq!(heard(&seen), "", "a dry run, {way}");
                    let strategy = cx.backend.strategy(strategy);
                    let error = store.rotate(strategy.as_ref(), &settings).await.unwrap_err();
                    assert_eq!(heard(&seen), "", "a rotation, {way}");
                    assert!(!error.kind().is_worth_retrying(), "{way}: {error:?}");
                    let found = forecast.findings.iter().map(|finding| finding.problem.as_str());
                    for message in found.chain([error.message()]).collect::<Vec<_>>() {
                        let names_it = message.contains(&format!("localhost:{port}"))
                            || message.contains(&format!("127.0.0.1:{port}"));
                        assert!(names_it && message.contains("\"replicas\""), "{way}: {message}");
                        assert!(!message.contains(char::is_control), "{way}: {message:?}");
                    }
                    everything(&store, &settings, StrategyName::SingleUser, &target).await;
                    assert_eq!(heard(&seen), "", "anything, {way}");
                    let first = store.value(AWSCURRENT).unwrap();
                    assert_eq!(
                        target.probe(&first).await.unwrap(),
                        Probe::Accepted,
                        "nothing changed, {way}"
                    );
                }
            }
        }
        announced.abort();
        while master.say(&["ROLE"]).contains(&port.to_string()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Whoever can write the application's secret can name replicas there, but only for the application's own login.
#[tokio::test]
async fn the_applications_secret_does_not_name_an_administrators_replicas() {
    let master = server("misnamed", &[]).await;
    let (port, seen) = attacker(&master).await;
    let _announced = announce(&master, "127.0.0.1", port).await;
    let theirs = format!("127.0.0.1:{port}");
    let app = master.secret("app", "first").with("replicas", &theirs).unwrap();
    let store =
        Store::new(app.with("masterarn", "master").unwrap(), Some(master.secret("keeper", "keeperpw")));
    let (target, settings) = (Redis::new(Tls::off()), Settings::default());
    everything(&store, &settings, StrategyName::SingleUser, &target).await;
    assert_eq!(heard(&seen), "");
    let error = store.rotate(&SingleUser { target: &target }, &settings).await.unwrap_err();
    assert!(error.message().contains("\"replicas\" of the master secret"), "{error}");
}

/// They are named by address or by a name of it. A name of no replica does no harm.
#[tokio::test]
async fn replicas_that_are_named_get_the_new_password() {
    let master = server("named", &[]).await;
    let replicas = [replica_of(&master, "named-one").await, replica_of(&master, "named-two").await];
    let [one, two] = replicas.each_ref().map(|replica| replica.port);
    let settings = Settings::default();
    for is_administrator in [true, false] {
        for named in [
            format!("127.0.0.1:{one},127.0.0.1:{two}"),
            format!("localhost:{two}, LOCALHOST:{one}, gone.invalid"),
        ] {
            let store = store(&master, is_administrator, Some(&named));
            let target = Redis::new(Tls::off());
            for strategy in
                [&SingleUser { target: &target } as &dyn Strategy, &DualPassword { target: &target }]
            {
                let context = context(&store, &settings, StrategyName::SingleUser, &target);
                let forecast = context.forecast(Some(StrategyName::SingleUser), None).await.unwrap();
                assert!(forecast.findings.is_empty(), "{named}: {:?}", forecast.findings);
                store.rotate(strategy, &settings).await.unwrap();
                let current = store.value(AWSCURRENT).unwrap();
                for port in [master.port, one, two] {
                    let there = current.with("port", &port.to_string()).unwrap();
                    assert_eq!(target.probe(&there).await.unwrap(), Probe::Accepted, "{named}, at {port}");
                }
            }
            for server in replicas.iter().chain([&master]) {
                server.say(&["ACL", "SETUSER", "app", "resetpass", ">first"]);
            }
        }
    }
}

/// The addresses of a name, as a resolver returns them for a group of replicas.
#[derive(Debug)]
struct Group(Vec<SocketAddr>);

impl Route for Group {
    fn addresses<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, Result<Vec<SocketAddr>, Error>> {
        match host {
            "replicas.internal" => Box::pin(async { Ok(self.0.clone()) }),
            _ => SystemRoute.addresses(host, port),
        }
    }
}

/// The first address of the name is not the listed replica, so it is not the one to log in at.
#[tokio::test]
async fn one_name_can_stand_for_several_replicas() {
    let master = server("grouped", &[]).await;
    let replica = replica_of(&master, "grouped-one").await;
    let elsewhere = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let group = vec![elsewhere.local_addr().unwrap(), SocketAddr::from(([127, 0, 0, 1], replica.port))];
    let target = Redis::new(Tls::off()).via(Arc::new(Group(group)));
    let store = store(&master, true, Some(&format!("replicas.internal:{}", replica.port)));
    store.rotate(&SingleUser { target: &target }, &Settings::default()).await.unwrap();
    let there = store.value(AWSCURRENT).unwrap().with("port", &replica.port.to_string()).unwrap();
    assert_eq!(target.probe(&there).await.unwrap(), Probe::Accepted);
    tokio::time::timeout(Duration::from_millis(1), elsewhere.accept()).await.unwrap_err();
}

/// One named replica does not make the others named.
#[tokio::test]
async fn a_replica_that_nobody_named_is_refused_before_anything_changes() {
    let master = server("some-named", &[]).await;
    let one = replica_of(&master, "some-named-one").await;
    let two = replica_of(&master, "some-named-two").await;
    let target = Redis::new(Tls::off());
    let named = format!("127.0.0.1:{}", one.port);
    let store = store(&master, false, Some(&named));
    let error = store.rotate(&SingleUser { target: &target }, &Settings::default()).await.unwrap_err();
    assert!(error.message().contains(&format!("127.0.0.1:{}", two.port)), "{error}");
    assert!(!error.message().contains(&named), "{error}");
    let first = store.value(AWSCURRENT).unwrap();
    for port in [master.port, one.port] {
        let there = first.with("port", &port.to_string()).unwrap();
        assert_eq!(target.probe(&there).await.unwrap(), Probe::Accepted);
    }
}

/// A mistake in the field is reported before a password is sent anywhere.
#[tokio::test]
async fn a_list_of_replicas_that_cannot_be_read_is_called_so() {
    let master = server("unreadable", &[]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let _announced = announce(&master, "127.0.0.1", listener.local_addr().unwrap().port()).await;
    for wrong in ["127.0.0.1:0", "a b", r#"["127.0.0.1"]"#] {
        let store = store(&master, true, Some(wrong));
        let target = Redis::new(Tls::off());
        let error = store.rotate(&SingleUser { target: &target }, &Settings::default()).await.unwrap_err();
        assert!(error.message().contains("HOST or HOST:PORT"), "{wrong}: {error}");
    }
}
