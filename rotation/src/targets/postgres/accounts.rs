//! Users and privileges at PostgreSQL.

use std::fmt::Write;

use postgres_protocol::escape::{escape_identifier, escape_literal};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use super::ownership::{ACTS_AS, in_database};
use super::{Postgres, fault, run};
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::store::BoxFuture;
use crate::target::{Accounts, UserStatus};
use crate::targets::{STATEMENT_TIMEOUT, within};

impl Accounts for Postgres {
    fn user_status<'a>(
        &'a self,
        admin: &'a Document,
        candidate: &'a Document,
        mark: &'a str,
    ) -> BoxFuture<'a, Result<UserStatus, Error>> {
        Box::pin(async move {
            let client = self.session(admin).await?;
            let user = candidate.username()?;
            let statement = "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = $1";
            let rows = query(&client, statement, &[&user.as_str()]).await?;
            self.kept.put(admin, client);
            Ok(match rows.first() {
                None => UserStatus::Absent,
                Some(row) if row.get::<_, Option<String>>(0).as_deref() == Some(mark) => UserStatus::Ours,
                Some(_) => UserStatus::Foreign,
            })
        })
    }

    fn ensure<'a>(
        &'a self,
        admin: &'a Document,
        _: &'a Document,
        candidate: &'a Document,
        mark: &'a str,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let client = self.session(admin).await?;
            let user = candidate.username()?;
            if !exists(&client, &user).await? {
                let (name, mark) = (escape_identifier(&user), escape_literal(mark));
                let statements = format!("CREATE ROLE {name} NOLOGIN; COMMENT ON ROLE {name} IS {mark}");
                run(&client, "make the second user", &statements).await?;
            }
            self.kept.put(admin, client);
            Ok(())
        })
    }

    fn reconcile<'a>(
        &'a self,
        admin: &'a Document,
        reference: &'a Document,
        candidate: &'a Document,
        mark: &'a str,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let mut client = self.session(admin).await?;
            let (reference, candidate) = (reference.username()?, candidate.username()?);
            let mut statements = "BEGIN;".to_owned();
            let owner = owner(&client, &reference, &candidate).await?;
            match owner {
                Owner::Reference => {}
                Owner::Candidate => client = self.gather(admin, client, &candidate, &reference).await?,
                Owner::Undecided => {
                    statements.push_str(&membership(&client, &reference, &candidate).await?);
                    // Left over from a first user that was dropped: the new one is not the one it acted as.
                    statements.push_str(&no_longer_acts(&client, &reference, &candidate).await?);
                }
            }
            statements.push_str(&attributes(&client, &reference, &candidate, owner).await?);
            statements.push_str(&settings(&client, &reference, &candidate).await?);
            if owner != Owner::Candidate {
                let (member, owner) = (escape_identifier(&candidate), escape_literal(&reference));
                // What the second user makes belongs to the first, so that both can use it.
                let _ = write!(statements, "ALTER ROLE {member} SET role TO {owner};");
            }
            statements.push_str("COMMIT");
            run(&client, "give the second user its privileges", &statements).await?;
            // A comment that somebody else wrote stays, and one that may not be written is not needed: the other user is
            // recognised by the previous version as well.
            let uncommented =
                "SELECT shobj_description(oid, 'pg_authid') IS NULL FROM pg_roles WHERE rolname = $1";
            if let Some(row) = query(&client, uncommented, &[&reference.as_str()]).await?.first()
                && row.get(0)
            {
                let (name, mark) = (escape_identifier(&reference), escape_literal(mark));
                drop(client.batch_execute(&format!("COMMENT ON ROLE {name} IS {mark}")).await);
            }
            self.kept.put(admin, client);
            Ok(())
        })
    }

    fn mark<'a>(
        &'a self,
        admin: &'a Document,
        candidate: &'a Document,
        mark: &'a str,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let client = self.session(admin).await?;
            let (name, mark) = (escape_identifier(&candidate.username()?), escape_literal(mark));
            run(&client, "mark the user", &format!("COMMENT ON ROLE {name} IS {mark}")).await
        })
    }

    fn unshared_objects<'a>(
        &'a self,
        admin: &'a Document,
        reference: &'a Document,
        candidate: &'a Document,
    ) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        Box::pin(self.owned_by_member(admin, reference, candidate))
    }

    fn share_ownership<'a>(
        &'a self,
        admin: &'a Document,
        reference: &'a Document,
        candidate: &'a Document,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.give_to_owner(admin, reference, candidate))
    }

    fn missing<'a>(
        &'a self,
        admin: &'a Document,
        reference: &'a Document,
        candidate: &'a Document,
    ) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        Box::pin(async move {
            let client = self.session(admin).await?;
            let (reference, candidate) = (reference.username()?, candidate.username()?);
            if !exists(&client, &candidate).await? {
                return Ok(vec!["the user itself".to_owned()]);
            }
            let users = [reference.as_str(), candidate.as_str()];
            let rows = query(&client, MISSING, &[&users[0], &users[1]]).await?;
            let mut missing: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
            // A member may do all that the owner may. What the owner may not do, the member was allowed on its own.
            if owner(&client, users[0], users[1]).await? != Owner::Reference {
                for (lack, database) in self.wherever(admin, &client, MISSING, users).await? {
                    // What is no database's own is the same everywhere.
                    if !missing.contains(&lack) {
                        missing.push(in_database(&lack, &database));
                    }
                }
            }
            self.kept.put(admin, client);
            Ok(missing)
        })
    }
}

