//! Users and privileges in PostgreSQL.

use postgres_protocol::escape::{escape_identifier, escape_literal};
use tokio_postgres::Client;

use super::Postgres;
use super::missing::MISSING;
use super::ownership::{ACTS_AS, Owner, in_database, owner};
use super::session::{column, commit, first_column, flag, query, run, text};
use super::settings::{acting_role, settings};
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::store::BoxFuture;
use crate::target::{Accounts, UserStatus};

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
            let statement = "SELECT pg_catalog.shobj_description(oid, 'pg_authid') FROM pg_catalog.pg_roles WHERE rolname = $1";
            let rows = query(&client, statement, &[text(&user.as_str())]).await?;
            self.keep(admin, client).await?;
            Ok(match rows.first() {
                None => UserStatus::Absent,
                Some(row) if column::<Option<String>>(row, 0)?.as_deref() == Some(mark) => UserStatus::Ours,
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
                run(&client, "create the second user", &statements).await?;
            }
            self.keep(admin, client).await?;
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
            let mut statements = String::new();
            let owner = owner(&client, &reference, &candidate).await?;
            match owner {
                Owner::Reference => {}
                Owner::Candidate => client = self.gather(admin, client, &candidate, &reference).await?,
                Owner::Undecided => {
                    statements.push_str(&membership(&client, &reference, &candidate).await?);
                    // Left over from a first user that was dropped and created again.
                    statements.push_str(&no_longer_acts(&client, &reference, &candidate).await?);
                }
            }
            statements.push_str(&attributes(&client, &reference, &candidate, owner).await?);
            statements.push_str(&settings(&client, &reference, &candidate).await?);
            if owner != Owner::Candidate {
                // Objects that the second user creates belong to the role that the first acts as, so both can use them.
                statements.push_str(&acting_role(&client, &reference, &candidate).await?);
            }
            run(&client, "give the second user its privileges", &statements).await?;
            // Only an empty comment is set, and a failure to set it does no harm: the other user is also recognized by
            // the previous version.
            let uncommented = "SELECT pg_catalog.shobj_description(oid, 'pg_authid') IS NULL FROM pg_catalog.pg_roles WHERE rolname = $1";
            if let Some(row) = query(&client, uncommented, &[text(&reference.as_str())]).await?.first()
                && column(row, 0)?
            {
                let (name, mark) = (escape_identifier(&reference), escape_literal(mark));
                commit(&client).await?;
                drop(client.batch_execute(&format!("COMMENT ON ROLE {name} IS {mark}")).await);
                self.kept.put(admin, client);
                return Ok(());
            }
            self.keep(admin, client).await?;
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
            run(&client, "mark the user", &format!("COMMENT ON ROLE {name} IS {mark}")).await?;
            self.keep(admin, client).await
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

    fn depends_on_name<'a>(
        &'a self,
        admin: &'a Document,
        _: &'a Document,
        _: &'a Document,
    ) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        Box::pin(self.asking_for_names(admin))
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
            let rows = query(&client, MISSING, &[text(&users[0]), text(&users[1])]).await?;
            let mut missing = first_column(&rows)?;
            // A candidate that is a member of the reference lacks nothing. Otherwise, privileges that were granted to
            // the reference alone can be missing in any database.
            if owner(&client, users[0], users[1]).await? != Owner::Reference {
                for (lack, database) in self.wherever(admin, &client, MISSING, users).await? {
                    // Privileges outside of any database are found from every database; report them once.
                    if !missing.contains(&lack) {
                        missing.push(in_database(&lack, &database));
                    }
                }
            }
            self.keep(admin, client).await?;
            Ok(missing)
        })
    }
}

async fn exists(client: &Client, user: &str) -> Result<bool, Error> {
    Ok(!query(client, "SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1", &[text(&user)])
        .await?
        .is_empty())
}

