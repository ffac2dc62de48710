//! The operations, each a pure function of the store, the request and what the caller brings.

mod batch;
mod create;
mod delete;
mod describe;
mod list;
mod password;
mod policy;
mod put;
mod read;
mod replicate;
mod rotate;
mod stage;
mod tag;
mod update;
mod versions;

use std::fmt;

use std::collections::BTreeSet;
use std::sync::Arc;

use rand::Rng;
use secretcache_rotation::from_function;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::arn::Scope;
use crate::error::{ErrorCode, ServiceError};
use crate::events::Event;
use crate::replication;
use crate::store::{Change, Store};
use crate::time::Timestamp;

/// What an operation needs beside the store and its parameters.
pub struct Call<'a> {
    /// When it happens.
    pub now: Timestamp,
    /// Who calls: names without an ARN mean this account and region.
    pub scope: Scope,
    /// For ARN suffixes and passwords.
    pub random: &'a mut dyn Rng,
    /// Which rotation functions can be invoked.
    pub functions: Functions,
}

/// Which rotation functions can be invoked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Functions {
    /// Those of AWS's own templates, whose work is done here.
    #[default]
    BuiltIn,
    /// Those, and the ones with these names, which files describe.
    Described(Arc<BTreeSet<String>>),
    /// Any: there is an endpoint that runs Lambda functions.
    Any,
}

impl Functions {
    pub(crate) fn can_invoke(&self, function: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Described(names) if names.contains(name_of(function)) => true,
            _ => from_function(function).is_some(),
        }
    }
}

/// The name in a function's ARN.
pub(crate) fn name_of(function: &str) -> &str {
    let mut parts = function.split(':');
    parts.find(|part| *part == "function").and_then(|_| parts.next()).unwrap_or(function)
}

/// What an operation gives back.
#[derive(PartialEq)]
pub struct Outcome {
    /// The JSON body of the answer. It may hold secret values.
    pub body: Vec<u8>,
    /// What to store before answering.
    pub changes: Vec<Change>,
    /// What happened to rotations.
    pub events: Vec<Event>,
}

/// The body may hold secret values, so it is not shown.
impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcome").field("changes", &self.changes).finish_non_exhaustive()
    }
}

/// Every operation that there is.
pub(crate) const NAMES: &[&str] = &[
    "AssociateCrossAccountReplica",
    "BatchGetSecretValue",
    "CancelRotateSecret",
    "CreateSecret",
    "DeleteResourcePolicy",
    "DeleteSecret",
    "DescribeSecret",
    "DisassociateCrossAccountReplica",
    "GetRandomPassword",
    "GetResourcePolicy",
    "GetSecretValue",
    "ListResourcePolicies",
    "ListSecretVersionIds",
    "ListSecrets",
    "PutResourcePolicy",
    "PutSecretValue",
    "RemoveRegionsFromReplication",
    "ReplicateSecretToRegions",
    "RestoreSecret",
    "RotateSecret",
    "StopReplicationToReplica",
    "TagResource",
    "UntagResource",
    "UpdateSecret",
    "UpdateSecretVersionStage",
    "ValidateResourcePolicy",
];

