//! Statements with typed parameters. A value always stays inside the quotes that its type adds.

use postgres_protocol::escape::{escape_identifier, escape_literal};
use postgres_protocol::password::{md5, scram_sha_256};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::super::mysql;
use super::Protocol;
use crate::dependent::names_resource;
use crate::document::Document;
use crate::error::{Error, ErrorKind};

/// A statement with parameters.
#[derive(Clone, Debug)]
pub(super) struct Template {
    protocol: Protocol,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Parameter(Parameter),
}

#[derive(Clone, Debug)]
struct Parameter {
    of: Of,
    field: String,
    kind: Kind,
}

/// The source of a parameter's value.
#[derive(Clone, Copy, Debug)]
enum Of {
    Credential,
    Login,
    Keep,
    Reference,
    Mark,
}

/// The purpose of a statement, which decides the sources that its parameters can use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scope {
    /// Changing or testing a password.
    Change,
    /// Changing a password while another stays valid.
    Keep,
    /// Managing two users.
    Accounts,
}

/// The type of a parameter, which decides how it is quoted.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Identifier,
    Literal,
    Scram,
    Md5,
    Native,
    Sha256,
    Redshift,
}

/// The sources of the parameters' values.
#[derive(Debug)]
pub(super) struct Values<'a> {
    pub(super) credential: &'a Document,
    pub(super) login: &'a Document,
    pub(super) keep: Option<&'a Document>,
    pub(super) reference: Option<&'a Document>,
    pub(super) mark: &'a str,
}

impl<'a> Values<'a> {
    pub(super) fn of(credential: &'a Document, login: &'a Document) -> Self {
        Self { credential, login, keep: None, reference: None, mark: "" }
    }
}

impl Template {
    /// Parses a statement. Rejects anything that makes it unclear whether a parameter is inside quotes.
    pub(super) fn parse(text: &str, protocol: Protocol, scope: Scope) -> Result<Self, Error> {
        let wrong =
            |what: &str| Error::new(ErrorKind::Misconfigured, format!("the statement {text:?} {what}"));
        // With these, where quotes end depends on the server's version and settings.
        for (mark, name) in [
            ("\\", "a backslash"),
            ("$", "a dollar sign"),
            ("--", "a comment"),
            ("/*", "a comment"),
            ("#", "a number sign"),
        ] {
            if text.contains(mark) {
                return Err(wrong(&format!("contains {name}, so it is unclear where quotes end")));
            }
        }
        let mut pieces = Vec::new();
        let (mut literal, mut quote, mut rest) = (String::new(), None, text);
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            match (quote, c) {
                (Some(open), _) if c == open => quote = None,
                (Some(_), '{') => {
                    return Err(wrong("has a parameter inside quotes; remove them, its type adds quotes"));
                }
                (None, '\'' | '"' | '`') => quote = Some(c),
                (None, '}') => return Err(wrong("has a } without a {")),
                (None, '{') => {
                    let (inside, after) = rest.split_once('}').ok_or_else(|| wrong("has a { without a }"))?;
                    let parameter = Parameter::parse(inside, protocol, scope).map_err(|what| wrong(&what))?;
                    let joins =
                        |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || "_'\"`{}".contains(c));
                    let before =
                        literal.chars().next_back().or(if pieces.is_empty() { None } else { Some('}') });
                    if joins(before) || joins(after.chars().next()) {
                        return Err(wrong(
                            "has a parameter directly next to other text; put a space between them",
                        ));
                    }
                    pieces.push(Piece::Text(std::mem::take(&mut literal)));
                    pieces.push(Piece::Parameter(parameter));
                    rest = after;
                    continue;
                }
                _ => {}
            }
            literal.push(c);
        }
        if quote.is_some() {
            return Err(wrong("has a quote that is not closed"));
        }
        pieces.push(Piece::Text(literal));
        Ok(Self { protocol, pieces })
    }

    /// Checks whether the statement contains a secret value in the clear: the password, or another field that may be as
    /// secret or derived from it.
    pub(super) fn shows_secret(&self) -> bool {
        let shows = |piece: &Piece| matches!(piece, Piece::Parameter(parameter) if parameter.shows_secret());
        self.pieces.iter().any(shows)
    }

    /// Returns the statement with its parameters filled in.
    pub(super) fn fill(&self, values: &Values<'_>) -> Result<Zeroizing<String>, Error> {
        // Allocated large enough at once: a growing string would leave copies in freed memory.
        let mut statement = Zeroizing::new(String::with_capacity(16 * 1024));
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => statement.push_str(text),
                Piece::Parameter(parameter) => {
                    statement.push_str(&parameter.quoted(values, self.protocol)?);
                }
            }
        }
        Ok(statement)
    }
}

