//! Fills a [`Snapshot`] from AWS, with read-only calls.
//!
//! Data that many secrets share is read once. Each secret takes three calls: `DescribeSecret`, `GetResourcePolicy` and
//! `ListSecretVersionIds`. The last two are limited to 40 a second each, because their quota is 50. [`CALLS`] lists
//! every call that the collector can make.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use aws_types::SdkConfig;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::document::Document;
use crate::service;
use crate::snapshot::{FORMAT, NotCollected, Snapshot};

mod client;
mod history;
mod identity;
mod network;
mod secrets;
mod usage;
mod watch;
mod workloads;
mod xml;

use client::{Client, Fault};

/// Every call that the collector can make, by its permission. None of them changes anything.
pub const CALLS: &[&str] = &[
    "sts:GetCallerIdentity",
    "secretsmanager:ListSecrets",
    "secretsmanager:DescribeSecret",
    "secretsmanager:GetResourcePolicy",
    "secretsmanager:ListSecretVersionIds",
    "kms:DescribeKey",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListGrants",
    "iam:GetAccountAuthorizationDetails",
    "organizations:DescribeOrganization",
    "organizations:ListParents",
    "organizations:ListPoliciesForTarget",
    "organizations:DescribePolicy",
    "cloudtrail:DescribeTrails",
    "cloudtrail:GetTrailStatus",
    "cloudtrail:GetEventSelectors",
    "cloudtrail:LookupEvents",
    "events:ListRules",
    "events:ListTargetsByRule",
    "logs:DescribeMetricFilters",
    "cloudwatch:DescribeAlarms",
    "ec2:DescribeInstances",
    "ec2:DescribeVpcEndpoints",
    "ec2:DescribeVpcAttribute",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "lambda:ListFunctions",
    "lambda:GetPolicy",
    "ecs:ListTaskDefinitions",
    "ecs:DescribeTaskDefinition",
    "ecs:ListClusters",
    "ecs:ListServices",
    "ecs:DescribeServices",
    "rds:DescribeDBInstances",
    "rds:DescribeDBClusters",
    "rds:DescribeDBProxies",
];

/// The secrets to collect.
#[derive(Clone, Debug)]
pub enum Selection {
    /// All secrets of the account in this Region.
    All,
    /// Secrets whose names start with this prefix.
    Prefix(String),
    /// These secrets, by name or ARN.
    Ids(Vec<String>),
}

/// Options of [`collect`].
#[derive(Clone, Debug)]
pub struct Options {
    /// The secrets to collect.
    pub selection: Selection,
    /// The current time.
    pub now: Timestamp,
    /// How many days of CloudTrail's event history to search, 1 to 90; `None` skips the search.
    pub look_back: Option<u32>,
    /// Whether to resolve the service's name on this machine.
    pub from_inside: bool,
    /// Regions in which secrets are allowed.
    pub allowed_regions: Vec<String>,
    /// The endpoint of every service; overrides the environment and the profile.
    pub endpoint_url: Option<String>,
}

/// The reason why nothing could be collected.
#[derive(Debug)]
pub struct CollectError {
    message: String,
    is_temporary: bool,
}

impl CollectError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_temporary: false }
    }

    fn of(call: &str, fault: &Fault) -> Self {
        Self { message: format!("{call}: {fault}"), is_temporary: fault.is_temporary() }
    }

    /// Whether the same collection can succeed later, for example because a service could not be reached.
    pub fn is_temporary(&self) -> bool {
        self.is_temporary
    }
}

impl fmt::Display for CollectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CollectError {}

/// The text of a function's environment variable, which can be a secret: it is never printed or stored.
pub struct Variable {
    /// The function's index in the snapshot.
    pub function: usize,
    /// The text.
    pub text: String,
}

impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Variable {{ function: {} }}", self.function)
    }
}

/// The result of a collection.
#[derive(Debug)]
pub struct Collected {
    /// The snapshot, without secret values.
    pub snapshot: Snapshot,
    /// Texts of variables to compare secrets with; drop them afterwards.
    pub variables: Vec<Variable>,
    /// The secrets requested by ID that could not be read, each with the reason. The others were read.
    pub missing: Vec<String>,
}

/// Collects a snapshot. Calls `progress` with the kind of data being read, how many were read, and how many there are.
///
/// # Errors
///
/// Fails if there are no credentials or no Region, if a service is unreachable, if the secrets cannot be listed, or if
/// none of the secrets requested by ID can be read. Other refusals are recorded in [`Snapshot::not_collected`].
pub async fn collect(
    config: &SdkConfig,
    connector: SharedHttpConnector,
    options: &Options,
    progress: &(dyn Fn(&str, usize, usize) + Sync),
) -> Result<Collected, CollectError> {
    let client = Arc::new(Client::new(config, connector, options.endpoint_url.as_deref())?);
    let mut collector = Collector {
        client,
        snapshot: Snapshot {
            format: FORMAT,
            taken_at: Some(options.now),
            allowed_regions: options.allowed_regions.clone(),
            ..Snapshot::default()
        },
        variables: Vec::new(),
        missing: Vec::new(),
        instance_profiles: BTreeMap::new(),
        progress,
    };
    collector.all(options).await?;
    let Collector { client, mut snapshot, variables, missing, .. } = collector;
    snapshot.calls = client.calls();
    snapshot.not_collected.sort_by(|a, b| (&a.permission, &a.resource).cmp(&(&b.permission, &b.resource)));
    snapshot.not_collected.dedup();
    Ok(Collected { snapshot, variables, missing })
}

