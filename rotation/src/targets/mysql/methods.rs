//! The authentication methods of a MariaDB account. Any one of them is enough to log in.
//!
//! A rotation changes only the password: methods without a password, such as `unix_socket`, stay in place, and the
//! password keeps its kind. An account for which that is not possible is refused, with the name of the method.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use curve25519_dalek::EdwardsPoint;
use sha2::{Digest, Sha512};

use super::dialect::Account;
use super::grants::find;
use super::{hash, hex};
use crate::error::{Error, ErrorKind};

/// The methods listed by `SHOW CREATE USER`, in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Methods(Vec<Method>);

#[derive(Clone, Debug, Eq, PartialEq)]
struct Method {
    plugin: String,
    /// The argument of `USING`, with its quotes.
    using: Option<String>,
}

/// The kinds of passwords whose stored form this module can compute, which keeps the password out of statements.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum PasswordKind {
    Native,
    Ed25519,
}

impl PasswordKind {
    fn of(plugin: &str) -> Option<Self> {
        match plugin {
            "mysql_native_password" => Some(Self::Native),
            "ed25519" => Some(Self::Ed25519),
            _ => None,
        }
    }

    fn plugin(self) -> &'static str {
        match self {
            Self::Native => "mysql_native_password",
            Self::Ed25519 => "ed25519",
        }
    }

    /// Returns what the server stores for a password.
    pub(super) fn stored(self, password: &str) -> String {
        match self {
            Self::Native => hash(password),
            Self::Ed25519 => {
                let digest = Sha512::digest(password.as_bytes());
                let mut scalar = [0; 32];
                scalar.copy_from_slice(&digest[..32]);
                STANDARD_NO_PAD.encode(EdwardsPoint::mul_base_clamped(scalar).compress().as_bytes())
            }
        }
    }
}

/// Other methods whose passwords the server stores. Their stored forms cannot be computed here.
const OTHER_PASSWORDS: [&str; 3] = ["mysql_old_password", "parsec", "caching_sha2_password"];

impl Methods {
    /// Parses the output of `SHOW CREATE USER`.
    pub(super) fn of(made: &str) -> Self {
        let native = |using| Method { plugin: PasswordKind::Native.plugin().to_owned(), using };
        const END: [&str; 4] = [" REQUIRE ", " WITH ", " ACCOUNT ", " PASSWORD EXPIRE"];
        let clause = |start: usize| {
            let rest = &made[start..];
            let end = END.iter().filter_map(|word| find(rest, word)).min().unwrap_or(rest.len());
            rest[..end].trim()
        };
        if let Some(at) = find(made, " IDENTIFIED BY PASSWORD ") {
            let stored = clause(at + " IDENTIFIED BY PASSWORD ".len());
            return Self(vec![native(Some(stored.to_owned()))]);
        }
        let Some(at) = find(made, " IDENTIFIED VIA ") else { return Self(vec![native(None)]) };
        let mut rest = clause(at + " IDENTIFIED VIA ".len());
        let mut methods = Vec::new();
        loop {
            let (one, more) = match find(rest, " OR ") {
                Some(or) => (&rest[..or], Some(&rest[or + " OR ".len()..])),
                None => (rest, None),
            };
            let (plugin, using) = match find(one, " USING ") {
                Some(at) => (&one[..at], Some(one[at + " USING ".len()..].trim().to_owned())),
                None => (one, None),
            };
            methods.push(Method { plugin: plugin.trim().to_owned(), using });
            match more {
                Some(more) => rest = more,
                None => return Self(methods),
            }
        }
    }

    /// Returns the kind of the password that rotates.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`], with the names of the methods, if the account has no password, passwords of several
    /// kinds, or one of an unsupported kind.
    pub(super) fn password(&self, account: &Account) -> Result<PasswordKind, Error> {
        let name = &account.name;
        let unsupported = |what: String| Err(Error::new(ErrorKind::Unsupported, what));
        let mut kinds: Vec<&str> = self.0.iter().map(|method| method.plugin.as_str()).collect();
        kinds.retain(|plugin| PasswordKind::of(plugin).is_some() || OTHER_PASSWORDS.contains(plugin));
        kinds.dedup();
        match kinds[..] {
            [] => unsupported(format!(
                "{name} logs in by {} and has no password to rotate",
                self.0.iter().map(|method| method.plugin.as_str()).collect::<Vec<_>>().join(" or ")
            )),
            [plugin] => match PasswordKind::of(plugin) {
                Some(kind) => Ok(kind),
                None => unsupported(format!(
                    "{name} logs in by {plugin}; only passwords of mysql_native_password and ed25519 can be rotated"
                )),
            },
            _ => unsupported(format!(
                "{name} has passwords of several kinds ({}), and nothing shows which of them the secret contains; remove the others with ALTER USER",
                kinds.join(", ")
            )),
        }
    }

    /// Returns the number of passwords.
    pub(super) fn passwords(&self) -> usize {
        self.0.iter().filter(|method| PasswordKind::of(&method.plugin).is_some()).count()
    }

