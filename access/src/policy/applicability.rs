//! Checks which options apply to which kind of policy.

use super::{Kind, Scope, ScopeError, wrong};
use crate::permissions::{FEATURES, On};

/// The kinds that are attached to a role or user, and that take features.
const OF_IDENTITIES: [Kind; 4] = [Kind::App, Kind::Rotation, Kind::Ci, Kind::Operator];
/// The kinds that are attached to a shared resource.
const SHARED: [Kind; 3] = [Kind::Kms, Kind::Resource, Kind::Endpoint];

impl Scope {
    /// Rejects options that would have no effect on a policy of this kind, or with these features, since whoever gives
    /// one expects an effect.
    pub(super) fn check_applicability(&self, kind: Kind, features: &[&str]) -> Result<(), ScopeError> {
        let is_of_identity = OF_IDENTITIES.contains(&kind);
        if !is_of_identity && !features.is_empty() && features != kind.default_features() {
            return wrong(unfit("--feature", kind, &OF_IDENTITIES));
        }
        let of_features = [
            ("--key", &self.keys, &[On::Keys][..]),
            ("--master-secret", &self.master_secrets, &[On::MasterSecrets]),
            ("--master-key", &self.master_keys, &[On::MasterKeys]),
            ("--user", &self.users, &[On::Users]),
            ("--role", &self.roles, &[On::Roles]),
            ("--function", &self.functions, &[On::Functions, On::Logs]),
        ];
        for (option, _, uses) in of_features.into_iter().filter(|(_, given, _)| !given.is_empty()) {
            // An endpoint policy lets rotators read the administrator's secret as well.
            if option == "--master-secret" && kind == Kind::Endpoint {
                if self.rotators.is_empty() {
                    return wrong("--master-secret applies to those who rotate: name them too (--rotator)");
                }
                continue;
            }
            if !is_of_identity {
                let endpoint = (option == "--master-secret").then_some(Kind::Endpoint);
                let fits: Vec<_> = OF_IDENTITIES.into_iter().chain(endpoint).collect();
                return wrong(unfit(option, kind, &fits));
            }
            let fitting = FEATURES.iter().filter(|it| it.grants.iter().any(|grant| uses.contains(&grant.on)));
            let fitting: Vec<_> = fitting.map(|feature| feature.id).collect();
            if !features.iter().any(|feature| fitting.contains(feature)) {
                return wrong(format!(
                    "{option} does not apply to the features {}; it applies to --feature {}",
                    features.join(", "),
                    fitting.join(", ")
                ));
            }
        }
        for (option, given, fits) in [
            ("--reader", &self.readers, &SHARED[..]),
            ("--rotator", &self.rotators, &SHARED),
            ("--administrator", &self.administrators, &[Kind::Kms]),
            ("--endpoint", &self.endpoints, &[Kind::Resource]),
        ] {
            if !given.is_empty() && !fits.contains(&kind) {
                return wrong(unfit(option, kind, fits));
            }
        }
        Ok(())
    }
}