/// Everything the first role may do and the second may not, by way of whatever roles. Objects are those of the database
/// that the session is in.
const MISSING: &str = "
WITH r AS (SELECT * FROM pg_roles WHERE rolname = $1), c AS (SELECT * FROM pg_roles WHERE rolname = $2)
SELECT a.name FROM r, c, LATERAL (VALUES
    ('SUPERUSER', r.rolsuper AND NOT c.rolsuper), ('CREATEDB', r.rolcreatedb AND NOT c.rolcreatedb),
    ('CREATEROLE', r.rolcreaterole AND NOT c.rolcreaterole), ('REPLICATION', r.rolreplication AND NOT c.rolreplication),
    ('BYPASSRLS', r.rolbypassrls AND NOT c.rolbypassrls)) AS a(name, lacks) WHERE a.lacks
UNION ALL SELECT 'membership in ' || quote_ident(o.rolname) FROM r, c, pg_roles o
    WHERE o.oid NOT IN (r.oid, c.oid) AND pg_has_role(r.oid, o.oid, 'USAGE') AND NOT pg_has_role(c.oid, o.oid, 'USAGE')
UNION ALL SELECT p || ' ON DATABASE ' || quote_ident(d.datname)
    FROM r, c, pg_database d, unnest(ARRAY['CONNECT', 'CREATE', 'TEMPORARY']) p
    WHERE has_database_privilege(r.oid, d.oid, p) AND NOT has_database_privilege(c.oid, d.oid, p)
UNION ALL SELECT p || ' ON SCHEMA ' || quote_ident(n.nspname)
    FROM r, c, pg_namespace n, unnest(ARRAY['USAGE', 'CREATE']) p
    WHERE n.nspname !~ '^pg_(toast|temp)' AND has_schema_privilege(r.oid, n.oid, p)
    AND NOT has_schema_privilege(c.oid, n.oid, p)
UNION ALL SELECT p || ' ON ' || o.oid::regclass::text
    FROM r, c, pg_class o, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) p
    WHERE o.relkind IN ('r', 'v', 'm', 'f', 'p') AND o.relnamespace <> 'pg_toast'::regnamespace
    AND has_table_privilege(r.oid, o.oid, p) AND NOT has_table_privilege(c.oid, o.oid, p)
UNION ALL SELECT p || ' ON COLUMN ' || o.oid::regclass::text || '.' || quote_ident(a.attname)
    FROM r, c, pg_class o, pg_attribute a, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) p
    WHERE a.attrelid = o.oid AND a.attacl IS NOT NULL AND NOT a.attisdropped
    AND has_column_privilege(r.oid, o.oid, a.attnum, p) AND NOT has_column_privilege(c.oid, o.oid, a.attnum, p)