    /// Checks whether the account also has methods without a password.
    pub(super) fn has_others(&self) -> bool {
        self.0.len() > self.passwords()
    }

    /// Returns the clause after `IDENTIFIED VIA` that gives the account exactly these passwords, in their stored form,
    /// and keeps every method without a password.
    pub(super) fn with_passwords(&self, kind: PasswordKind, stored: &[String]) -> String {
        let mut clauses = Vec::new();
        let mut is_set = false;
        for method in &self.0 {
            if PasswordKind::of(&method.plugin).is_none() {
                let using = method.using.as_ref().map(|using| format!(" USING {using}"));
                clauses.push(format!("{}{}", method.plugin, using.unwrap_or_default()));
            } else if !is_set {
                is_set = true;
                clauses.extend(stored.iter().map(|stored| format!("{} USING '{stored}'", kind.plugin())));
            }
        }
        clauses.join(" OR ")
    }

    /// Returns the same methods with a placeholder that no known password matches, and that differs for each `text`.
    pub(super) fn without_password(&self, kind: PasswordKind, text: &str) -> String {
        let digest = Sha512::digest(format!("not a password: {text}"));
        let stored = match kind {
            PasswordKind::Native => format!("*{}", hex(&digest[..20]).to_uppercase()),
            PasswordKind::Ed25519 => STANDARD_NO_PAD.encode(&digest[..32]),
        };
        self.with_passwords(kind, &[stored])
    }

    /// Checks whether two accounts have the same methods, regardless of their passwords.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.shape() == other.shape()
    }

    fn shape(&self) -> Vec<(&str, Option<&str>)> {
        let mut shape: Vec<_> = (self.0.iter())
            .map(|method| {
                let using = method.using.as_deref().filter(|_| PasswordKind::of(&method.plugin).is_none());
                (method.plugin.as_str(), using)
            })
            .collect();
        shape.dedup();
        shape
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(made: &str) -> Account {
        Account { name: "`app`@`%`".into(), is_own: false, made: made.into() }
    }

    fn rotated(made: &str) -> Result<String, String> {
        let methods = Methods::of(made);
        let kind = methods.password(&account(made)).map_err(|error| error.message().to_owned())?;
        Ok(methods.with_passwords(kind, &["new".to_owned()]))
    }

    #[test]
    fn only_the_password_changes_and_it_keeps_its_kind() {
        for (made, after) in [
            ("CREATE USER `app`@`%` IDENTIFIED BY PASSWORD '*00'", "mysql_native_password USING 'new'"),
            ("CREATE USER `app`@`%`", "mysql_native_password USING 'new'"),
            (
                "CREATE USER `app`@`%` IDENTIFIED VIA unix_socket USING 'a OR b' OR mysql_native_password USING '*00' \
                 REQUIRE SSL WITH MAX_USER_CONNECTIONS 3",
                "unix_socket USING 'a OR b' OR mysql_native_password USING 'new'",
            ),
            (
                "CREATE USER `app`@`%` IDENTIFIED VIA ed25519 USING 'x' OR ed25519 USING 'y' OR gssapi ACCOUNT LOCK",
                "ed25519 USING 'new' OR gssapi",
            ),
        ] {
            assert_eq!(rotated(made).as_deref(), Ok(after), "{made}");
        }
    }

    #[test]
    fn what_cannot_be_kept_is_refused_by_name() {
        for (made, why) in [
            (
                "CREATE USER `app`@`%` IDENTIFIED VIA pam USING 'mariadb' OR unix_socket",
                "by pam or unix_socket",
            ),
            ("CREATE USER `app`@`%` IDENTIFIED VIA parsec USING 'P0:x'", "by parsec"),
            (
                "CREATE USER `app`@`%` IDENTIFIED VIA ed25519 USING 'x' OR mysql_native_password USING '*00'",
                "several kinds (ed25519, mysql_native_password)",
            ),
        ] {
            let error = rotated(made).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn methods_are_compared_without_their_passwords() {
        let of = |clause: &str| Methods::of(&format!("CREATE USER `app`@`%` IDENTIFIED VIA {clause}"));
        let two = of("ed25519 USING 'x' OR ed25519 USING 'y' OR unix_socket USING 'u'");
        assert!(two.is_like(&of("ed25519 USING 'z' OR unix_socket USING 'u'")) && two.passwords() == 2);
        assert!(!two.is_like(&of("ed25519 USING 'z' OR unix_socket USING 'v'")));
        assert!(!two.is_like(&of("mysql_native_password USING '*00'")));
    }

    /// The expected values come from `PASSWORD()` on a server.
    #[test]
    fn stored_passwords_are_those_of_the_server() {
        assert_eq!(PasswordKind::Ed25519.stored("first"), "yimNcp6dq3P0N8rm+FGHNJKGzblrmmBDojH2V8xiL7w");
        assert_eq!(PasswordKind::Native.stored("first"), "*9BDE81F857CBD7E27CAED548ED36F57CE4307F0B");
    }
}
