//! Reads values for `audit --login`. They stay in memory, and the snapshot gets nothing that reveals them.

use std::hash::{BuildHasher, RandomState};

use secretcache::{AWSCURRENT, Selector};
use secretcache_access::Snapshot;
use secretcache_access::snapshot::{Content, NotCollected};
use secretcache_rotation::operate::Login;
use secretcache_rotation::{AwsStore, Document, SecretStore};

use super::obtain::Obtained;
use super::render::WITHOUT_LOGIN;
use crate::exit::Failure;
use crate::rotation::inspect;
use crate::service::Service;

const READ: &str = "secretsmanager:GetSecretValue";

/// Records that values were not read, so that the checks report it.
pub(super) fn skip(snapshot: &mut Snapshot) {
    snapshot.not_collected.push(NotCollected {
        permission: READ.to_owned(),
        resource: None,
        error: WITHOUT_LOGIN.to_owned(),
    });
}

/// Reads every current value and logs in with it.
pub(super) async fn add(obtained: &mut Obtained, service: &Service) -> Result<(), Failure> {
    let store = AwsStore::connect(&service.options()).await?;
    // The hash key is random and lasts only for this command.
    let fingerprint = RandomState::new();
    for place in 0..obtained.snapshot.secrets.len() {
        let arn = obtained.snapshot.secrets[place].arn.clone();
        if obtained.snapshot.secrets[place].deleted_date.is_some() {
            continue;
        }
        match store.get(&arn, Selector::stage(AWSCURRENT)).await {
            Ok(Some(version)) => {
                let content = content(&store, &arn, &version.document, &fingerprint).await;
                obtained.snapshot.secrets[place].content = Some(content);
                find_injected(obtained, &arn, &version.document);
            }
            Ok(None) => {}
            Err(error) => obtained.snapshot.not_collected.push(NotCollected {
                permission: READ.to_owned(),
                resource: Some(arn),
                error: error.to_string(),
            }),
        }
    }
    Ok(())
}

async fn content(store: &AwsStore, arn: &str, document: &Document, fingerprint: &RandomState) -> Content {
    let fields: Vec<String> = document.names().map(str::to_owned).collect();
    let user_and_host = document.username().ok().zip(document.field("host"));
    let mut content = Content {
        credential_fingerprint: user_and_host
            .map(|(user, host)| format!("{:016x}", fingerprint.hash_one((user.as_str(), host.as_str())))),
        engine: document.field("engine").map(|engine| engine.to_string()),
        fields,
        ..Content::default()
    };
    // A secret that cannot be used to log in anywhere is not a finding.
    let Ok(inspection) = inspect(store, arn).await else { return content };
    let current = inspection.versions.iter().find(|it| it.stages.iter().any(|stage| stage == AWSCURRENT));
    match current.map(|version| &version.login) {
        Some(Login::Accepted) => content.current_logs_in = Some(true),
        Some(Login::Refused) => {
            content.current_logs_in = Some(false);
            content.login_failure = Some("the resource refuses AWSCURRENT".to_owned());
        }
        _ => {}
    }
    content
}

/// Finds functions that have the value, or a long enough field of it, in a variable.
fn find_injected(obtained: &mut Obtained, arn: &str, document: &Document) {
    const SHORTEST: usize = 8;
    let secret = ["password", "token", "api_key", "apiKey", "secret", "SecretAccessKey", "connectionString"];
    let fields: Vec<_> = secret.iter().filter_map(|name| document.field(name)).collect();
    for variable in &obtained.variables {
        let has = |value: &str| value.len() >= SHORTEST && variable.text.contains(value);
        let function = &mut obtained.snapshot.functions[variable.function];
        let is_known = function.injected_secrets.iter().any(|it| it == arn);
        if !is_known && (has(document.text()) || fields.iter().any(|field| has(field))) {
            function.injected_secrets.push(arn.to_owned());
        }
    }
}
