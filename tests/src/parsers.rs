//! Parsers of untrusted bytes, each as a function of those bytes that must not panic. The tests run them on the seeds
//! in `tests/fuzz/seeds` and on variations of those; `make fuzz-parsers` searches for more. docs/security/review.md lists
//! what each of them reads.
//!
//! What a server says is played to the real client over a socket of this machine.

use std::panic::PanicHookInfo;

use jiff::Timestamp;
use rand::SeedableRng;
use rand::rngs::StdRng;
use secretcache::host::parse_credentials;
use secretcache::{Fetched, Selector};
use secretcache_access::condition::Context;
use secretcache_access::evaluate::{Caller, Named, Policies, Request, evaluate};
use secretcache_access::{Snapshot, pattern};
use secretcache_local::{Call, Functions, Scope, Store};
use secretcache_rotation::operate::Inventory;
use secretcache_rotation::targets::{HttpProvider, HttpTarget, IamProvider, Statements, Tls};
use secretcache_rotation::{Document, Event, Schedule, from_function};
use serde_json::Value;

mod account;
mod files;
mod script;
mod servers;
mod service;
mod services;
mod sockets;

/// A parser with its name, which is also the name of its folder of seeds.
pub type Parser = (&'static str, fn(&[u8]));

/// Parsers that are called directly.
pub const PARSERS: [Parser; 9] = [
    ("credentials", credentials),
    ("endpoint", endpoint),
    ("event", event),
    ("inventory", inventory),
    ("policy", policy),
    ("schedule", schedule),
    ("secret", secret),
    ("snapshot", snapshot),
    ("targets", targets),
];

/// Parsers that are reached through a socket or a file, which is slower.
pub const PARSERS_OF_SOCKETS: [Parser; 4] = [
    ("answer", sockets::answer),
    ("data-file", files::data),
    ("request", sockets::request),
    ("seed-file", files::seed),
];

/// Parsers of a server's side of a whole conversation. They are the slowest, and have the most seeds.
pub const PARSERS_OF_CONVERSATIONS: [Parser; 8] = [
    ("account", account::account),
    ("http", services::http),
    ("iam", services::iam),
    ("ldap", servers::ldap),
    ("mysql", servers::mysql),
    ("postgres", servers::postgres),
    ("provider", services::provider),
    ("redis", servers::redis),
];

/// Whether a panic is one of the drivers that panic at answers they do not understand. The code that uses them makes an
/// error of it.
pub fn is_of_driver(what: &PanicHookInfo<'_>) -> bool {
    const DRIVERS: [&str; 4] = ["/ldap3-", "/lber-", "/mysql_async-", "/mysql_common-"];
    what.location().is_some_and(|place| DRIVERS.iter().any(|driver| place.file().contains(driver)))
}

/// What a `credential_process` prints.
pub fn credentials(bytes: &[u8]) {
    let _ = parse_credentials(bytes);
}

/// Requests to the local endpoint: each line has an operation and its parameters, and all run on one store.
pub fn endpoint(bytes: &[u8]) {
    let mut store = Store::new(true);
    let mut random = StdRng::seed_from_u64(1);
    for (line, second) in bytes.split(|byte| *byte == b'\n').zip(1_700_000_000..) {
        let space = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
        let (operation, parameters) = line.split_at(space);
        let now = secretcache_local::Timestamp::from_secs(second);
        let scope = Scope::new("123456789012", "us-east-1");
        let mut call = Call { now, scope, random: &mut random, functions: Functions::Any };
        let operation = String::from_utf8_lossy(operation);
        match secretcache_local::execute(&store, &mut call, &operation, parameters) {
            Ok(outcome) => {
                let answer: Value = serde_json::from_slice(&outcome.body).expect("an answer in JSON");
                assert!(answer.is_object(), "{operation} answers {answer}");
                outcome.changes.into_iter().for_each(|change| store.apply(change, now));
            }
            Err(error) => {
                serde_json::from_slice::<Value>(&error.body()).expect("an error in JSON");
            }
        }
    }
}

/// The event of a rotation function.
pub fn event(bytes: &[u8]) {
    if let Ok(event) = Event::from_json(bytes) {
        assert!(!event.secret_id.is_empty());
    }
}

/// The TOML file of `secretcache rotate --config`.
pub fn inventory(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let _ = Inventory::from_toml(text);
}

/// Policies of IAM, of secrets and of keys. The first line has the caller and the resource.
pub fn policy(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let (first, text) = text.split_once('\n').unwrap_or(("", text));
    let (caller, resource) = first.split_once(' ').unwrap_or((first, ""));
    let caller = Caller::from_arn(caller);
    pattern::matches(resource, first);
    let Ok(document) = secretcache_access::Document::parse(text) else { return };
    let again = secretcache_access::Document::parse(&document.to_text()).expect("what was written");
    assert_eq!(again, document, "a policy is the same after writing and reading it");
    let (action, context) = ("secretsmanager:GetSecretValue", &Context::default());
    let request = Request { caller: &caller, action, resource, resource_account: "111122223333", context };
    let named = Named { name: "it", document: &document };
    let identity = Policies { identity: vec![named], ..Policies::default() };
    let _ = evaluate(&request, &identity).outcome;
    let _ = evaluate(&request, &Policies { resource: Some(named), ..identity }).outcome;
}

/// The schedule of a rotation: the first line has the expression, the second the duration of its window.
pub fn schedule(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let mut lines = text.split('\n');
    let Ok(schedule) = Schedule::new(lines.next().unwrap_or_default(), lines.next()) else { return };
    let mut now = Timestamp::from_second(1_709_164_800).expect("29 February 2024");
    for _ in 0..4 {
        let Some(window) = schedule.next_after(now, now) else { return };
        assert!(window.opens > now && window.closes > window.opens, "{schedule:?} after {now}: {window:?}");
        assert!(schedule.is_due(window.opens, now), "{schedule:?} is due when its window opens");
        now = window.opens;
    }
}

/// A secret's value: reads its fields as programs do, and changes them as rotations do.
pub fn secret(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let (name, text) = text.split_once('\n').unwrap_or(("password", text));
    let _ = Selector::stage(name).validate();
    let _ = Selector::version_id(name).validate();
    let _ = from_function(name);
    let _ = secretcache::login_refused(Some(name), text);
    let _ = Fetched::string(name, text);
    let Ok(document) = Document::parse(text) else { return };
    let _ = (document.username(), document.password(), document.is_same_resource(&document));
    let changed = document.with(name, "new \"value\"").expect("any field can be set");
    assert_eq!(changed.field(name).expect("what was set").as_str(), "new \"value\"");
    Document::parse(changed.text()).expect("what was written");
}

/// A saved snapshot of an account, for `secretcache audit --offline`.
pub fn snapshot(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Ok(snapshot) = Snapshot::parse(text) else { return };
    Snapshot::parse(&snapshot.to_json()).expect("what was written");
}

/// The TOML files that describe custom targets and providers.
pub fn targets(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let _ = Statements::from_toml(text, Tls::off());
    let _ = HttpTarget::from_toml(text, Tls::off());
    let _ = HttpProvider::from_toml(text, Tls::off());
    let _ = IamProvider::from_toml(text);
}