fn unfit(option: &str, kind: Kind, fits: &[Kind]) -> String {
    let kinds: Vec<_> = fits.iter().map(|kind| kind.name()).collect();
    format!("{option} does not apply to the kind {}; it applies to {}", kind.name(), kinds.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_policy_has_no_use_for_is_refused() {
        let policy = |kind: Kind, features: &[&str], change: fn(&mut Scope)| {
            let mut scope = Scope {
                secrets: vec!["a".into()],
                account: "111122223333".into(),
                region: "eu-central-1".into(),
                ..Scope::default()
            };
            if SHARED.contains(&kind) {
                scope.readers = vec!["arn:aws:iam::111122223333:role/app".into()];
            }
            change(&mut scope);
            let features = if features.is_empty() { kind.default_features() } else { features };
            scope.policy(kind, features).map(drop).map_err(|error| error.to_string())
        };
        let reader: fn(&mut Scope) = |it| it.readers = vec!["arn:aws:iam::111122223333:role/app".into()];
        let administrator: fn(&mut Scope) =
            |it| it.administrators = vec!["arn:aws:iam::111122223333:root".into()];
        let endpoint: fn(&mut Scope) = |it| it.endpoints = vec!["vpce-0".into()];
        let key: fn(&mut Scope) = |it| it.keys = vec!["arn:aws:kms:eu-central-1:111122223333:key/k".into()];
        let function: fn(&mut Scope) = |it| it.functions = vec!["rotate".into()];
        let user: fn(&mut Scope) = |it| it.users = vec!["ci".into()];
        let role: fn(&mut Scope) = |it| it.roles = vec!["reads".into()];
        let master: fn(&mut Scope) = |it| it.master_secrets = vec!["admin".into()];
        for (kind, features, change, said) in [
            (
                Kind::App,
                &[][..],
                reader,
                "--reader does not apply to the kind app; it applies to kms, resource, endpoint",
            ),
            (
                Kind::Rotation,
                &[],
                administrator,
                "--administrator does not apply to the kind rotation; it applies to kms",
            ),
            (Kind::Resource, &[], administrator, "it applies to kms"),
            (Kind::Kms, &[], endpoint, "--endpoint does not apply to the kind kms; it applies to resource"),
            (Kind::Endpoint, &[], endpoint, "it applies to resource"),
            (
                Kind::Resource,
                &[],
                key,
                "--key does not apply to the kind resource; it applies to app, rotation, ci, operator",
            ),
            (Kind::Kms, &[], function, "--function does not apply"),
            (Kind::Resource, &[], master, "app, rotation, ci, operator, endpoint"),
            (Kind::Endpoint, &[], master, "--rotator"),
            (Kind::Kms, &["connect"], |_| (), "--feature does not apply to the kind kms"),
            (
                Kind::App,
                &[],
                user,
                "--user does not apply to the features read, refresh; it applies to --feature rotate-iam-key",
            ),
            (Kind::App, &[], role, "--feature assume"),
            (Kind::App, &[], function, "--feature function, schedule"),
            (Kind::Operator, &["by-prefix"], key, "--key does not apply"),
            (Kind::Rotation, &["rotate-single-user"], master, "--feature rotate-alternating-users, recover"),
        ] {
            let error = policy(kind, features, change).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
        for (kind, features, change) in [
            (Kind::App, &["read", "assume"][..], role),
            (Kind::Rotation, &["rotate-single-user", "function"], function),
            (Kind::Operator, &["recover"], master),
            (Kind::Ci, &[], key),
            (Kind::Endpoint, &[], |it: &mut Scope| {
                it.master_secrets = vec!["admin".into()];
                it.rotators = vec!["arn:aws:iam::111122223333:role/rotation".into()];
            }),
            (Kind::Resource, &[], endpoint),
            (Kind::Kms, &["read", "refresh"], administrator),
        ] {
            assert_eq!(policy(kind, features, change), Ok(()), "{kind:?} {features:?}");
        }
    }

    #[test]
    fn an_operator_of_a_single_user_needs_no_administrators_secret() {
        let policy = |features: &[&str], change: fn(&mut Scope)| {
            let mut scope = Scope {
                secrets: vec!["a".into()],
                functions: vec!["rotate".into()],
                account: "111122223333".into(),
                region: "eu-central-1".into(),
                ..Scope::default()
            };
            change(&mut scope);
            scope.policy(Kind::Operator, features).map(|it| it.to_string()).map_err(|error| error.to_string())
        };
        let usual = Kind::Operator.default_features();
        assert!(!policy(usual, |_| ()).unwrap().contains("ReadMaster"));
        let named: fn(&mut Scope) = |it| it.master_secrets = vec!["admin".into()];
        assert!(policy(usual, named).unwrap().contains("secret:admin-??????"));
        let alternating: Vec<_> = usual.iter().chain(&["rotate-alternating-users"]).copied().collect();
        assert!(policy(&alternating, |_| ()).unwrap_err().contains("--master-secret"));
    }
}
