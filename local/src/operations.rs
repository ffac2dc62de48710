//! The operations. Each is a pure function of the store, the request and the [`Call`].

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

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use rand::Rng;
use secretcache_rotation::from_function;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::arn::Scope;
use crate::error::{ErrorCode, ServiceError, is_half_a_pair};
use crate::events::Event;
use crate::replication;
use crate::secret::Secret;
use crate::store::{Change, Store};
use crate::time::Timestamp;
use crate::validate;

/// The context of a call: what an operation needs in addition to the store and its parameters.
pub struct Call<'a> {
    /// The time of the call.
    pub now: Timestamp,
    /// The caller's account and Region, which also apply to secrets given by name.
    pub scope: Scope,
    /// The source of randomness for ARN suffixes and passwords.
    pub random: &'a mut dyn Rng,
    /// The rotation functions that can be invoked.
    pub functions: Functions,
}

/// The rotation functions that can be invoked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Functions {
    /// Functions with the names of AWS's own templates, which run in-process.
    #[default]
    BuiltIn,
    /// The built-in functions, and those with these names, which are described by files.
    Described(Arc<BTreeSet<String>>),
    /// Any function, because there is an endpoint that runs Lambda functions.
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

/// Returns the name in a function's ARN.
pub(crate) fn name_of(function: &str) -> &str {
    let mut parts = function.split(':');
    parts.find(|part| *part == "function").and_then(|_| parts.next()).unwrap_or(function)
}

/// The result of an operation.
#[derive(PartialEq)]
pub struct Outcome {
    /// The JSON body of the response. It can contain secret values.
    pub body: Vec<u8>,
    /// The changes to apply to the store before responding.
    pub changes: Vec<Change>,
    /// The rotation events that the operation caused.
    pub events: Vec<Event>,
}

/// Does not show the body, because it can contain secret values.
impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcome").field("changes", &self.changes).finish_non_exhaustive()
    }
}

/// All operations, by name.
const OPERATIONS: &[(&str, Run)] = &[
    ("AssociateCrossAccountReplica", run::<replicate::AssociateCrossAccountReplica>),
    ("BatchGetSecretValue", run::<batch::BatchGetSecretValue>),
    ("CancelRotateSecret", run::<rotate::CancelRotateSecret>),
    ("CreateSecret", run::<create::CreateSecret>),
    ("DeleteResourcePolicy", run::<policy::DeleteResourcePolicy>),
    ("DeleteSecret", run::<delete::DeleteSecret>),
    ("DescribeSecret", run::<describe::DescribeSecret>),
    ("DisassociateCrossAccountReplica", run::<replicate::DisassociateCrossAccountReplica>),
    ("GetRandomPassword", run::<password::GetRandomPassword>),
    ("GetResourcePolicy", run::<policy::GetResourcePolicy>),
    ("GetSecretValue", run::<read::GetSecretValue>),
    ("ListResourcePolicies", run::<policy::ListResourcePolicies>),
    ("ListSecretVersionIds", run::<versions::ListSecretVersionIds>),
    ("ListSecrets", run::<list::ListSecrets>),
    ("PutResourcePolicy", run::<policy::PutResourcePolicy>),
    ("PutSecretValue", run::<put::PutSecretValue>),
    ("RemoveRegionsFromReplication", run::<replicate::RemoveRegionsFromReplication>),
    ("ReplicateSecretToRegions", run::<replicate::ReplicateSecretToRegions>),
    ("RestoreSecret", run::<delete::RestoreSecret>),
    ("RotateSecret", run::<rotate::RotateSecret>),
    ("StopReplicationToReplica", run::<replicate::StopReplicationToReplica>),
    ("TagResource", run::<tag::TagResource>),
    ("UntagResource", run::<tag::UntagResource>),
    ("UpdateSecret", run::<update::UpdateSecret>),
    ("UpdateSecretVersionStage", run::<stage::UpdateSecretVersionStage>),
    ("ValidateResourcePolicy", run::<policy::ValidateResourcePolicy>),
];

