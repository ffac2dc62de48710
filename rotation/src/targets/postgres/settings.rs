//! Settings of roles, such as `search_path`, for all databases or for a single one.

use std::fmt::Write;

use postgres_protocol::escape::{escape_identifier, escape_literal};
use tokio_postgres::Client;

use super::session::{alter, column, query, text};
use crate::error::{Error, ErrorKind};

/// A setting of a role: its database (`None` means all), its name, and its value.
type Setting = (Option<String>, String, String);

/// Settings whose value is a list of quoted names. The server has no others, and extensions cannot define any.
const LISTS: [&str; 6] = [
    "search_path",
    "temp_tablespaces",
    "local_preload_libraries",
    "session_preload_libraries",
    "shared_preload_libraries",
    "unix_socket_directories",
];

const SETTINGS: &str = "SELECT d.datname::text, pg_catalog.split_part(s, '=', 1), \
     pg_catalog.substr(s, pg_catalog.strpos(s, '=') + 1) FROM pg_catalog.pg_db_role_setting g \
     JOIN pg_catalog.pg_roles r ON r.oid = g.setrole LEFT JOIN pg_catalog.pg_database d ON d.oid = g.setdatabase, \
     pg_catalog.unnest(g.setconfig) s WHERE r.rolname = $1";

/// Returns the settings of a role.
async fn of(client: &Client, user: &str) -> Result<Vec<Setting>, Error> {
    let rows = query(client, SETTINGS, &[text(&user)]).await?;
    rows.iter().map(|row| Ok((column(row, 0)?, column(row, 1)?, column(row, 2)?))).collect()
}

/// Returns the statements that give the candidate exactly the reference's settings, except for `role`.
///
/// Values are written as literals. The alternative, `SET … FROM CURRENT`, would first apply the reference's
/// `search_path` to the administrator's session.
pub(super) async fn settings(client: &Client, reference: &str, candidate: &str) -> Result<String, Error> {
    let is_copied = |(_, name, _): &Setting| name != "role";
    let wanted: Vec<_> = of(client, reference).await?.into_iter().filter(is_copied).collect();
    let present: Vec<_> = of(client, candidate).await?.into_iter().filter(is_copied).collect();
    let mut statements = String::new();
    for (database, name, value) in wanted.iter().filter(|setting| !present.contains(setting)) {
        let (alter, quoted) = (alter(candidate, database.as_deref()), escape_identifier(name));
        let _ = write!(statements, "{alter} SET {quoted} TO {};", literal(name, value)?);
    }
    let is_gone =
        |(database, name, _): &&Setting| !wanted.iter().any(|other| (&other.0, &other.1) == (database, name));
    for (database, name, _) in present.iter().filter(is_gone) {
        let alter = alter(candidate, database.as_deref());
        let _ = write!(statements, "{alter} RESET {};", escape_identifier(name));
    }
    Ok(statements)
}

/// Returns the statements that make the member act, in every database, as the role that the owner acts as: the owner
/// itself, or the role in the owner's own settings.
pub(super) async fn acting_role(client: &Client, owner: &str, member: &str) -> Result<String, Error> {
    let role_settings = |settings: Vec<Setting>| -> Vec<Setting> {
        settings.into_iter().filter(|(_, name, _)| name == "role").collect()
    };
    let mut wanted = role_settings(of(client, owner).await?);
    wanted.retain(|(.., role)| role != member);
    if !wanted.iter().any(|(database, ..)| database.is_none()) {
        wanted.push((None, "role".to_owned(), owner.to_owned()));
    }
    let present = role_settings(of(client, member).await?);
    let mut statements = String::new();
    for (database, _, role) in wanted.iter().filter(|setting| !present.contains(setting)) {
        let alter = alter(member, database.as_deref());
        let _ = write!(statements, "{alter} SET role TO {};", escape_literal(role));
    }
    for (database, ..) in present.iter().filter(|present| !wanted.iter().any(|one| one.0 == present.0)) {
        let _ = write!(statements, "{} RESET role;", alter(member, database.as_deref()));
    }
    Ok(statements)
}

/// Returns a setting's value as SQL literals.
fn literal(name: &str, value: &str) -> Result<String, Error> {
    if !LISTS.iter().any(|list| list.eq_ignore_ascii_case(name)) {
        return Ok(escape_literal(value));
    }
    let names = names(value).ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, format!("the user's setting {name} is not a list of names"))
    })?;
    Ok(names.iter().map(|name| escape_literal(name)).collect::<Vec<_>>().join(", "))
}

/// Parses a list of names such as `"$user", public`; `None` if it is malformed.
fn names(list: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = list.trim_start();
    if rest.is_empty() {
        return Some(vec![String::new()]);
    }
    loop {
        let mut name = String::new();
        if let Some(quoted) = rest.strip_prefix('"') {
            rest = quoted;
            loop {
                let (before, after) = rest.split_once('"')?;
                name.push_str(before);
                rest = after;
                let Some(more) = rest.strip_prefix('"') else { break };
                name.push('"');
                rest = more;
            }
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            name.push_str(rest[..end].trim_end());
            rest = &rest[end..];
        }
        names.push(name);
        rest = rest.trim_start();
        if rest.is_empty() {
            return Some(names);
        }
        rest = rest.strip_prefix(',')?.trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_taken_apart_and_written_as_literals() {
        let written = |value| literal("search_path", value).unwrap();
        assert_eq!(written(r#""$user", shop, public"#), "'$user', 'shop', 'public'");
        assert_eq!(written(r#""a"", b" , "it's""#), r#"'a", b', 'it''s'"#);
        assert_eq!(written(r#""""#), "''");
        assert_eq!(written(""), "''");
        assert!(literal("search_path", r#""open"#).is_err());
        assert_eq!(literal("work_mem", "'1MB', x").unwrap(), "'''1MB'', x'");
    }
}
