//! Grants on keys: <https://docs.aws.amazon.com/kms/latest/developerguide/grants.html>.

use super::{Account, DECRYPT};
use crate::condition::{Context, Truth};
use crate::evaluate::{Caller, concerns_action, conditions_hold};
use crate::exposure::trust::listed;
use crate::service;
use crate::snapshot::Secret;

impl<'a> Account<'a> {
    /// Returns the grants on a secret's key that allow decryption, whatever the policies say, as pairs of grant id and
    /// grantee. Service grantees are left out. Returns `None` if the grants are unknown.
    pub fn grants(&self, secret: &Secret) -> Option<Vec<(&'a str, &'a str)>> {
        let Some(key) = self.key_of(secret) else {
            // `aws/secretsmanager` has no grants.
            return secret.has_default_key().then(Vec::new);
        };
        if key.key_manager == "AWS" {
            return Some(Vec::new());
        }
        let document = key.grants.as_ref()?;
        let mut context = Context::open();
        service::use_key(&mut context, &Caller::from_arn(""), &self.snapshot.region, Some(&secret.arn));
        let opens = document.statements.iter().filter(|it| {
            concerns_action(it, DECRYPT) && conditions_hold(it, &context, document.has_variables) != Truth::No
        });
        let each = opens
            .flat_map(|it| listed(it, "AWS").map(move |who| (it.sid.as_deref().unwrap_or_default(), who)));
        Some(each.collect())
    }
}
