//! Maps the server's error codes to kinds of errors, with advice on what to do.

use super::is_refusal;
use crate::error::{Error, ErrorKind};
use crate::targets::tls::not_trusted;

/// The error for a failed statement or connection. Leaves out the text of syntax errors.
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

/// The statement must name the current password (MySQL's `PASSWORD REQUIRE CURRENT`). If the user has two passwords, a
/// login does not show which of them MySQL takes for the current one.
const MUST_NAME_CURRENT: u16 = 3892;
/// A server option, usually `read_only`, forbids the statement.
const READ_ONLY: u16 = 1290;
const READ_ONLY_MODE: u16 = 1836;

/// Returns the kind of error for a server's error code.
pub(in crate::targets) fn kind(code: u16) -> ErrorKind {
    match code {
        1044 | 1130 | 1142 | 1227 | 1370 | 1410 | MUST_NAME_CURRENT | READ_ONLY | READ_ONLY_MODE => {
            ErrorKind::Denied
        }
        code if is_refusal(code) => ErrorKind::Refused,
        // The password given as the current one is wrong.
        3891 => ErrorKind::Refused,
        // No database chosen; no such database; no such user, or its methods forbid the change.
        1046 | 1049 | 1396 => ErrorKind::Misconfigured,
        // A name that is too long; a password that a plugin's policy or MySQL's password history refuses.
        1470 | 1819 | 3638 => ErrorKind::Rejected,
        // A syntax error; an account whose authentication method has no password to set.
        1064 | 1699 => ErrorKind::Unsupported,
        _ => ErrorKind::Unavailable,
    }
}
