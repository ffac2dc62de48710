//! Several Regions in one cache: replicas are read while a secret's own Region is unreachable. The endpoint has both
//! Regions. The cache reaches the first through a relay that can be cut, and faults can change the answers of either.

use std::future::Future;
use std::iter;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::types::ReplicaRegionType;
use secretcache::{Builder, Credentials, ErrorKind, Event, SecretCache};
use secretcache_local::{Effect, Fault, Handle, Options, Server};
use secretcache_tests::rotations::connect_options;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(30);

struct World {
    endpoint: String,
    handle: Handle,
    client: Client,
    relay: Relay,
}

/// A TCP relay to the first Region.
struct Relay {
    url: String,
    to: String,
    running: Mutex<Option<JoinHandle<()>>>,
}

impl Relay {
    async fn start(to: &str) -> Self {
        let to = to.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let running = Mutex::new(Some(tokio::spawn(forward(listener, to.clone()))));
        Self { url, to, running }
    }

    /// Refuses new connections from now on, and closes existing ones.
    fn cut(&self) {
        self.running.lock().unwrap().take().expect("it runs").abort();
    }

    async fn restore(&self) {
        let listener = TcpListener::bind(self.url.trim_start_matches("http://")).await.unwrap();
        *self.running.lock().unwrap() = Some(tokio::spawn(forward(listener, self.to.clone())));
    }
}

async fn forward(listener: TcpListener, to: String) {
    let mut connections = JoinSet::new();
    while let Ok((mut from, _)) = listener.accept().await {
        let to = to.clone();
        connections.spawn(async move {
            if let Ok(mut to) = TcpStream::connect(to).await {
                let _ = copy_bidirectional(&mut from, &mut to).await;
            }
        });
    }
}

impl World {
    /// Starts an endpoint with the secret `db`, value `v1`, in us-east-1, and its replica in eu-west-1.
    async fn start() -> Self {
        let options = Options { port: 0, control: true, ..Options::default() };
        let server = Server::bind(options).await.unwrap();
        let (endpoint, handle) = (server.url(), server.handle());
        tokio::spawn(server.serve());
        let (client, _) = connect_options(&endpoint).client().await.unwrap();
        let relay = Relay::start(&endpoint).await;
        let world = Self { endpoint, handle, client, relay };
        world.create("db").await;
        world
    }

    async fn create(&self, name: &str) -> String {
        let replica = ReplicaRegionType::builder().region("eu-west-1").build();
        let call = self.client.create_secret().name(name).secret_string("v1").add_replica_regions(replica);
        call.send().await.unwrap().arn.unwrap()
    }

    async fn put(&self, value: &str, stage: &str) {
        let call = self.client.put_secret_value().secret_id("db").secret_string(value);
        call.version_stages(stage).send().await.unwrap();
    }

    fn builder(&self) -> Builder {
        SecretCache::builder()
            .region("us-east-1")
            .endpoint_url(&self.relay.url)
            .credentials(Credentials::new("test", "test", None))
            .fallback_region(format!("eu-west-1={}", self.endpoint))
            .fallback_after(Duration::from_millis(500))
    }

    fn cache(&self) -> (SecretCache, Receiver<Event>) {
        listening(self.builder().refresh_interval(Duration::from_millis(200)))
    }

    /// Applies this effect to all reads of `db` in a Region from now on.
    async fn spoil(&self, region: &str, effect: Effect) -> u64 {
        let arn = self.client.describe_secret().secret_id("db").send().await.unwrap().arn.unwrap();
        let fault = Fault {
            operations: vec!["GetSecretValue".into(), "DescribeSecret".into()],
            secret_id: Some(arn.replace("us-east-1", region)),
            effect: Some(effect),
            ..Fault::default()
        };
        self.handle.add_fault(fault)
    }

    fn restore(&self) {
        self.handle.clear_faults();
    }
}

fn broken() -> Effect {
    Effect::Error { r#type: "InternalServiceError".into(), message: "broken".into(), status: 500 }
}

fn listening(builder: Builder) -> (SecretCache, Receiver<Event>) {
    let cache = builder.build().unwrap();
    let (sender, receiver) = channel();
    let sender = Mutex::new(sender);
    cache.on_event(move |event| drop(sender.lock().unwrap().send(event.clone())));
    (cache, receiver)
}

async fn read(cache: &SecretCache) -> String {
    cache.get("db").await.unwrap().string().unwrap().to_owned()
}

async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(LONG, wait).await.is_ok(), "timed out waiting: {what}");
}