UNION ALL SELECT p || ' ON SEQUENCE ' || o.oid::regclass::text
    FROM r, c, pg_class o, unnest(ARRAY['USAGE', 'SELECT', 'UPDATE']) p
    WHERE o.relkind = 'S' AND has_sequence_privilege(r.oid, o.oid, p) AND NOT has_sequence_privilege(c.oid, o.oid, p)
UNION ALL SELECT 'EXECUTE ON FUNCTION ' || f.oid::regprocedure::text FROM r, c, pg_proc f
    WHERE f.proacl IS NOT NULL AND has_function_privilege(r.oid, f.oid, 'EXECUTE')
    AND NOT has_function_privilege(c.oid, f.oid, 'EXECUTE')
UNION ALL SELECT 'ownership of ' || o.oid::regclass::text FROM r, c, pg_class o
    WHERE o.relkind IN ('r', 'v', 'm', 'f', 'p', 'S') AND pg_has_role(r.oid, o.relowner, 'USAGE')
    AND NOT pg_has_role(c.oid, o.relowner, 'USAGE')
LIMIT 200";

/// Which of two alternating users owns what both make.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Owner {
    Reference,
    Candidate,
    Undecided,
}

pub(super) async fn owner(client: &Client, reference: &str, candidate: &str) -> Result<Owner, Error> {
    let statement = "SELECT r.rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid \
         JOIN pg_roles u ON u.oid = m.member WHERE (r.rolname, u.rolname) IN (($1, $2), ($2, $1))";
    let rows = query(client, statement, &[&reference, &candidate]).await?;
    Ok(match rows.first().map(|row| row.get::<_, String>(0)) {
        None => Owner::Undecided,
        Some(owner) if owner == reference => Owner::Reference,
        Some(_) => Owner::Candidate,
    })
}

async fn exists(client: &Client, user: &str) -> Result<bool, Error> {
    Ok(!query(client, "SELECT 1 FROM pg_roles WHERE rolname = $1", &[&user]).await?.is_empty())
}

/// Makes the candidate a member of the reference.
async fn membership(client: &Client, reference: &str, candidate: &str) -> Result<String, Error> {
    let (owner, member) = (escape_identifier(reference), escape_identifier(candidate));
    let statement = "SELECT current_setting('server_version_num')::int, quote_ident(current_user), \
         pg_has_role(current_user, $1, 'MEMBER WITH ADMIN OPTION')";
    let rows = query(client, statement, &[&reference]).await?;
    let row = rows.first().ok_or_else(|| Error::new(ErrorKind::Unavailable, "PostgreSQL gave no answer"))?;
    if row.get::<_, i32>(0) < 160_000 {
        return Ok(format!("GRANT {owner} TO {member};"));
    }
    // Since version 16 the right to make users is no longer the right to grant each of them.
    if !row.get::<_, bool>(2) {
        let admin: String = row.get(1);
        return Err(Error::new(
            ErrorKind::Denied,
            format!(
                "the administrator may not grant the user in use; let a superuser run: GRANT {owner} TO {admin} WITH ADMIN OPTION"
            ),
        ));
    }
    Ok(format!("GRANT {owner} TO {member} WITH INHERIT TRUE, SET TRUE;"))
}

/// Takes a setting from the reference by which it would act as the candidate.
async fn no_longer_acts(client: &Client, reference: &str, candidate: &str) -> Result<String, Error> {
    let rows = query(client, ACTS_AS, &[&reference, &candidate]).await?;
    let reset = |_| format!("ALTER ROLE {} RESET role;", escape_identifier(reference));
    Ok(rows.first().map(reset).unwrap_or_default())
}

