//! Objects that belong to only one of two alternating users.
//!
//! The first user owns everything: the second is a member of it and acts as it from the start of every session. A
//! session can leave that role. `SET ROLE NONE` does, and so does `DISCARD ALL`, with which poolers reset sessions, on
//! servers without the fixes of November 2024 (seen with 16.2; not with 15.18 and 18.6). The second user then owns what
//! it creates, and the first cannot use it. So before the first user's next turn, everything that the second owns is
//! reassigned to it, in every database. (A third role with both as members would not help: after a reset, *both* would
//! create objects that the other cannot use.)

use std::fmt::Write;

use postgres_protocol::escape::escape_identifier;
use tokio_postgres::Client;

use super::Postgres;
use super::session::{begin, column, commit, first_column, flag, query, run, text};
use super::settings::acting_role;
use crate::document::Document;
use crate::error::{Error, ErrorKind};

/// The databases, other than the session's own, in which a role has dependent objects. This catalog is shared by all
/// databases.
const PLACES: &str = "SELECT DISTINCT d.datname FROM pg_catalog.pg_shdepend s JOIN pg_catalog.pg_roles r ON r.oid = s.refobjid \
     JOIN pg_catalog.pg_database d ON d.oid = s.dbid WHERE s.refclassid = 'pg_catalog.pg_authid'::regclass AND r.rolname = $1 \
     AND pg_catalog.strpos($2, s.deptype::text) > 0 AND d.datname <> pg_catalog.current_database() ORDER BY 1";

/// Every object that a role owns in the session's database. If the second parameter is true, also those that belong to
/// no database.
const OWNED: &str = "SELECT pg_catalog.pg_describe_object(s.classid, s.objid, s.objsubid) FROM pg_catalog.pg_shdepend s \
     JOIN pg_catalog.pg_roles r ON r.oid = s.refobjid LEFT JOIN pg_catalog.pg_database d ON d.oid = s.dbid \
     WHERE s.refclassid = 'pg_catalog.pg_authid'::regclass AND r.rolname = $1 AND s.deptype = 'o' \
     AND (d.datname = pg_catalog.current_database() OR $2 AND s.dbid = 0) ORDER BY 1 LIMIT 200";

/// Whether a role acts as another from the start of every session, directly or because both act as the same third role.
pub(super) const ACTS_AS: &str = "SELECT 1 FROM pg_catalog.pg_db_role_setting s \
     JOIN pg_catalog.pg_roles r ON r.oid = s.setrole, pg_catalog.unnest(s.setconfig) c \
     WHERE s.setdatabase = 0 AND r.rolname = $1 AND (c = 'role=' || $2 OR c LIKE 'role=%' AND EXISTS \
     (SELECT 1 FROM pg_catalog.pg_db_role_setting o JOIN pg_catalog.pg_roles u ON u.oid = o.setrole \
     WHERE o.setdatabase = 0 AND u.rolname = $2 AND c = ANY (o.setconfig)))";

/// Whether the current user is a superuser, the server's version, and whether the current user is already a member of a
/// role: by its own grant or, before version 16, by any grant.
const ASKS: &str = "SELECT u.rolsuper, pg_catalog.current_setting('server_version_num')::int, EXISTS (SELECT 1 \
     FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles r ON r.oid = m.roleid WHERE r.rolname = $1 AND m.member = u.oid \
     AND (m.grantor = u.oid OR pg_catalog.current_setting('server_version_num')::int < 160000)) \
     FROM pg_catalog.pg_roles u WHERE u.rolname = current_user";

/// Kinds of dependency on a role, as in `pg_shdepend.deptype`: `o` is ownership, `a` a privilege, `r` a policy.
const OWNS: &str = "o";
const OWNS_OR_MAY: &str = "oar";

impl Postgres {
    /// Returns every object that the member owns itself, in all databases.
    pub(super) async fn owned_by_member(
        &self,
        admin: &Document,
        reference: &Document,
        candidate: &Document,
    ) -> Result<Vec<String>, Error> {
        let client = self.session(admin).await?;
        let (_, member) = owner_and_member(&client, reference, candidate).await?;
        let mut objects = owned(&client, &member, true).await?;
        for database in places(&client, &member, OWNS).await? {
            let there = owned(&self.session_in(admin, &database).await?, &member, false).await?;
            objects.extend(there.iter().map(|object| in_database(object, &database)));
        }
        Ok(objects)
    }

    /// Reassigns everything that the member owns to the owner, in all databases, and makes the member act as the owner.
    pub(super) async fn give_to_owner(
        &self,
        admin: &Document,
        reference: &Document,
        candidate: &Document,
    ) -> Result<(), Error> {
        let client = self.session(admin).await?;
        let (owner, member) = owner_and_member(&client, reference, candidate).await?;
        let act = acting_role(&client, &owner, &member).await?;
        run(&client, "let the second user act as the first", &act).await?;
        let client = self.reassign(admin, client, &owner, &member).await?;
        commit(&client).await
    }

    /// Reassigns what the member created as itself, before the owner's next turn. Does nothing unless the member is set
    /// to act as the owner. Rotation always sets that; without it, someone else set the users up, and ownership changes
    /// only on request.
    pub(super) async fn gather(
        &self,
        admin: &Document,
        client: Client,
        owner: &str,
        member: &str,
    ) -> Result<Client, Error> {
        if query(&client, ACTS_AS, &[text(&member), text(&owner)]).await?.is_empty() {
            return Ok(client);
        }
        self.reassign(admin, client, owner, member).await
    }

