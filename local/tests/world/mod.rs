//! A store with a clock and a caller, used without a server.

#![allow(dead_code, reason = "each test file uses only some of it")]

use rand::SeedableRng;
use rand::rngs::StdRng;
use secretcache_local::{
    Call, ErrorCode, EventName, Functions, Scope, ServiceError, Store, Timestamp, execute,
};
use serde_json::{Value, json};

/// The response of an operation.
pub(crate) type Answer = Result<Value, ServiceError>;

/// A store, with the scope of the caller and the current time.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) now: Timestamp,
    pub(crate) scope: Scope,
    /// The rotation events so far.
    pub(crate) events: Vec<EventName>,
    pub(crate) functions: Functions,
    random: StdRng,
    tokens: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            store: Store::new(true),
            now: Timestamp::from_secs(1_700_000_000),
            scope: Scope::new("123456789012", "us-east-1"),
            random: StdRng::seed_from_u64(7),
            tokens: 0,
            events: Vec::new(),
            functions: Functions::default(),
        }
    }

    /// Runs an operation and applies its changes, as the server does.
    pub(crate) fn call(&mut self, operation: &str, parameters: Value) -> Answer {
        let (now, scope) = (self.now, self.scope.clone());
        let mut call = Call { now, scope, random: &mut self.random, functions: self.functions.clone() };
        let outcome = execute(&self.store, &mut call, operation, parameters.to_string().as_bytes())?;
        for change in outcome.changes {
            self.store.apply(change, self.now);
        }
        self.events.extend(outcome.events.into_iter().map(|event| event.event));
        Ok(serde_json::from_slice(&outcome.body).unwrap())
    }

    /// Like [`World::call`], but adds the `ClientRequestToken` that an SDK would add.
    pub(crate) fn sdk(&mut self, operation: &str, mut parameters: Value) -> Answer {
        self.tokens += 1;
        parameters.as_object_mut().unwrap().entry("ClientRequestToken").or_insert(json!(token(self.tokens)));
        self.call(operation, parameters)
    }

    /// Creates a secret with a value, and returns its ARN and version id.
    pub(crate) fn create(&mut self, name: &str, value: &str) -> (String, String) {
        let made = self.sdk("CreateSecret", json!({"Name": name, "SecretString": value})).unwrap();
        (text(&made["ARN"]), text(&made["VersionId"]))
    }

    /// Adds a version and returns its id.
    pub(crate) fn put(&mut self, id: &str, value: &str, stages: Option<&[&str]>) -> String {
        let mut parameters = json!({"SecretId": id, "SecretString": value});
        if let Some(stages) = stages {
            parameters["VersionStages"] = json!(stages);
        }
        text(&self.sdk("PutSecretValue", parameters).unwrap()["VersionId"])
    }

    /// Returns the current value.
    pub(crate) fn get(&mut self, id: &str) -> Result<String, ServiceError> {
        self.call("GetSecretValue", json!({"SecretId": id})).map(|answer| text(&answer["SecretString"]))
    }

    /// Returns the labels by version id.
    pub(crate) fn labels(&mut self, id: &str) -> Value {
        self.call("DescribeSecret", json!({"SecretId": id})).unwrap()["VersionIdsToStages"].take()
    }

    pub(crate) fn days_pass(&mut self, days: i64) {
        self.now = self.now.plus_days(days);
    }

    pub(crate) fn seconds_pass(&mut self, seconds: i64) {
        self.now = self.now.plus_millis(seconds * 1000);
    }
}

/// Returns the n-th token, which is always the same.
pub(crate) fn token(n: u64) -> String {
    format!("00000000-0000-4000-8000-{n:012}")
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a string, not {value}")).to_owned()
}

/// Checks the type and message of an error.
#[track_caller]
pub(crate) fn refused(answer: Answer, code: ErrorCode, message: &str) {
    let error = answer.expect_err("an error");
    assert_eq!(error.code(), code, "{error}");
    assert!(error.message().contains(message), "{error}");
}