/// Waits for the first event that `look` accepts. Listeners can be called after the read has returned.
fn wait_for<T>(events: &Receiver<Event>, look: impl FnMut(Event) -> Option<T>) -> T {
    iter::from_fn(|| events.recv_timeout(LONG).ok()).find_map(look).expect("the event comes")
}

/// Returns the text of all pending events about replicas.
fn replicas(events: &Receiver<Event>) -> Vec<String> {
    events
        .try_iter()
        .filter(|event| matches!(event, Event::Replica { .. }))
        .map(|event| event.to_string())
        .collect()
}

#[tokio::test]
async fn a_region_that_is_down_from_the_start_is_replaced_and_comes_back_by_itself() {
    let world = World::start().await;
    world.relay.cut();
    let (cache, events) = world.cache();
    let secret = cache.get("db").await.unwrap();
    assert_eq!(secret.string().unwrap(), "v1");
    assert!(secret.arn().unwrap().contains(":us-east-1:"), "the secret is the same one");
    let text = wait_for(&events, |event| matches!(event, Event::Replica { .. }).then(|| event.to_string()));
    assert!(text.starts_with("secret \"db\" is read from its replica in eu-west-1: "), "{text}");
    assert!(text.contains(&world.relay.url), "{text}");
    world.put("v2", "AWSCURRENT").await;
    until("the new version comes from the replica", async || read(&cache).await == "v2").await;
    assert_eq!(replicas(&events), [""; 0], "reported once");
    assert!(cache.stats().replica_reads >= 2);

    world.relay.restore().await;
    until("its own Region is read again", async || {
        read(&cache).await;
        cache.stats().api_calls.contains_key("DescribeSecret") && {
            let before = cache.stats().replica_reads;
            tokio::time::sleep(Duration::from_millis(600)).await;
            read(&cache).await;
            cache.stats().replica_reads == before
        }
    })
    .await;
    assert_eq!(replicas(&events), [""; 0]);
    world.relay.cut();
    until("another outage is reported", async || {
        read(&cache).await;
        replicas(&events).len() == 1
    })
    .await;
}

#[tokio::test]
async fn a_region_that_hangs_costs_one_read_the_bound() {
    let world = World::start().await;
    for name in ["a", "b", "c"] {
        world.create(name).await;
    }
    let arn = world.create("d").await;
    let (cache, _events) = listening(world.builder().backoff(long_pauses()));
    world.spoil("us-east-1", Effect::Hang).await;
    assert_eq!(read(&cache).await, "v1");
    let calls = cache.stats().api_calls["GetSecretValue"];
    assert_eq!(calls, 2, "each Region once");
    for name in ["a", "b", "c"] {
        assert_eq!(cache.get(name).await.unwrap().string().unwrap(), "v1");
    }
    assert_eq!(cache.stats().replica_reads, 4, "later reads skip the Region that hangs");
    assert_eq!(cache.get(&arn).await.unwrap().arn(), Some(&*arn));
    assert_eq!(cache.stats().api_calls["GetSecretValue"], calls + 4, "with either id");
    world.restore();
    cache.refresh("db").await.unwrap();
    assert_eq!(cache.stats().replica_reads, 5, "a forced refresh reads the secret's own Region");
}

fn long_pauses() -> secretcache::Backoff {
    secretcache::Backoff { base: LONG, ..secretcache::Backoff::default() }
}

#[tokio::test]
async fn a_replica_that_is_behind_moves_nothing_back() {
    let world = World::start().await;
    world.handle.advance(Duration::from_secs(3_600));
    world.put("v2", "AWSCURRENT").await;
    let (cache, events) = world.cache();
    assert_eq!(read(&cache).await, "v2");
    world.spoil("eu-west-1", Effect::Stale { seconds: 1_800.0 }).await;
    world.spoil("us-east-1", broken()).await;
    until("refreshes fail", async || {
        assert_eq!(read(&cache).await, "v2");
        cache.stats().failures.values().sum::<u64>() >= 3
    })
    .await;
    assert_eq!(cache.stats().replica_reads, 0);
    let behind = wait_for(&events, |event| match event {
        Event::Error { error, .. } if error.message().contains("not newer") => Some(error),
        _ => None,
    });
    assert!(behind.message().contains("its replica in eu-west-1"), "{behind}");

    // It catches up, and serves newer versions.
    world.restore();
    world.spoil("us-east-1", broken()).await;
    until("the replica confirms", async || {
        read(&cache).await;
        cache.stats().replica_reads > 0
    })
    .await;
    world.put("v3", "AWSCURRENT").await;
    until("the replica renews", async || read(&cache).await == "v3").await;
}