/// Runs the operation `name` (`GetSecretValue`, …) with the JSON parameters in `body`.
pub fn execute(store: &Store, call: &mut Call<'_>, name: &str, body: &[u8]) -> Result<Outcome, ServiceError> {
    let mut outcome = match name {
        "AssociateCrossAccountReplica" => run::<replicate::AssociateCrossAccountReplica>(store, call, body),
        "BatchGetSecretValue" => run::<batch::BatchGetSecretValue>(store, call, body),
        "CancelRotateSecret" => run::<rotate::CancelRotateSecret>(store, call, body),
        "CreateSecret" => run::<create::CreateSecret>(store, call, body),
        "DeleteResourcePolicy" => run::<policy::DeleteResourcePolicy>(store, call, body),
        "DeleteSecret" => run::<delete::DeleteSecret>(store, call, body),
        "DescribeSecret" => run::<describe::DescribeSecret>(store, call, body),
        "DisassociateCrossAccountReplica" => {
            run::<replicate::DisassociateCrossAccountReplica>(store, call, body)
        }
        "GetRandomPassword" => run::<password::GetRandomPassword>(store, call, body),
        "GetResourcePolicy" => run::<policy::GetResourcePolicy>(store, call, body),
        "GetSecretValue" => run::<read::GetSecretValue>(store, call, body),
        "ListResourcePolicies" => run::<policy::ListResourcePolicies>(store, call, body),
        "ListSecretVersionIds" => run::<versions::ListSecretVersionIds>(store, call, body),
        "ListSecrets" => run::<list::ListSecrets>(store, call, body),
        "PutResourcePolicy" => run::<policy::PutResourcePolicy>(store, call, body),
        "PutSecretValue" => run::<put::PutSecretValue>(store, call, body),
        "RemoveRegionsFromReplication" => run::<replicate::RemoveRegionsFromReplication>(store, call, body),
        "ReplicateSecretToRegions" => run::<replicate::ReplicateSecretToRegions>(store, call, body),
        "RestoreSecret" => run::<delete::RestoreSecret>(store, call, body),
        "RotateSecret" => run::<rotate::RotateSecret>(store, call, body),
        "StopReplicationToReplica" => run::<replicate::StopReplicationToReplica>(store, call, body),
        "TagResource" => run::<tag::TagResource>(store, call, body),
        "UntagResource" => run::<tag::UntagResource>(store, call, body),
        "UpdateSecret" => run::<update::UpdateSecret>(store, call, body),
        "UpdateSecretVersionStage" => run::<stage::UpdateSecretVersionStage>(store, call, body),
        "ValidateResourcePolicy" => run::<policy::ValidateResourcePolicy>(store, call, body),
        _ => Err(ServiceError::new(
            ErrorCode::UnknownOperation,
            format!("Secrets Manager has no operation called {name:?}."),
        )),
    }?;
    replication::check(store, name, &outcome.changes)?;
    replication::follow(store, &mut outcome.changes);
    Ok(outcome)
}

/// Whether an operation only reads, so that a fault may make it read the past.
pub(crate) fn is_read(name: &str) -> bool {
    ["Get", "BatchGet", "Describe", "List"].iter().any(|verb| name.starts_with(verb))
}

/// One operation: its fields are the parameters of the request.
trait Operation: DeserializeOwned {
    type Output: Serialize;

    fn run(self, store: &Store, call: &mut Call<'_>) -> Result<Done<Self::Output>, ServiceError>;
}

/// An operation's answer with the changes it makes.
struct Done<T> {
    output: T,
    changes: Vec<Change>,
    events: Vec<Event>,
}

impl<T> Done<T> {
    fn reading(output: T) -> Self {
        Self::with(output, Vec::new())
    }

    fn changing(output: T, change: Change) -> Self {
        Self::with(output, vec![change])
    }

    fn with(output: T, changes: Vec<Change>) -> Self {
        Self { output, changes, events: Vec::new() }
    }

    fn telling(self, events: impl IntoIterator<Item = Event>) -> Self {
        Self { events: events.into_iter().collect(), ..self }
    }
}

/// The two members many answers consist of.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ArnAndName {
    #[serde(rename = "ARN")]
    arn: String,
    name: String,
}

/// The answer of an operation without output.
#[derive(Serialize)]
struct Nothing {}

fn run<O: Operation>(store: &Store, call: &mut Call<'_>, body: &[u8]) -> Result<Outcome, ServiceError> {
    let done = parse::<O>(body)?.run(store, call)?;
    let body = serde_json::to_vec(&done.output).map_err(|_| {
        ServiceError::new(ErrorCode::InternalServiceError, "The answer could not be written as JSON.")
    })?;
    Ok(Outcome { body, changes: done.changes, events: done.events })
}

/// Reads the parameters. The error names the place but never quotes the input, which may hold a secret.
fn parse<O: DeserializeOwned>(body: &[u8]) -> Result<O, ServiceError> {
    let body = if body.is_empty() { b"{}" } else { body };
    let failed = |what: String| ServiceError::new(ErrorCode::Serialization, what);
    // serde would also read a structure from a list of its members.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(failed("The request is not a JSON object.".to_owned()));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let request = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        match error.classify() {
            serde_json::error::Category::Data => {
                failed(format!("The member at {path} has the wrong type or encoding."))
            }
            _ => {
                failed(format!("The request is not JSON (line {}, column {}).", error.line(), error.column()))
            }
        }
    })?;
    reader.end().map_err(|_| failed("The request goes on after its JSON object.".to_owned()))?;
    Ok(request)
}
