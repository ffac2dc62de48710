//! What an error of the server means, and what to do about it.

use super::REFUSALS;
use crate::error::{Error, ErrorKind};
use crate::targets::tls::not_trusted;

/// What the server or the way to it has against a statement. Syntax errors stay here.
pub(super) fn fault(what: &str, error: mysql_async::Error) -> Error {
    let mysql_async::Error::Server(answer) = error else {
        if let Some(error) = not_trusted(&error) {
            return error;
        }
        return Error::new(ErrorKind::Unavailable, format!("could not {what} on the server"))
            .with_source(error);
    };
    let kind = kind(answer.code);
    // Syntax errors quote the statement.
    if answer.code == 1064 {
        return Error::new(kind, format!("the server does not understand the statement to {what}"));
    }
    let said = format!("could not {what}: the server says {:?} ({})", answer.message, answer.code);
    let error = Error::new(kind, said);
    match answer.code {
        MUST_NAME_CURRENT => error.and(
            "name an administrator's secret, or alter the user with PASSWORD REQUIRE CURRENT OPTIONAL",
        ),
        1203 | 1226 => error.and("a rotation needs two connections of the user at the same time: ALTER USER ... WITH MAX_USER_CONNECTIONS 4"),
        READ_ONLY | READ_ONLY_MODE => error.and("set the secret's \"host\" to the server that takes writes"),
        _ => error,
    }
}

/// MySQL's `PASSWORD REQUIRE CURRENT`. Which of two passwords it takes for the current one, a login does not tell.
const MUST_NAME_CURRENT: u16 = 3892;
/// An option of the server forbids the statement: `read_only`, mostly.
const READ_ONLY: u16 = 1290;
const READ_ONLY_MODE: u16 = 1836;

/// What a server's error code means. Syntax errors quote the statement.
pub(in crate::targets) fn kind(code: u16) -> ErrorKind {
    match code {
        1044 | 1130 | 1142 | 1227 | 1370 | 1410 | MUST_NAME_CURRENT | READ_ONLY | READ_ONLY_MODE => {
            ErrorKind::Denied
        }
        code if REFUSALS.contains(&code) => ErrorKind::Refused,
        // The password given for the current one is not it.
        3891 => ErrorKind::Refused,
        // No such database; no such user, or its methods forbid the change.
        1049 | 1396 => ErrorKind::Misconfigured,
        // A name that is too long; the policy of a password plugin; at MySQL also that of its password history.
        1470 | 1819 | 3638 => ErrorKind::Rejected,
        // A method in the account has no password to set.
        1064 | 1699 => ErrorKind::Unsupported,
        _ => ErrorKind::Unavailable,
    }
}
