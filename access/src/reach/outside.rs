//! Whom outside of the account, or unknown in it, policies of the account let in.

use super::{Account, Outsider, READ};
use crate::document::Document;
use crate::exposure::Exposure;
use crate::snapshot::{Secret, Snapshot};

impl<'a> Account<'a> {
    /// Whom outside of the account the resource policy of a secret lets read it.
    pub fn outsiders(&self, secret: &Secret) -> Vec<Outsider> {
        secret
            .resource_policy
            .as_ref()
            .map(|policy| self.exposure(policy, READ, &secret.arn).outsiders())
            .unwrap_or_default()
    }

    /// Sessions that users of the account made by `sts:GetFederationToken` and that the resource policy lets read it.
    pub fn federated_users(&self, secret: &Secret) -> Vec<Outsider> {
        secret
            .resource_policy
            .as_ref()
            .map(|policy| self.exposure(policy, READ, &secret.arn).federated_users())
            .unwrap_or_default()
    }

    /// What a policy of this account's opens to others.
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