impl Parameter {
    fn parse(text: &str, protocol: Protocol, scope: Scope) -> Result<Self, String> {
        let untyped =
            || format!("has the parameter {{{text}}} without a type, such as {{username:identifier}}");
        let (name, kind) = text.split_once(':').ok_or_else(untyped)?;
        let kind = match (kind, protocol) {
            ("identifier", _) => Kind::Identifier,
            ("literal", _) => Kind::Literal,
            ("scram", Protocol::Postgres) => Kind::Scram,
            ("md5", Protocol::Postgres) => Kind::Md5,
            ("native", Protocol::MySql) => Kind::Native,
            ("sha256", _) => Kind::Sha256,
            ("redshift", Protocol::Postgres) => Kind::Redshift,
            _ => {
                let more = if protocol == Protocol::Postgres { "scram, md5, redshift" } else { "native" };
                return Err(format!(
                    "has the parameter {{{text}}}, whose type may be identifier, literal, sha256, {more}"
                ));
            }
        };
        let (of, field) = match name.split_once('.') {
            None if name == "mark" && scope == Scope::Accounts => (Of::Mark, name),
            None => (Of::Credential, name),
            Some(("login", field)) => (Of::Login, field),
            Some(("keep", field)) if scope == Scope::Keep => (Of::Keep, field),
            Some(("reference", field)) if scope == Scope::Accounts => (Of::Reference, field),
            Some(_) => return Err(format!("has the parameter {{{text}}}, but has no such field here")),
        };
        if field.is_empty() {
            return Err(format!("has the parameter {{{text}}} without a field"));
        }
        Ok(Self { of, field: field.to_owned(), kind })
    }

    /// Returns the value in quotes.
    fn quoted(&self, values: &Values<'_>, protocol: Protocol) -> Result<Zeroizing<String>, Error> {
        let document = match self.of {
            Of::Credential => values.credential,
            Of::Login => values.login,
            Of::Keep => values.keep.unwrap_or(values.credential),
            Of::Reference => values.reference.unwrap_or(values.credential),
            Of::Mark => values.credential,
        };
        let value = match self.of {
            Of::Mark => Zeroizing::new(values.mark.to_owned()),
            _ => document.require(&self.field)?,
        };
        if value.contains('\0') {
            return Err(self.rejected("contains a zero byte"));
        }
        Ok(Zeroizing::new(match (self.kind, protocol) {
            (Kind::Identifier, Protocol::Postgres) => escape_identifier(&value),
            (Kind::Identifier, Protocol::MySql) => mysql::quoted(&value),
            (Kind::Literal, Protocol::Postgres) => escape_literal(&value),
            // Whether a backslash starts an escape depends on the SQL mode, which such a server need not have.
            (Kind::Literal, Protocol::MySql) if value.contains('\\') => {
                return Err(self.rejected("contains a backslash; exclude it from generated passwords"));
            }
            (Kind::Literal, Protocol::MySql) => format!("'{}'", value.replace('\'', "''")),
            (Kind::Scram, _) => escape_literal(&scram_sha_256(value.as_bytes())),
            (Kind::Md5, _) => escape_literal(&md5(value.as_bytes(), &document.username()?)),
            (Kind::Native, _) => format!("'{}'", mysql::hash(&value)),
            (Kind::Sha256, _) => format!("'{}'", mysql::hex(&Sha256::digest(value.as_bytes()))),
            (Kind::Redshift, _) => {
                let salt = salt()?;
                let digest = Sha256::new().chain_update(value.as_bytes()).chain_update(&salt).finalize();
                format!("'sha256|{}|{salt}'", mysql::hex(&digest))
            }
        }))
    }

    /// Checks whether the parameter is a secret value in the clear.
    fn shows_secret(&self) -> bool {
        let is_public = matches!(self.of, Of::Mark) || names_resource(&self.field);
        matches!(self.kind, Kind::Literal) && !is_public
    }

    fn rejected(&self, why: &str) -> Error {
        Error::new(ErrorKind::Rejected, format!("the secret's {:?} {why}", self.field))
    }
}