type Run = fn(&Store, &mut Call<'_>, &str, &[u8]) -> Result<Outcome, ServiceError>;

/// Returns the names of all operations.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    OPERATIONS.iter().map(|(name, _)| *name)
}

/// Runs the operation `name` (`GetSecretValue`, …) with the JSON parameters in `body`.
pub fn execute(store: &Store, call: &mut Call<'_>, name: &str, body: &[u8]) -> Result<Outcome, ServiceError> {
    let Some((_, run)) = OPERATIONS.iter().find(|(known, _)| *known == name) else {
        return Err(ServiceError::new(
            ErrorCode::UnknownOperation,
            format!("Secrets Manager has no operation called {name:?}."),
        ));
    };
    let mut outcome = run(store, call, name, body)?;
    replication::check(store, name, &outcome.changes)?;
    replication::follow(store, &mut outcome.changes);
    Ok(outcome)
}

/// Returns whether an operation only reads, so that a fault can make it read an old state.
pub(crate) fn is_read(name: &str) -> bool {
    ["Get", "BatchGet", "Describe", "List"].iter().any(|verb| name.starts_with(verb))
}

/// An operation. Its fields are the parameters of the request.
trait Operation: DeserializeOwned {
    type Output: Serialize;

    fn run(self, store: &Store, call: &mut Call<'_>) -> Result<Done<Self::Output>, ServiceError>;
}

/// The result of an operation before serialization: the response, the changes and the events.
struct Done<T> {
    output: T,
    changes: Vec<Change>,
    events: Vec<Event>,
}

impl<T> Done<T> {
    fn reading(output: T) -> Self {
        Self::with(output, Vec::new())
    }

    fn putting(output: T, scope: Scope, secret: Secret) -> Self {
        Self::with(output, vec![Change::Put(scope, Arc::new(secret))])
    }

    fn with(output: T, changes: Vec<Change>) -> Self {
        Self { output, changes, events: Vec::new() }
    }

    fn with_events(self, events: impl IntoIterator<Item = Event>) -> Self {
        Self { events: events.into_iter().collect(), ..self }
    }
}

/// The response of many operations: the secret, and the version if one was created.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    #[serde(rename = "ARN")]
    arn: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_id: Option<String>,
}

impl Named {
    fn of(secret: &Secret, version_id: Option<String>) -> Self {
        Self { arn: secret.arn.clone(), name: secret.name.clone(), version_id }
    }
}

/// The response of an operation without output.
#[derive(Serialize)]
struct Nothing {}

fn run<O: Operation>(
    store: &Store,
    call: &mut Call<'_>,
    name: &str,
    body: &[u8],
) -> Result<Outcome, ServiceError> {
    let body = if body.is_empty() { b"{}" } else { body };
    let request = parse::<O>(body)?;
    validate::check(name, body)?;
    let done = request.run(store, call)?;
    let body = serde_json::to_vec(&done.output).map_err(|_| {
        ServiceError::new(ErrorCode::InternalServiceError, "The response could not be written as JSON.")
    })?;
    Ok(Outcome { body, changes: done.changes, events: done.events })
}

/// Parses the parameters. An error gives the location but never quotes the input, which can contain a secret.
fn parse<O: DeserializeOwned>(body: &[u8]) -> Result<O, ServiceError> {
    let failed = |what: String| ServiceError::new(ErrorCode::Serialization, what);
    // serde also accepts a JSON array of the members.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(failed("The request is not a JSON object.".to_owned()));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let request = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        match error.classify() {
            serde_json::error::Category::Data if path == "." => {
                failed("A member of the request appears twice.".to_owned())
            }
            serde_json::error::Category::Data => {
                failed(format!("The member at {path} has the wrong type or encoding."))
            }
            _ if is_half_a_pair(&error) => failed(format!(
                "A \\u escape is half of a surrogate pair, and the other half is missing (line {}, column {}).",
                error.line(),
                error.column()
            )),
            _ => {
                failed(format!("The request is not JSON (line {}, column {}).", error.line(), error.column()))
            }
        }
    })?;
    reader.end().map_err(|_| failed("The request has more text after its JSON object.".to_owned()))?;
    Ok(request)
}