#[tokio::test]
async fn a_refusal_is_an_answer() {
    let world = World::start().await;
    let (cache, _events) = world.cache();
    world.spoil("us-east-1", Effect::Deny).await;
    assert_eq!(cache.get("db").await.unwrap_err().kind(), ErrorKind::AccessDenied);
    assert_eq!(cache.get("missing").await.unwrap_err().kind(), ErrorKind::SecretNotFound);
    assert_eq!(cache.stats().replica_reads, 0);
}

#[tokio::test]
async fn without_any_region_the_last_known_value_stays_and_the_error_names_both() {
    let world = World::start().await;
    let (cache, _events) = world.cache();
    assert_eq!(read(&cache).await, "v1");
    world.relay.cut();
    world.spoil("eu-west-1", Effect::Throttle).await;
    until("refreshes fail", async || {
        assert_eq!(read(&cache).await, "v1");
        cache.stats().failures.values().sum::<u64>() >= 2
    })
    .await;
    let error = cache.refresh("db").await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Connection | ErrorKind::Timeout), "{error}");
    assert!(error.message().contains("replica in eu-west-1: "), "{error}");
}

#[tokio::test]
async fn an_arn_is_read_in_its_own_region_and_its_replica_by_the_arn_there() {
    let world = World::start().await;
    let arn = world.create("other").await;
    let there = arn.replace("us-east-1", "eu-west-1");
    // A cache whose own Region is neither of the two.
    let builder = || {
        SecretCache::builder()
            .region("eu-central-1")
            .endpoint_url(&world.endpoint)
            .credentials(Credentials::new("test", "test", None))
    };
    let cache = builder().build().unwrap();
    assert_eq!(cache.get(&arn).await.unwrap().arn(), Some(&*arn));
    assert_eq!(cache.get(&there).await.unwrap().arn(), Some(&*there));
    assert_eq!(cache.get("other").await.unwrap_err().kind(), ErrorKind::SecretNotFound);

    let cache = builder().fallback_region("eu-west-1").build().unwrap();
    world.handle.add_fault(Fault {
        secret_id: Some(arn.clone()),
        effect: Some(broken()),
        ..Fault::default()
    });
    assert_eq!(cache.get(&arn).await.unwrap().arn(), Some(&*arn));
    assert_eq!(cache.stats().replica_reads, 1);
}

#[tokio::test]
async fn what_is_prefetched_comes_from_replicas_too() {
    let world = World::start().await;
    world.create("other").await;
    world.relay.cut();
    let (cache, _events) = listening(world.builder());
    assert!(cache.prefetch(["db", "other"]).await.unwrap().is_empty());
    assert_eq!(cache.stats().replica_reads, 2);
}

/// The resource accepts the password of only one version.
#[tokio::test]
async fn a_login_through_a_rotation_finds_its_version_at_the_replica() {
    let world = World::start().await;
    world.client.update_secret().secret_id("db").secret_string(login("p1")).send().await.unwrap();
    world.spoil("us-east-1", broken()).await;
    let (cache, _events) = listening(world.builder());
    let accepted = Arc::new(Mutex::new("p1".to_owned()));
    let log_in = async || {
        let accepted = Arc::clone(&accepted);
        let connect = cache.connect("db").run(
            async |credential| {
                let password = credential.password().unwrap_or_default().to_owned();
                if *accepted.lock().unwrap() == password { Ok(password) } else { Err("wrong password") }
            },
            |_| true,
        );
        connect.await.unwrap()
    };
    assert_eq!(log_in().await, "p1");
    // Set in the database, not yet current.
    world.put(&login("p2"), "AWSPENDING").await;
    "p2".clone_into(&mut accepted.lock().unwrap());
    assert_eq!(log_in().await, "p2");
    // Another rotation, which has finished.
    world.put(&login("p3"), "AWSCURRENT").await;
    "p3".clone_into(&mut accepted.lock().unwrap());
    assert_eq!(log_in().await, "p3");
    assert!(cache.stats().replica_reads >= 3);
}

fn login(password: &str) -> String {
    format!(r#"{{"username":"app","password":"{password}"}}"#)
}