/// Returns a random salt.
fn salt() -> Result<String, Error> {
    let mut bytes = [0; 16];
    let random = rustls::crypto::aws_lc_rs::default_provider().secure_random;
    random
        .fill(&mut bytes)
        .map_err(|_| Error::new(ErrorKind::Unavailable, "the system's random number generator failed"))?;
    Ok(mysql::hex(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str, protocol: Protocol, json: &str) -> Result<String, Error> {
        let credential = Document::parse(json).unwrap();
        let values = Values {
            credential: &credential,
            login: &credential,
            keep: Some(&credential),
            reference: None,
            mark: "",
        };
        Template::parse(text, protocol, Scope::Keep)?.fill(&values).map(|text| text.to_string())
    }

    const NASTY: &str = r#"{"username": "a\"b`c'd", "password": "p'; DROP TABLE x; --"}"#;

    #[test]
    fn values_stay_inside_of_their_quotes() {
        let statement = "ALTER USER {username:identifier} PASSWORD {password:literal}";
        assert_eq!(
            filled(statement, Protocol::Postgres, NASTY).unwrap(),
            r#"ALTER USER "a""b`c'd" PASSWORD 'p''; DROP TABLE x; --'"#
        );
        assert_eq!(
            filled(statement, Protocol::MySql, NASTY).unwrap(),
            r#"ALTER USER `a"b``c'd` PASSWORD 'p''; DROP TABLE x; --'"#
        );
        let scram = filled("X {password:scram}", Protocol::Postgres, NASTY).unwrap();
        assert!(scram.starts_with("X 'SCRAM-SHA-256$4096:") && scram.ends_with('\''), "{scram}");
        let redshift = filled("X {password:redshift}", Protocol::Postgres, NASTY).unwrap();
        assert!(redshift.starts_with("X 'sha256|") && redshift.len() == "X 'sha256||'".len() + 64 + 32);
        let sha256 = filled("X {password:sha256}", Protocol::MySql, r#"{"password":"abc"}"#).unwrap();
        assert!(sha256.starts_with("X 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'"));
        let native = filled("X {password:native}@'%'", Protocol::MySql, NASTY);
        assert_eq!(native.unwrap().len(), "X ''@'%'".len() + 41);
    }

    #[test]
    fn a_parameter_that_would_not_be_quoted_is_refused() {
        for (text, why) in [
            ("ALTER USER {username}", "without a type"),
            ("ALTER USER {username:raw}", "whose type may be"),
            ("ALTER USER {username:native}", "whose type may be"),
            ("PASSWORD '{password:literal}'", "inside quotes"),
            ("USER \"{username:identifier}\"", "inside quotes"),
            ("USER `{username:identifier}`", "inside quotes"),
            ("PASSWORD E{password:literal}", "next to other text"),
            ("PASSWORD {password:literal}'x'", "next to other text"),
            ("USER {username:identifier}_clone", "next to other text"),
            ("USER {username:identifier}{username:identifier}", "next to other text"),
            ("PASSWORD 'it''s {password:literal}", "inside quotes"),
            ("PASSWORD 'x", "not closed"),
            ("PASSWORD 'x\\' {password:literal}", "backslash"),
            ("DO $x$ {password:literal} $x$", "dollar"),
            ("X -- {password:literal}", "comment"),
            ("X /* {password:literal} */", "comment"),
            ("X # {password:literal}", "number sign"),
            ("X {password:literal", "without a }"),
            ("X } {password:literal}", "without a {"),
            ("X {other.password:literal}", "no such field"),
            ("X {:literal}", "without a field"),
        ] {
            let error = filled(text, Protocol::Postgres, NASTY).unwrap_err();
            assert!(error.message().contains(why), "{text}: {error}");
            assert_eq!(error.kind(), ErrorKind::Misconfigured);
        }
        assert!(Template::parse("X {keep.password:literal}", Protocol::Postgres, Scope::Change).is_err());
        assert!(Template::parse("X {keep.password:literal}", Protocol::Postgres, Scope::Keep).is_ok());
    }

    #[test]
    fn a_statement_with_a_value_that_may_be_secret_is_recognized() {
        let shows =
            |text: &str| Template::parse(text, Protocol::Postgres, Scope::Accounts).unwrap().shows_secret();
        for parameter in ["password:literal", "reference.password:literal", "dsn:literal"] {
            assert!(shows(&format!("X {{{parameter}}}")), "{parameter}");
        }
        for parameter in ["password:scram", "username:literal", "login.username:identifier", "mark:literal"] {
            assert!(!shows(&format!("X {{{parameter}}}")), "{parameter}");
        }
    }

    #[test]
    fn a_value_that_cannot_be_quoted_is_rejected_without_being_shown() {
        let backslash = r#"{"username": "a", "password": "canary\\"}"#;
        for (protocol, json) in [
            (Protocol::MySql, backslash),
            (Protocol::Postgres, r#"{"username": "a", "password": "canary\u0000"}"#),
        ] {
            let error = filled("X {password:literal}", protocol, json).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Rejected);
            assert!(!format!("{error:?}").contains("canary"));
        }
        assert_eq!(filled("X {password:literal}", Protocol::Postgres, backslash).unwrap(), r"X  E'canary\\'");
    }
}
