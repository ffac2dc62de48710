//! Times warm reads of this crate and of AWS's in turn, and makes many concurrent first reads.
//!
//! Calls the endpoint in `AWS_ENDPOINT_URL`; prints seconds per read, round by round, as JSON.

use std::collections::HashMap;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use aws_secretsmanager_caching::SecretsManagerCachingClient;
use secretcache::host::{Answer, Cache, Lookup, Now};
use secretcache::{Config, Fetched, SecretCache, Selector};
use serde_json::json;
use tokio::runtime::Runtime;

const ID: &str = "bench/0";
const ROUNDS: usize = 30;
const READS: u32 = 200_000;
const OFFICIAL_READS: u32 = 20_000;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let crowd = std::env::args().nth(1).map_or(Ok(10_000), |count| count.parse())?;
    let runtime = Runtime::new()?;
    runtime.block_on(first_reads(crowd))?;

    let hour = Duration::from_secs(3600);
    let ours = SecretCache::builder().refresh_interval(hour).build()?;
    let size = NonZeroUsize::new(1024).ok_or("no size")?;
    let official = runtime.block_on(SecretsManagerCachingClient::default(size, hour))?;
    ours.get(ID).wait()?;

    let mut rounds: HashMap<&str, Vec<f64>> = HashMap::new();
    for _ in 0..ROUNDS {
        let mut note = |name, seconds| rounds.entry(name).or_default().push(seconds);
        note("ours", time(READS, || read(&ours)));
        note("official", runtime.block_on(read_official(&official))?);
        note("one thread", scale(1, |_| read(&ours)));
        note("two threads", scale(2, |_| read(&ours)));
        let alone = [private(), private()];
        note("one loop", scale(1, |thread| look_up(&alone[thread])));
        note("two loops", scale(2, |thread| look_up(&alone[thread])));
    }
    let mut found = json!(rounds);
    found["other calls"] = json!(2); // the first read of each of the two caches
    found["calls a day"] = json!(calls_a_day(1000)?);
    // A refresh is due after half of the interval at the earliest.
    found["budget a day"] = json!(2 * 86_400 / Config::default().ttl.as_secs() + 1);
    println!("{found}");
    Ok(())
}

/// Reads an uncached secret from `count` tasks at once.
async fn first_reads(count: usize) -> Result<(), Failure> {
    let cache = SecretCache::builder().build()?;
    let tasks: Vec<_> = (0..count)
        .map(|_| {
            let cache = cache.clone();
            tokio::spawn(async move { cache.get(ID).await.map(|secret| secret.version_id().is_some()) })
        })
        .collect();
    for task in tasks {
        assert!(task.await??);
    }
    Ok(())
}

/// Returns the calls per secret, first reads and refreshes, if all secrets are read every second of a simulated day.
fn calls_a_day(secrets: usize) -> Result<f64, Failure> {
    let cache = Cache::new(Config::default(), 7)?;
    let ids: Vec<_> = (0..secrets).map(|number| format!("bench/{number}")).collect();
    let mut calls = 0_usize;
    for second in 1..=86_400 {
        let now = Now::default().plus(Duration::from_secs(second));
        let mut permits = cache.due(now).permits;
        for id in &ids {
            match cache.lookup(id, Selector::CURRENT, now) {
                Lookup::HitDue(_, permit) | Lookup::Leader(permit, _) => permits.push(permit),
                _ => {}
            }
        }
        for permit in permits {
            calls += 1;
            permit.complete(Ok(Answer::value(Fetched::string("version", "value"))), now);
        }
    }
    Ok(calls as f64 / secrets as f64)
}

fn read(cache: &SecretCache) {
    let secret = cache.get(ID).wait().expect("the secret is cached");
    black_box(secret.string().expect("the secret is a string"));
}

async fn read_official(cache: &SecretsManagerCachingClient) -> Result<f64, Failure> {
    let start = Instant::now();
    for _ in 0..OFFICIAL_READS {
        let value = cache.get_secret_value(ID, None, None, false).await.map_err(|error| error.to_string())?;
        black_box(value.secret_string.as_deref());
    }
    Ok(start.elapsed().as_secs_f64() / f64::from(OFFICIAL_READS))
}

/// Returns a map that a single thread owns: lookups in such maps show how the machine itself scales.
fn private() -> HashMap<String, String> {
    (0..1000).map(|number| (format!("bench/{number}"), "value".to_owned())).collect()
}

fn look_up(map: &HashMap<String, String>) {
    black_box(map.get(black_box(ID)));
}

fn time(reads: u32, mut read: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..reads {
        read();
    }
    start.elapsed().as_secs_f64() / f64::from(reads)
}

/// Returns the seconds per read when all threads make `READS` reads each at the same time.
fn scale(threads: usize, read: impl Fn(usize) + Sync) -> f64 {
    let begin = Arc::new(Barrier::new(threads));
    let slowest = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                let (begin, read) = (Arc::clone(&begin), &read);
                scope.spawn(move || {
                    begin.wait();
                    time(READS, || read(thread))
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("a loop ends")).fold(0.0, f64::max)
    });
    slowest / threads as f64
}
