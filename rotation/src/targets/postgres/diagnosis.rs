//! The checks before a rotation: finds what a PostgreSQL server would refuse.

use postgres_protocol::escape::escape_identifier;
use tokio_postgres::{Client, Row};

use super::greeting::Greeting;
use super::pooler::is_pooled;
use super::session::{Encryption, column, first_column, query, text};
use super::{LONGEST_NAME, Postgres, not_asked};
use crate::diagnosis::{Diagnosis, Finding, Requirements};
use crate::document::Document;
use crate::error::{Error, ErrorKind};

/// Facts about the server, the logged-in role (`me`) and the user in question (`u`). No row means that the user does
/// not exist.
const LOOK: &str = "
SELECT pg_catalog.current_setting('server_version'), pg_catalog.current_setting('server_version_num')::int,
    pg_catalog.pg_is_in_recovery(), pg_catalog.quote_ident(me.rolname), me.rolsuper, me.rolcreaterole,
    u.rolsuper OR u.rolreplication OR u.rolbypassrls, u.rolsuper,
    pg_catalog.pg_has_role(me.oid, u.oid, 'MEMBER WITH ADMIN OPTION'),
    CASE WHEN u.rolvaliduntil < pg_catalog.now() THEN u.rolvaliduntil::text END,
    (SELECT s.setting = 'on' AND s.source NOT IN ('user', 'database user') FROM pg_catalog.pg_settings s
        WHERE s.name = 'default_transaction_read_only'),
    u.rolconnlimit, (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity a WHERE a.usesysid = u.oid
        AND a.pid <> pg_catalog.pg_backend_pid()), me.rolname = u.rolname, u.rolcreatedb, me.rolcreatedb,
    pg_catalog.current_setting('password_encryption'), pg_catalog.pg_backend_pid()
FROM pg_catalog.pg_roles me, pg_catalog.pg_roles u WHERE me.rolname = session_user AND u.rolname = $1";

/// The user's settings that only a superuser can give to another role, and that the other role does not have yet.
const PRIVILEGED_SETTINGS: &str = "SELECT DISTINCT p.name FROM pg_catalog.pg_db_role_setting g
    JOIN pg_catalog.pg_roles r ON r.oid = g.setrole, pg_catalog.unnest(g.setconfig) s, pg_catalog.pg_settings p
    WHERE r.rolname = $1 AND p.name = pg_catalog.split_part(s, '=', 1) AND p.context = 'superuser'
    AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_db_role_setting h JOIN pg_catalog.pg_roles o ON o.oid = h.setrole
        WHERE o.rolname = $2 AND h.setdatabase = g.setdatabase AND s = ANY (h.setconfig)) ORDER BY 1";

/// The role that a role acts as by its own setting for all databases; no row if it has none.
const ACTS_AS_WHOM: &str = "SELECT pg_catalog.substr(c, 6) FROM pg_catalog.pg_db_role_setting s
    JOIN pg_catalog.pg_roles r ON r.oid = s.setrole, pg_catalog.unnest(s.setconfig) c
    WHERE s.setdatabase = 0 AND r.rolname = $1 AND c LIKE 'role=%'";

impl Postgres {
    pub(super) async fn look(&self, requirements: Requirements<'_>) -> Result<Diagnosis, Error> {
        let client = self.session(requirements.login).await?;
        let user = requirements.user.username()?;
        let rows = query(&client, LOOK, &[text(&user.as_str())]).await?;
        let Some(row) = rows.first() else {
            let text = format!("PostgreSQL has no user {:?}; the secret is for another server", *user);
            return Err(Error::new(ErrorKind::Misconfigured, text));
        };
        let mut found =
            Diagnosis { server: format!("PostgreSQL {}", column::<String>(row, 0)?), ..Diagnosis::default() };
        of_server(&client, &mut found, row, &user).await?;
        if self.storing(requirements.user, Encryption::of(Some(column(row, 16)?))).await? == Encryption::Md5 {
            found.warnings.push(
                "the server stores passwords as MD5 (password_encryption), and so does this rotation; to move to SCRAM, make sure that every client's driver supports it, set password_encryption = 'scram-sha-256', and rotate"
                    .to_owned(),
            );
        }
        if requirements.is_own() {
            of_sessions(&mut found, row, &user)?;
        } else {
            of_administrator(&client, &mut found, row, &requirements).await?;
        }
        if let Some(other) = requirements.other {
            of_second_user(&client, &mut found, &user, &other.username()?).await?;
            self.of_way_in(&mut found, other).await?;
        }
        if !requirements.is_own() {
            self.keep(requirements.login, client).await?;
        }
        Ok(found)
    }

    /// Checks whether the server lets the second user connect from this host. The server decides that before it asks
    /// for the password, even for a user that does not exist.
    async fn of_way_in(&self, found: &mut Diagnosis, other: &Document) -> Result<(), Error> {
        match self.greet(other).await? {
            Greeting::NotFromHere(answer) => found.findings.push(Finding::new(format!(
                "the server does not let {} log in from here: PostgreSQL says {answer:?}; add that user to pg_hba.conf like the user in use",
                escape_identifier(&other.username()?)
            ))),
            Greeting::NoPassword => found.findings.push(Finding::from(&not_asked(other))),
            Greeting::Scram | Greeting::Older | Greeting::Other => {}
        }
        Ok(())
    }
}

