//! Principals outside the account, or unknown in it, that the account's policies let in.

use super::{Account, Outsider, READ};
use crate::document::Document;
use crate::exposure::Exposure;
use crate::snapshot::{Secret, Snapshot};

impl<'a> Account<'a> {
    /// Returns the principals outside the account that a secret's resource policy allows to read it.
    pub fn outsiders(&self, secret: &Secret) -> Vec<Outsider> {
        secret
            .resource_policy
            .as_ref()
            .map(|policy| self.exposure(policy, READ, &secret.arn).outsiders())
            .unwrap_or_default()
    }

    /// Returns the sessions created by users of the account with `sts:GetFederationToken` that the resource policy
    /// allows to read the secret.
    pub fn federated_users(&self, secret: &Secret) -> Vec<Outsider> {
        secret
            .resource_policy
            .as_ref()
            .map(|policy| self.exposure(policy, READ, &secret.arn).federated_users())
            .unwrap_or_default()
    }

    /// Builds the [`Exposure`] of one of this account's policies.
    pub(crate) fn exposure<'p>(
        &self,
        policy: &'p Document,
        action: &'p str,
        resource: &'p str,
    ) -> Exposure<'p>
    where
        'a: 'p,
    {
        let Snapshot { account, organization_id, principals, taken_at, .. } = self.snapshot;
        Exposure {
            policy,
            action,
            resource: Some(resource),
            account,
            organization: organization_id.as_deref(),
            principals,
            now: *taken_at,
        }
    }
}
