//! The names of Secrets Manager in other services, and the context keys of every request.
//!
//! The keys are listed at <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>.
//! `aws:ResourceOrgID` and `aws:ResourceOrgPaths` are also always present, but nothing that an account can read reveals
//! the organization of another account. Conditions on them stay undecided, like conditions on where a request comes
//! from.

use crate::condition::Context;
use crate::evaluate::{Caller, CallerKind};

/// Returns its host name in a Region, which is also its value of `kms:ViaService`.
pub(crate) fn host(region: &str) -> String {
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("secretsmanager.{region}.{domain}")
}

/// Returns its service name for VPC endpoints.
pub(crate) fn of_endpoints(region: &str) -> String {
    let prefix = if region.starts_with("cn-") { "cn." } else { "" };
    format!("{prefix}com.amazonaws.{region}.secretsmanager")
}

/// Returns the context of every request of a caller for a resource. `account` is the resource's account if its ARN has
/// none.
pub(crate) fn context(caller: &Caller, resource: &str, account: &str) -> Context {
    let mut context = Context::open();
    context.set("aws:SecureTransport", "true"); // the service only accepts TLS
    if caller.kind == CallerKind::Service {
        context.set("aws:PrincipalIsAWSService", "true");
        context.set("aws:PrincipalServiceName", &caller.arn);
        context.close("aws:Principal");
    } else {
        context.set("aws:PrincipalIsAWSService", "false");
        context.set("aws:PrincipalArn", &caller.arn);
        context.set("aws:PrincipalAccount", &caller.account);
        // Only services set these, when they call on someone's behalf.
        ["aws:SourceAccount", "aws:SourceArn", "aws:SourceOrg", "aws:PrincipalServiceName"]
            .iter()
            .for_each(|key| context.close(key));
    }
    match caller.kind {
        CallerKind::User => {
            context.set("aws:PrincipalType", "User");
            context.set("aws:username", caller.arn.rsplit('/').next().unwrap_or_default());
        }
        CallerKind::Root => context.set("aws:PrincipalType", "Account"),
        CallerKind::Service => {}
        _ => context.set("aws:PrincipalType", "AssumedRole"),
    }
    let part = |place| resource.split(':').nth(place).filter(|part| !part.is_empty() && !part.contains('*'));
    if let Some(region) = part(3) {
        context.set("aws:RequestedRegion", region);
    }
    context.set("aws:ResourceAccount", part(4).unwrap_or(account));
    context
}

/// Adds the keys that Secrets Manager sets when it uses a key for a secret on its caller's behalf.
pub(crate) fn use_key(context: &mut Context, caller: &Caller, region: &str, secret: Option<&str>) {
    context.set("kms:ViaService", host(region));
    context.set("kms:CallerAccount", &caller.account);
    // The encryption context has exactly these two entries.
    match secret {
        Some(arn) => context.set("kms:EncryptionContext:SecretARN", arn),
        None => context.set_beginning("kms:EncryptionContext:SecretARN", ""),
    }
    context.set_beginning("kms:EncryptionContext:SecretVersionId", "");
    context.close("kms:EncryptionContext:");
    let keys = ["SecretARN", "SecretVersionId"].map(str::to_owned).to_vec();
    context.set_many("kms:EncryptionContextKeys", keys);
    context.set("aws:ViaAWSService", "true");
}

/// The actions that let a caller give itself the use of a key, by naming itself in the key policy or in a grant.
pub(crate) const GIVES_KEY: [&str; 2] = ["kms:PutKeyPolicy", "kms:CreateGrant"];

/// Adds the keys of such a request, made directly by a caller that creates a grant for itself:
/// <https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html>.
pub(crate) fn give_key(context: &mut Context, caller: &str) {
    context.close("kms:ViaService");
    context.set("aws:ViaAWSService", "false");
    context.set("kms:GrantIsForAWSResource", "false");
    context.set_many("kms:GrantOperations", vec!["Decrypt".to_owned()]);
    context.set("kms:GranteePrincipal", caller);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_china_the_names_are_others() {
        assert_eq!(host("eu-central-1"), "secretsmanager.eu-central-1.amazonaws.com");
        assert_eq!(host("cn-north-1"), "secretsmanager.cn-north-1.amazonaws.com.cn");
        assert_eq!(of_endpoints("cn-north-1"), "cn.com.amazonaws.cn-north-1.secretsmanager");
    }
}
