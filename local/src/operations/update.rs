//! UpdateSecret.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::put::add_version;
use super::read::check_key_access;
use super::{Call, Done, Operation};
use crate::error::ServiceError;
use crate::labels::CURRENT;
use crate::store::{Change, Store};
use crate::validate::{Constraints, client_request_token, one_value};
use crate::value::{SecretBlob, SecretText};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UpdateSecret {
    secret_id: Option<String>,
    client_request_token: Option<String>,
    description: Option<String>,
    kms_key_id: Option<String>,
    secret_binary: Option<SecretBlob>,
    secret_string: Option<SecretText>,
    r#type: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Updated {
    #[serde(rename = "ARN")]
    arn: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_id: Option<String>,
}

impl Operation for UpdateSecret {
    type Output = Updated;

    fn run(self, store: &Store, call: &mut Call<'_>) -> Result<Done<Updated>, ServiceError> {
        Constraints::default()
            .secret_id(self.secret_id.as_ref())
            .length("description", self.description.as_deref(), 0, 2048)
            .length("kmsKeyId", self.kms_key_id.as_deref(), 0, 2048)
            .value(self.secret_string.as_ref(), self.secret_binary.as_ref())
            .check()?;
        let token = client_request_token(self.client_request_token)?;
        let value = one_value(self.secret_string, self.secret_binary)?;
        let (scope, secret) = store.find_live(&call.scope, &self.secret_id.unwrap_or_default(), call.now)?;

        if value.is_some() {
            check_key_access(call, &scope, secret)?;
        }
        let version_id = value.is_some().then(|| token.clone());
        let added = match value {
            Some(value) => add_version(secret, &token, value, &[CURRENT.to_owned()], call.now)?,
            None => None,
        };
        let (mut secret, event) = added.unwrap_or_else(|| (secret.as_ref().clone(), None));
        if let Some(key) = self.kms_key_id {
            secret.set_key((!key.is_empty()).then_some(key));
        }
        for (field, given) in [(&mut secret.description, self.description), (&mut secret.kind, self.r#type)] {
            if let Some(given) = given {
                *field = (!given.is_empty()).then_some(given);
            }
        }
        secret.changed = call.now;
        let output = Updated { arn: secret.arn.clone(), name: secret.name.clone(), version_id };
        Ok(Done::changing(output, Change::Put(scope, Arc::new(secret))).telling(event))
    }
}