async fn of_server(client: &Client, found: &mut Diagnosis, row: &Row, user: &str) -> Result<(), Error> {
    let named = escape_identifier(user);
    if column(row, 2)? {
        let problem = "the host is a standby, where passwords cannot be changed; set the secret's \"host\" to the primary";
        found.findings.push(Finding::new(problem));
    } else if column(row, 10)? {
        let problem = "the server's transactions are read-only (default_transaction_read_only), so passwords cannot be changed";
        found.findings.push(Finding::new(problem));
    }
    if let Some(until) = column::<Option<String>>(row, 9)? {
        let problem = format!("the password of {named} has expired ({until}); every login is refused");
        let fix = format!("ALTER ROLE {named} VALID UNTIL 'infinity';");
        found.findings.push(Finding::new(problem).fixed_by(fix));
    }
    if is_pooled(client, column(row, 17)?).await {
        found.server += ", behind a connection pooler";
        found.warnings.push(
            "the host is a connection pooler: it must look up passwords on the server (PgBouncer: auth_query), or it refuses the new one; to avoid that, name the server itself in the secret"
                .to_owned(),
        );
    }
    Ok(())
}

/// Checks that a user who changes its own password can open a session in addition to the application's.
fn of_sessions(found: &mut Diagnosis, row: &Row, user: &str) -> Result<(), Error> {
    let (limit, open): (i32, i64) = (column(row, 11)?, column(row, 12)?);
    if limit >= 0 && open >= i64::from(limit) {
        let named = escape_identifier(user);
        found.findings.push(
            Finding::new(format!(
                "{named} can have {limit} sessions and has {open} open, so the rotation cannot log in"
            ))
            .fixed_by(format!("ALTER ROLE {named} CONNECTION LIMIT {};", open + 1)),
        );
    }
    Ok(())
}

async fn of_administrator(
    client: &Client,
    found: &mut Diagnosis,
    row: &Row,
    requirements: &Requirements<'_>,
) -> Result<(), Error> {
    let user = requirements.user.username()?;
    let (asks, named): (String, _) = (column(row, 3)?, escape_identifier(&user));
    let (number, is_super, may_create): (i32, bool, bool) =
        (column(row, 1)?, column(row, 4)?, column(row, 5)?);
    if is_super {
        return Ok(());
    }
    if column(row, 7)? {
        found.findings.push(Finding::new(format!(
            "{named} is a superuser, whom only a superuser can change; {asks} is not one"
        )));
    } else if requirements.other.is_some() && column(row, 6)? {
        found.findings.push(Finding::new(format!(
            "{named} has attributes (REPLICATION or BYPASSRLS) that {asks} cannot give to a second user"
        )));
    } else if requirements.other.is_some() && column(row, 14)? && !column::<bool>(row, 15)? {
        found.findings.push(
            Finding::new(format!("{named} has CREATEDB, which {asks} cannot give to a second user"))
                .fixed_by(format!("ALTER ROLE {asks} CREATEDB;")),
        );
    }
    if !may_create {
        let problem = format!("{asks} can neither create nor change users");
        found.findings.push(Finding::new(problem).fixed_by(format!("ALTER ROLE {asks} CREATEROLE;")));
    }
    let other = requirements.other.map(Document::username).transpose()?;
    // Since version 16, CREATEROLE alone does not allow changing or granting other roles.
    if number >= 160_000 {
        let mut roles = vec![(user.clone(), column::<bool>(row, 8)?)];
        if let Some(other) = &other
            && let Some(row) = query(client, LOOK, &[text(&other.as_str())]).await?.first()
        {
            roles.push((other.clone(), column(row, 8)?));
        }
        for (role, _) in roles.iter().filter(|(_, has_admin)| !has_admin) {
            let role = escape_identifier(role);
            let problem = format!("{asks} has no ADMIN option on {role}, so it cannot change that role");
            found
                .findings
                .push(Finding::new(problem).fixed_by(format!("GRANT {role} TO {asks} WITH ADMIN OPTION;")));
        }
    }
    if let Some(other) = other {
        let (user, other) = (user.as_str(), other.as_str());
        let rows = query(client, PRIVILEGED_SETTINGS, &[text(&user), text(&other)]).await?;
        let names = first_column(&rows)?;
        if !names.is_empty() {
            found.findings.push(Finding::new(format!(
                "{named} has settings that only a superuser can give to a second user: {}",
                names.join(", ")
            )));
        }
    }
    Ok(())
}

async fn of_second_user(
    client: &Client,
    found: &mut Diagnosis,
    user: &str,
    other: &str,
) -> Result<(), Error> {
    if other.len() > LONGEST_NAME {
        found.findings.push(Finding::new(format!(
            "the second user's name {other:?} is longer than {LONGEST_NAME} bytes; name two users with --users"
        )));
    }
    let whom = async |role: &str| -> Result<Option<String>, Error> {
        let rows = query(client, ACTS_AS_WHOM, &[text(&role)]).await?;
        rows.first().map(|row| column(row, 0)).transpose()
    };
    // A role's settings can make it act as any role that it is a member of. Rotation makes the second user act as the
    // first, or as the role that the first acts as. Any other setting is the operator's, and is reported.
    let (theirs, ours) = (whom(other).await?, whom(user).await?);
    if let Some(theirs) = &theirs
        && theirs != user
        && Some(theirs) != ours.as_ref()
        && ours.as_deref() != Some(other)
    {
        let named = escape_identifier(other);
        found.findings.push(
            Finding::new(format!(
                "{named} acts as {theirs:?} from the start of every session, but the user in use does not"
            ))
            .fixed_by(format!("ALTER ROLE {named} RESET role;")),
        );
    }
    Ok(())
}