    async fn reassign(
        &self,
        admin: &Document,
        client: Client,
        owner: &str,
        member: &str,
    ) -> Result<Client, Error> {
        let places = places(&client, member, OWNS).await?;
        if !owned(&client, member, true).await?.is_empty() {
            reassign_here(&client, owner, member).await?;
            // Releases the locks on these objects before the other databases are processed.
            commit(&client).await?;
            begin(&client).await?;
        }
        for database in places {
            let there = self.session_in(admin, &database).await?;
            reassign_here(&there, owner, member).await?;
            commit(&there).await?;
        }
        Ok(client)
    }

    /// Runs a query about two roles in every other database where the first has objects or privileges. Returns each row
    /// with the name of its database.
    pub(super) async fn wherever(
        &self,
        admin: &Document,
        client: &Client,
        question: &str,
        [first, second]: [&str; 2],
    ) -> Result<Vec<(String, String)>, Error> {
        let mut found = Vec::new();
        for database in places(client, first, OWNS_OR_MAY).await? {
            let client = self.session_in(admin, &database).await?;
            let rows = query(&client, question, &[text(&first), text(&second)]).await?;
            found.extend(first_column(&rows)?.into_iter().map(|row| (row, database.clone())));
        }
        Ok(found)
    }

    /// Opens an administrator's session in another database of the same server.
    async fn session_in(&self, admin: &Document, database: &str) -> Result<Client, Error> {
        let there = admin.with("dbname", database)?;
        self.login(&there).await?.ok_or_else(|| {
            let text = format!(
                "the administrator cannot connect to the database {database:?}, where the users have objects"
            );
            Error::new(ErrorKind::Denied, text)
        })
    }
}

/// Reassigns ownership in the session's database.
async fn reassign_here(client: &Client, owner: &str, member: &str) -> Result<(), Error> {
    let rows = query(client, ASKS, &[text(&member)]).await?;
    let row = rows.first().ok_or_else(|| Error::new(ErrorKind::Unavailable, "PostgreSQL returned no row"))?;
    let (is_super, version, is_member): (bool, i32, bool) =
        (column(row, 0)?, column(row, 1)?, column(row, 2)?);
    let (owner, member) = (escape_identifier(owner), escape_identifier(member));
    // Waiting for a long transaction would block all other sessions that queue behind this one.
    let mut statements = "SET LOCAL lock_timeout = '5s';".to_owned();
    // REASSIGN OWNED needs membership in both roles, which the right to create users does not include. So the
    // administrator joins the member role for this statement, and the owner through it.
    let (options, grantor) = if version < 160_000 {
        ("", "")
    } else {
        (" WITH INHERIT TRUE, SET TRUE", " GRANTED BY CURRENT_USER")
    };
    let joins = !is_super && !is_member;
    if joins {
        let _ = write!(statements, "GRANT {member} TO CURRENT_USER{options};");
    }
    let _ = write!(statements, "REASSIGN OWNED BY {member} TO {owner};");
    if joins {
        let _ = write!(statements, "REVOKE {member} FROM CURRENT_USER{grantor};");
    }
    run(client, "change the ownership", &statements).await
}

async fn places(client: &Client, role: &str, kinds: &str) -> Result<Vec<String>, Error> {
    let rows = query(client, PLACES, &[text(&role), text(&kinds)]).await?;
    first_column(&rows)
}

async fn owned(client: &Client, role: &str, shared: bool) -> Result<Vec<String>, Error> {
    let rows = query(client, OWNED, &[text(&role), flag(&shared)]).await?;
    first_column(&rows)
}

pub(super) fn in_database(object: &str, database: &str) -> String {
    format!("{object} (in database {database})")
}

/// The one of two alternating users that owns what both create.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Owner {
    Reference,
    Candidate,
    Undecided,
}

pub(super) async fn owner(client: &Client, reference: &str, candidate: &str) -> Result<Owner, Error> {
    let statement = "SELECT r.rolname FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles r ON r.oid = m.roleid \
         JOIN pg_catalog.pg_roles u ON u.oid = m.member WHERE (r.rolname, u.rolname) IN (($1, $2), ($2, $1))";
    let rows = query(client, statement, &[text(&reference), text(&candidate)]).await?;
    Ok(match rows.first().map(|row| column::<String>(row, 0)).transpose()? {
        None => Owner::Undecided,
        Some(owner) if owner == reference => Owner::Reference,
        Some(_) => Owner::Candidate,
    })
}

/// Returns the owner and the member among two users. If neither is a member of the other, the owner is the one with the
/// shorter name, from which the other's is derived.
async fn owner_and_member(
    client: &Client,
    reference: &Document,
    candidate: &Document,
) -> Result<(String, String), Error> {
    let (reference, candidate) = (reference.username()?.to_string(), candidate.username()?.to_string());
    Ok(match owner(client, &reference, &candidate).await? {
        Owner::Reference => (reference, candidate),
        Owner::Candidate => (candidate, reference),
        Owner::Undecided if reference.len() <= candidate.len() => (reference, candidate),
        Owner::Undecided => (candidate, reference),
    })
}