/// Returns the statement that makes the candidate a member of the reference.
async fn membership(client: &Client, reference: &str, candidate: &str) -> Result<String, Error> {
    let (owner, member) = (escape_identifier(reference), escape_identifier(candidate));
    let statement = "SELECT pg_catalog.current_setting('server_version_num')::int, pg_catalog.quote_ident(current_user), \
         pg_catalog.pg_has_role(current_user, $1::pg_catalog.name, 'MEMBER WITH ADMIN OPTION')";
    let rows = query(client, statement, &[text(&reference)]).await?;
    let row = rows.first().ok_or_else(|| Error::new(ErrorKind::Unavailable, "PostgreSQL returned no row"))?;
    if column::<i32>(row, 0)? < 160_000 {
        return Ok(format!("GRANT {owner} TO {member};"));
    }
    // Since version 16, CREATEROLE alone does not allow granting other roles.
    if !column::<bool>(row, 2)? {
        let admin: String = column(row, 1)?;
        return Err(Error::new(
            ErrorKind::Denied,
            format!(
                "the administrator cannot grant the role of the user in use; let a superuser run: GRANT {owner} TO {admin} WITH ADMIN OPTION"
            ),
        ));
    }
    Ok(format!("GRANT {owner} TO {member} WITH INHERIT TRUE, SET TRUE;"))
}

/// Returns the statement that resets the reference's `role` setting if it makes the reference act as the candidate.
async fn no_longer_acts(client: &Client, reference: &str, candidate: &str) -> Result<String, Error> {
    let rows = query(client, ACTS_AS, &[text(&reference), text(&candidate)]).await?;
    let reset = |_| format!("ALTER ROLE {} RESET role;", escape_identifier(reference));
    Ok(rows.first().map(reset).unwrap_or_default())
}

/// Returns the statement that gives the candidate the reference's role attributes, which membership does not convey. It
/// names only those that differ, because some need a superuser.
async fn attributes(
    client: &Client,
    reference: &str,
    candidate: &str,
    owner: Owner,
) -> Result<String, Error> {
    // The member always inherits, so it has the owner's own privileges. Privileges that the owner does not inherit from
    // other roles do not reach the member through it.
    let statement = "SELECT pg_catalog.concat_ws(' ', CASE WHEN $3 AND NOT c.rolinherit THEN 'INHERIT' END, \
         CASE WHEN r.rolsuper <> c.rolsuper THEN CASE WHEN r.rolsuper THEN 'SUPERUSER' ELSE 'NOSUPERUSER' END END, \
         CASE WHEN r.rolcreatedb <> c.rolcreatedb THEN CASE WHEN r.rolcreatedb THEN 'CREATEDB' ELSE 'NOCREATEDB' END END, \
         CASE WHEN r.rolcreaterole <> c.rolcreaterole THEN CASE WHEN r.rolcreaterole THEN 'CREATEROLE' ELSE 'NOCREATEROLE' END END, \
         CASE WHEN r.rolreplication <> c.rolreplication THEN CASE WHEN r.rolreplication THEN 'REPLICATION' ELSE 'NOREPLICATION' END END, \
         CASE WHEN r.rolbypassrls <> c.rolbypassrls THEN CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' ELSE 'NOBYPASSRLS' END END, \
         CASE WHEN r.rolconnlimit <> c.rolconnlimit THEN 'CONNECTION LIMIT ' || r.rolconnlimit END, \
         CASE WHEN r.rolvaliduntil IS DISTINCT FROM c.rolvaliduntil \
              THEN 'VALID UNTIL ' || pg_catalog.quote_literal(coalesce(r.rolvaliduntil::text, 'infinity')) END) \
         FROM pg_catalog.pg_roles r, pg_catalog.pg_roles c WHERE r.rolname = $1 AND c.rolname = $2";
    let is_member = owner != Owner::Candidate;
    let rows = query(client, statement, &[text(&reference), text(&candidate), flag(&is_member)]).await?;
    Ok(match rows.first().map(|row| column::<String>(row, 0)).transpose()? {
        Some(differences) if !differences.is_empty() => {
            format!("ALTER ROLE {} WITH {differences};", escape_identifier(candidate))
        }
        _ => String::new(),
    })
}