/// Attributes that are the role's own and do not come with a membership. Only differences are written, since some of
/// them only a superuser may write.
async fn attributes(
    client: &Client,
    reference: &str,
    candidate: &str,
    owner: Owner,
) -> Result<String, Error> {
    // The member always inherits: what the owner may do by itself, it may. What the owner does not inherit from others,
    // the member does not get through it.
    let statement = "SELECT concat_ws(' ', CASE WHEN $3 AND NOT c.rolinherit THEN 'INHERIT' END, \
         CASE WHEN r.rolsuper <> c.rolsuper THEN CASE WHEN r.rolsuper THEN 'SUPERUSER' ELSE 'NOSUPERUSER' END END, \
         CASE WHEN r.rolcreatedb <> c.rolcreatedb THEN CASE WHEN r.rolcreatedb THEN 'CREATEDB' ELSE 'NOCREATEDB' END END, \
         CASE WHEN r.rolcreaterole <> c.rolcreaterole THEN CASE WHEN r.rolcreaterole THEN 'CREATEROLE' ELSE 'NOCREATEROLE' END END, \
         CASE WHEN r.rolreplication <> c.rolreplication THEN CASE WHEN r.rolreplication THEN 'REPLICATION' ELSE 'NOREPLICATION' END END, \
         CASE WHEN r.rolbypassrls <> c.rolbypassrls THEN CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' ELSE 'NOBYPASSRLS' END END, \
         CASE WHEN r.rolconnlimit <> c.rolconnlimit THEN 'CONNECTION LIMIT ' || r.rolconnlimit END, \
         CASE WHEN r.rolvaliduntil IS DISTINCT FROM c.rolvaliduntil \
              THEN 'VALID UNTIL ' || quote_literal(coalesce(r.rolvaliduntil::text, 'infinity')) END) \
         FROM pg_roles r, pg_roles c WHERE r.rolname = $1 AND c.rolname = $2";
    let is_member = owner != Owner::Candidate;
    let rows = query(client, statement, &[&reference, &candidate, &is_member]).await?;
    Ok(match rows.first().map(|row| row.get::<_, String>(0)) {
        Some(differences) if !differences.is_empty() => {
            format!("ALTER ROLE {} WITH {differences};", escape_identifier(candidate))
        }
        _ => String::new(),
    })
}

/// Settings such as `search_path`, for all databases and for single ones. They are copied by way of the session, since
/// only so a list stays a list.
async fn settings(client: &Client, reference: &str, candidate: &str) -> Result<String, Error> {
    let statement = "SELECT quote_ident(d.datname), split_part(s, '=', 1), substr(s, strpos(s, '=') + 1) \
         FROM pg_db_role_setting g JOIN pg_roles r ON r.oid = g.setrole \
         LEFT JOIN pg_database d ON d.oid = g.setdatabase, unnest(g.setconfig) s WHERE r.rolname = $1";
    let of = |user| async move {
        let read =
            |row: &Row| (row.get::<_, Option<String>>(0), row.get::<_, String>(1), row.get::<_, String>(2));
        let rows = query(client, statement, &[&user]).await?;
        // Which role to act as is the one thing in which the two differ.
        Ok::<Vec<_>, Error>(rows.iter().map(read).filter(|(_, name, _)| name != "role").collect())
    };
    let (wanted, present) = (of(reference).await?, of(candidate).await?);
    let user = escape_identifier(candidate);
    let place = |database: &Option<String>| match database {
        Some(database) => format!("ALTER ROLE {user} IN DATABASE {database}"),
        None => format!("ALTER ROLE {user}"),
    };
    let mut statements = String::new();
    for (database, name, value) in wanted.iter().filter(|setting| !present.contains(setting)) {
        let (alter, quoted) = (place(database), escape_identifier(name));
        let (name, value) = (escape_literal(name), escape_literal(value));
        let _ = write!(
            statements,
            "SELECT pg_catalog.set_config({name}, {value}, true); {alter} SET {quoted} FROM CURRENT;"
        );
    }
    let is_gone = |(database, name, _): &&(Option<String>, String, String)| {
        !wanted.iter().any(|other| (&other.0, &other.1) == (database, name))
    };
    for (database, name, _) in present.iter().filter(is_gone) {
        let _ = write!(statements, "{} RESET {};", place(database), escape_identifier(name));
    }
    Ok(statements)
}

pub(super) async fn query(
    client: &Client,
    statement: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, Error> {
    within(STATEMENT_TIMEOUT, "a question", async {
        client.query(statement, parameters).await.map_err(|error| fault("look at the users", error))
    })
    .await
}
