//! Recommends a strategy, with the reason.

use serde::{Serialize, Serializer};

use crate::resource::StrategyName;

/// What is known about a secret and its use.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Situation {
    /// Whether the credential is a key that a provider issues.
    pub is_key: bool,
    /// Whether the server supports two passwords per user.
    pub dual_passwords: bool,
    /// Whether the user can give itself a second password.
    pub may_keep_former: bool,
    /// Whether users of this resource can alternate.
    pub has_accounts: bool,
    /// Whether an administrator's secret is named.
    pub has_administrator: bool,
    /// How clients connect, if known.
    pub clients: Option<Clients>,
}

/// How clients connect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Clients {
    /// They read the secret again when a login is refused, and try `AWSPENDING` too, as this project's clients do.
    Retrying,
    /// They keep a pool, which opens new connections with a password read some time ago.
    Pooled,
    /// They, or a proxy in between, have the user's name configured, and read only the password.
    FixedUser,
}

/// A recommended strategy.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct Recommendation {
    /// The strategy.
    #[serde(serialize_with = "by_name")]
    pub strategy: StrategyName,
    /// The reason, in a sentence. If the strategy is a guess, why no better one can be recommended.
    pub reason: String,
    /// Whether enough is known about the resource to recommend a strategy.
    pub is_known: bool,
}

impl Recommendation {
    /// The strategy that needs least, if the resource could not be inspected.
    pub(crate) fn unknown(reason: String) -> Self {
        Self { strategy: StrategyName::SingleUser, reason, is_known: false }
    }
}

pub(crate) fn by_name<S: Serializer>(strategy: &StrategyName, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(strategy.name())
}

/// Recommends the strategy that disturbs clients least among those that can work.
///
/// ```
/// use secretcache_rotation::operate::{Situation, recommend};
/// use secretcache_rotation::StrategyName;
///
/// let mut situation = Situation::default();
/// situation.has_accounts = true;
/// situation.has_administrator = true;
/// assert_eq!(recommend(situation).strategy, StrategyName::AlternatingUsers);
/// ```
pub fn recommend(situation: Situation) -> Recommendation {
    let Situation { dual_passwords, has_accounts, has_administrator, clients, .. } = situation;
    let because =
        |strategy, reason: &str| Recommendation { strategy, reason: reason.to_owned(), is_known: true };
    if situation.is_key {
        return because(
            StrategyName::ApiKey,
            "the provider issues keys, and the previous key stays valid until the next rotation",
        );
    }
    if dual_passwords && (situation.may_keep_former || has_administrator) {
        return because(
            StrategyName::DualPassword,
            "a user of this server can have two passwords, and the previous one stays valid until the next rotation: no login fails, and no second user is needed",
        );
    }
    if clients == Some(Clients::Retrying) {
        return because(
            StrategyName::SingleUser,
            "clients read the secret again after a refused login, so one user is enough",
        );
    }
    let alternates = has_accounts && has_administrator;
    match clients {
        Some(Clients::FixedUser) if alternates => because(
            StrategyName::SingleUser,
            "the user's name is configured in clients or a proxy, so users cannot alternate; logins are refused for a moment between the change of the password and the change of the label, so rotate at a quiet time",
        ),
        _ if alternates => because(
            StrategyName::AlternatingUsers,
            "an administrator is known, so two users can alternate: the one in use is never touched, and the previous password stays valid until the next rotation",
        ),
        _ if dual_passwords => because(
            StrategyName::SingleUser,
            "the user cannot give itself a second password; name an administrator's secret (--master-secret) to use dual-password, with which no login fails",
        ),
        _ if has_accounts => because(
            StrategyName::SingleUser,
            "no administrator's secret is known, so a second user cannot be created; logins are refused for a moment between the change of the password and the change of the label. Name one (--master-secret or the field \
             \"masterarn\") to use alternating-users, with which no login fails",
        ),
        _ => because(
            StrategyName::SingleUser,
            "neither two passwords nor two users are possible here; logins are refused for a moment between the change of the password and the change of the label, so let clients read the secret again when refused",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recommended(situation: Situation) -> StrategyName {
        let recommendation = recommend(situation);
        assert!(!recommendation.reason.contains("  "), "{}", recommendation.reason);
        recommendation.strategy
    }

    #[test]
    fn two_passwords_go_before_two_users_and_two_users_before_one() {
        let nothing = Situation::default();
        assert_eq!(recommended(nothing), StrategyName::SingleUser);
        let postgres = Situation { has_accounts: true, ..nothing };
        assert_eq!(recommended(postgres), StrategyName::SingleUser);
        let with_admin = Situation { has_administrator: true, ..postgres };
        assert_eq!(recommended(with_admin), StrategyName::AlternatingUsers);
        let mariadb = Situation { dual_passwords: true, ..with_admin };
        assert_eq!(recommended(mariadb), StrategyName::DualPassword);
        let by_itself = Situation { may_keep_former: true, dual_passwords: true, ..nothing };
        assert_eq!(recommended(by_itself), StrategyName::DualPassword);
        let powerless = Situation { dual_passwords: true, has_accounts: true, ..nothing };
        assert_eq!(recommended(powerless), StrategyName::SingleUser);
        assert_eq!(recommended(Situation { is_key: true, ..nothing }), StrategyName::ApiKey);
    }

    #[test]
    fn who_connects_decides_between_one_user_and_two() {
        let postgres = |clients| Situation {
            has_accounts: true,
            has_administrator: true,
            clients: Some(clients),
            ..Situation::default()
        };
        assert_eq!(recommended(postgres(Clients::Retrying)), StrategyName::SingleUser);
        assert_eq!(recommended(postgres(Clients::FixedUser)), StrategyName::SingleUser);
        assert_eq!(recommended(postgres(Clients::Pooled)), StrategyName::AlternatingUsers);
    }
}
