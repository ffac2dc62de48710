//! How others name Secrets Manager, and the context keys that every request has.
//!
//! Which keys those are: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>.
//! `aws:ResourceOrgID` and `aws:ResourceOrgPaths` are always there too, but nothing that an account can read says which
//! organization another account belongs to: what depends on them stays undecided, as does what depends on where a request
//! comes from.

use crate::condition::Context;
use crate::evaluate::{Caller, CallerKind};

/// Its host name in a Region, which is also how `kms:ViaService` names it.
pub(crate) fn host(region: &str) -> String {
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("secretsmanager.{region}.{domain}")
}

/// Its name as a service of VPC endpoints.
pub(crate) fn of_endpoints(region: &str) -> String {
    let prefix = if region.starts_with("cn-") { "cn." } else { "" };
    format!("{prefix}com.amazonaws.{region}.secretsmanager")
}

/// What is known of every request of a caller for a resource; the account is taken where the ARN has none.
pub(crate) fn context(caller: &Caller, resource: &str, account: &str) -> Context {
    let mut context = Context::open();
    context.set("aws:SecureTransport", "true"); // the service answers over TLS alone
    if caller.kind == CallerKind::Service {
        context.set("aws:PrincipalIsAWSService", "true");
        context.set("aws:PrincipalServiceName", &caller.arn);
        context.close("aws:Principal");
    } else {
        context.set("aws:PrincipalIsAWSService", "false");
        context.set("aws:PrincipalArn", &caller.arn);
        context.set("aws:PrincipalAccount", &caller.account);
        // Services alone have these, when they call for somebody else.
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

/// Adds what Secrets Manager says when it uses a key for a secret in its caller's name.
pub(crate) fn use_key(context: &mut Context, caller: &Caller, region: &str, secret: Option<&str>) {
    context.set("kms:ViaService", host(region));
    context.set("kms:CallerAccount", &caller.account);
    // Its encryption context has these two and nothing else.
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

/// What gives whoever may call it the use of a key: it may name itself in the policy or in a grant.
pub(crate) const GIVES_KEY: [&str; 2] = ["kms:PutKeyPolicy", "kms:CreateGrant"];

/// Adds what such a request says of itself when its caller makes it directly, and a grant for itself:
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
