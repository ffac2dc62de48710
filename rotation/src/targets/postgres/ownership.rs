//! What of two alternating users belongs to one alone.
//!
//! The first owns everything: the second is a member of it and acts as it from the start of every session. A
//! session can leave that: `SET ROLE NONE` does, and so does `DISCARD ALL`, by which poolers clean sessions up, on servers
//! without the fixes of November 2024 (seen at 16.2; not at 15.18 and 18.6). What the second user then makes is its own,
//! which the first cannot use. So before the first has its turn again, it is given what the second owns, in every
//! database. (A third role that both belong to would be no way out: after a clean-up *both* would make what the other
//! cannot use.)

use std::fmt::Write;

use postgres_protocol::escape::escape_identifier;
use tokio_postgres::Client;

use super::Postgres;
use super::session::{begin, commit, flag, query, run, text};
use super::settings::acting_role;
use crate::document::Document;
use crate::error::{Error, ErrorKind};

/// The databases in which there is something of a role, beside the one that the session is in. This catalog is the same
/// in all of them.
const PLACES: &str = "SELECT DISTINCT d.datname FROM pg_catalog.pg_shdepend s JOIN pg_catalog.pg_roles r ON r.oid = s.refobjid \
     JOIN pg_catalog.pg_database d ON d.oid = s.dbid WHERE s.refclassid = 'pg_catalog.pg_authid'::regclass AND r.rolname = $1 \
     AND pg_catalog.strpos($2, s.deptype::text) > 0 AND d.datname <> pg_catalog.current_database() ORDER BY 1";

/// Everything of whatever kind that a role owns in the database that the session is in, and, if the second parameter
/// says so, what belongs to no database.
const OWNED: &str = "SELECT pg_catalog.pg_describe_object(s.classid, s.objid, s.objsubid) FROM pg_catalog.pg_shdepend s \
     JOIN pg_catalog.pg_roles r ON r.oid = s.refobjid LEFT JOIN pg_catalog.pg_database d ON d.oid = s.dbid \
     WHERE s.refclassid = 'pg_catalog.pg_authid'::regclass AND r.rolname = $1 AND s.deptype = 'o' \
     AND (d.datname = pg_catalog.current_database() OR $2 AND s.dbid = 0) ORDER BY 1 LIMIT 200";

/// Whether a role acts as another from the start of every session: as that one, or as whom that one acts as itself.
pub(super) const ACTS_AS: &str = "SELECT 1 FROM pg_catalog.pg_db_role_setting s \
     JOIN pg_catalog.pg_roles r ON r.oid = s.setrole, pg_catalog.unnest(s.setconfig) c \
     WHERE s.setdatabase = 0 AND r.rolname = $1 AND (c = 'role=' || $2 OR c LIKE 'role=%' AND EXISTS \
     (SELECT 1 FROM pg_catalog.pg_db_role_setting o JOIN pg_catalog.pg_roles u ON u.oid = o.setrole \
     WHERE o.setdatabase = 0 AND u.rolname = $2 AND c = ANY (o.setconfig)))";

/// Who asks, and whether it belongs to a role by its own doing or, before version 16, by anybody's.
const ASKS: &str = "SELECT u.rolsuper, pg_catalog.current_setting('server_version_num')::int, EXISTS (SELECT 1 \
     FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles r ON r.oid = m.roleid WHERE r.rolname = $1 AND m.member = u.oid \
     AND (m.grantor = u.oid OR pg_catalog.current_setting('server_version_num')::int < 160000)) \
     FROM pg_catalog.pg_roles u WHERE u.rolname = current_user";

/// What a dependency on a role stands for, as `pg_shdepend` has it.
const OWNS: &str = "o";
const OWNS_OR_MAY: &str = "oar";

impl Postgres {
    /// Everything that belongs to the member alone, in every database.
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

    /// Gives the owner what the member owns in every database, and lets the member act as the owner from now on.
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

    /// Before the owner has its turn again: gives it what the member made as itself, if the member is to act as the
    /// owner. Where it is not, it was made by somebody else, and ownership is changed only when asked.
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
            // Not to hold on to every object while the other databases are visited.
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

    /// The rows of a question about two roles, asked in every other database in which there is something of the first,
    /// and which one that was.
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
            found.extend(rows.iter().map(|row| (row.get(0), database.clone())));
        }
        Ok(found)
    }

    /// An administrator's session in another database of the same server.
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

/// Changes owners in one database.
async fn reassign_here(client: &Client, owner: &str, member: &str) -> Result<(), Error> {
    let rows = query(client, ASKS, &[text(&member)]).await?;
    let row = rows.first().ok_or_else(|| Error::new(ErrorKind::Unavailable, "PostgreSQL returned no row"))?;
    let (is_super, version, is_member): (bool, i32, bool) = (row.get(0), row.get(1), row.get(2));
    let (owner, member) = (escape_identifier(owner), escape_identifier(member));
    // Behind a long transaction, waiting would hold up everybody else.
    let mut statements = "SET LOCAL lock_timeout = '5s';".to_owned();
    // Who makes users is none of them, and gives away only what is its own. For as long as this takes, it is the member,
    // which is the owner.
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
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

async fn owned(client: &Client, role: &str, shared: bool) -> Result<Vec<String>, Error> {
    let rows = query(client, OWNED, &[text(&role), flag(&shared)]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

pub(super) fn in_database(object: &str, database: &str) -> String {
    format!("{object} (in database {database})")
}

/// Which of two alternating users owns what both make.
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
    Ok(match rows.first().map(|row| row.get::<_, String>(0)) {
        None => Owner::Undecided,
        Some(owner) if owner == reference => Owner::Reference,
        Some(_) => Owner::Candidate,
    })
}

/// Of two users, the one that owns what both make, and the one that is a member of it. Where neither is, the one whose
/// name the other's is made from.
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