struct Collector<'a> {
    client: Arc<Client>,
    snapshot: Snapshot,
    variables: Vec<Variable>,
    missing: Vec<String>,
    /// The role of each instance profile, by ARN.
    instance_profiles: BTreeMap<String, String>,
    progress: &'a (dyn Fn(&str, usize, usize) + Sync),
}

impl Collector<'_> {
    async fn all(&mut self, options: &Options) -> Result<(), CollectError> {
        let identity = self.client.query("sts", "GetCallerIdentity", &[]).await;
        let identity = identity.map_err(|fault| CollectError::of("sts:GetCallerIdentity", &fault))?;
        let arn = text(&identity["GetCallerIdentityResult"]["Arn"]);
        self.snapshot.account = text(&identity["GetCallerIdentityResult"]["Account"]);
        self.snapshot.partition = arn.split(':').nth(1).unwrap_or("aws").to_owned();
        self.snapshot.region = self.client.region().to_owned();
        self.secrets(&options.selection).await?;
        self.report("keys");
        self.keys().await;
        self.report("roles, users and policies");
        self.principals().await;
        self.report("the organization");
        self.organization().await;
        self.report("trails, rules and alarms");
        self.trails().await;
        self.rules().await;
        self.alarms().await;
        self.report("functions");
        self.functions().await;
        self.report("tasks, services and instances");
        let mut definitions = self.tasks().await;
        self.services(&mut definitions).await;
        self.instances().await;
        self.report("VPC endpoints");
        self.endpoints().await;
        self.report("databases");
        self.databases().await;
        if let Some(days) = options.look_back {
            self.version_reads(options.now, days).await;
        }
        if options.from_inside {
            self.resolve();
        }
        Ok(())
    }

    fn report(&self, what: &str) {
        (self.progress)(what, 0, 0);
    }

    /// Returns the answer, or records why there is none.
    fn noted(
        &mut self,
        permission: &str,
        resource: Option<&str>,
        answer: Result<Value, Fault>,
    ) -> Option<Value> {
        match answer {
            Ok(answer) => Some(answer),
            Err(fault) => {
                self.note(permission, resource, fault.to_string());
                None
            }
        }
    }

    fn note(&mut self, permission: &str, resource: Option<&str>, error: String) {
        self.snapshot.not_collected.push(NotCollected {
            permission: permission.to_owned(),
            resource: resource.map(str::to_owned),
            error,
        });
    }

    /// Parses a policy, or records that it is not understood.
    fn policy(&mut self, permission: &str, resource: &str, text: &str) -> Option<Document> {
        match Document::parse(text) {
            Ok(document) => Some(document),
            Err(error) => {
                self.note(permission, Some(resource), format!("{resource}: {error}"));
                None
            }
        }
    }

    /// Reads all pages of a list, in a JSON protocol.
    async fn pages(
        &mut self,
        service: &'static str,
        action: &str,
        mut body: Value,
        items: &str,
        [token, next]: [&str; 2],
    ) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let answer = self.client.json(service, action, &body).await;
            let Some(mut answer) = self.noted(&format!("{service}:{action}"), None, answer) else {
                return all;
            };
            if let Value::Array(page) = taken(&mut answer, items) {
                all.extend(page);
            }
            match &answer[next] {
                Value::String(more) if !more.is_empty() => body[token] = json!(more),
                _ => return all,
            }
        }
    }

    /// Reads all pages of a list, in the Query protocol.
    async fn query_pages(
        &mut self,
        service: &'static str,
        action: &str,
        parameters: &[(&str, &str)],
        items: &str,
        [token, next]: [&str; 2],
    ) -> Vec<Value> {
        let mut all = Vec::new();
        let mut marker = String::new();
        loop {
            let mut with_token = parameters.to_vec();
            if !marker.is_empty() {
                with_token.push((token, &marker));
            }
            let answer = self.client.query(service, action, &with_token).await;
            let Some(answer) = self.noted(&format!("{service}:{action}"), None, answer) else { return all };
            // EC2 does not wrap its result in an element.
            let result = match &answer[format!("{action}Result")] {
                Value::Null => &answer,
                result => result,
            };
            all.extend(list(&result[items]).into_iter().cloned());
            marker = text(&result[next]);
            if marker.is_empty() {
                return all;
            }
        }
    }

    fn resolve(&mut self) {
        use std::net::ToSocketAddrs;
        let host = service::host(&self.snapshot.region);
        match (host.as_str(), 443).to_socket_addrs() {
            Ok(addresses) => {
                self.snapshot.resolved_addresses =
                    addresses.map(|address| address.ip().to_string()).collect();
            }
            Err(error) => self.note("dns:resolve", None, format!("{host}: {error}")),
        }
    }
}

/// Takes a field out of an answer. An answer that is no object has none.
fn taken(answer: &mut Value, name: &str) -> Value {
    answer.get_mut(name).map(Value::take).unwrap_or_default()
}

/// A string, or an empty one.
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    list(value).into_iter().map(text).collect()
}

/// A list in any of the shapes that XML produces: many items, one, or none.
fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(all) => all.iter().collect(),
        Value::Object(fields) if fields.len() == 1 => {
            let only = fields.values().next().unwrap_or(&Value::Null);
            match only {
                Value::Array(all) => all.iter().collect(),
                one => vec![one],
            }
        }
        _ => Vec::new(),
    }
}

fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// A time given as seconds since 1970 or as text.
fn time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(seconds) =>
        {
            #[expect(clippy::cast_possible_truncation, reason = "milliseconds of a date fit")]
            Timestamp::from_millisecond((seconds.as_f64()? * 1000.0) as i64).ok()
        }
        _ => None,
    }
}
