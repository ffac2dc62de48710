//! Users and privileges at MariaDB.

use mysql_async::Conn;
use sha1::{Digest, Sha1};

use super::dialect::Dialect;
use super::grants::Grant;
use super::{MySql, account, dialect_of, hex, literal, quoted, rows, run};
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::store::BoxFuture;
use crate::target::{Accounts, Standing};

impl Accounts for MySql {
    fn standing<'a>(
        &'a self,
        admin: &'a Document,
        candidate: &'a Document,
        mark: &'a str,
    ) -> BoxFuture<'a, Result<Standing, Error>> {
        Box::pin(async move {
            let (mut connection, dialect) = self.mariadb(admin).await?;
            let user = candidate.username()?;
            if account(&mut connection, dialect, &user).await?.is_none() {
                self.kept.put(admin, connection);
                return Ok(Standing::Absent);
            }
            let (user, role, hash) = (literal(&user), literal(&mark_role(mark)), mark_hash(mark));
            let statement = format!(
                "SELECT (SELECT COUNT(*) FROM mysql.roles_mapping WHERE User = {user} AND Role = {role}) \
                 + (SELECT COUNT(*) FROM mysql.user WHERE User = {user} AND authentication_string = '{hash}')"
            );
            let marked =
                rows::<i64>(&mut connection, &statement).await?.first().is_some_and(|count| *count > 0);
            self.kept.put(admin, connection);
            Ok(if marked { Standing::Ours } else { Standing::Foreign })
        })
    }

    fn ensure<'a>(
        &'a self,
        admin: &'a Document,
        candidate: &'a Document,
        mark: &'a str,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let (mut connection, dialect) = self.mariadb(admin).await?;
            let user = candidate.username()?;
            if account(&mut connection, dialect, &user).await?.is_none() {
                // One statement, for it may be the last: whoever comes next must know whose the user is.
                let make = format!(
                    "CREATE USER IF NOT EXISTS {}@`%` IDENTIFIED VIA mysql_native_password USING '{}' ACCOUNT LOCK",
                    quoted(&user),
                    mark_hash(mark)
                );
                run(&mut connection, "make the second user", &make).await?;
            }
            self.kept.put(admin, connection);
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
            let (mut connection, dialect) = self.mariadb(admin).await?;
            let (reference, candidate) = accounts(&mut connection, dialect, reference, candidate).await?;
            let role = quoted(&mark_role(mark));
            run(&mut connection, "make the mark", &format!("CREATE ROLE IF NOT EXISTS {role}")).await?;
            for account in [&reference, &candidate] {
                run(&mut connection, "mark the users", &format!("GRANT {role} TO {account}")).await?;
            }
            let wanted = grants(&mut connection, &reference).await?;
            let present = grants(&mut connection, &candidate).await?;
            for grant in wanted.iter().filter(|grant| !present.contains(grant)) {
                run(&mut connection, "grant a privilege", &grant.to(&candidate)).await?;
            }
            // What the reference has no privilege on at all, the candidate needs none on. Where both have some, nothing
            // is revoked: sessions of the candidate may still be open.
            let is_extra = |object: &&str| !wanted.iter().any(|grant| grant.object() == Some(object));
            for object in present.iter().filter_map(Grant::object).filter(is_extra) {
                let revoke = format!("REVOKE ALL PRIVILEGES ON {object} FROM {candidate}");
                run(&mut connection, "revoke a privilege", &revoke).await?;
            }
            self.kept.put(admin, connection);
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
            let (mut connection, dialect) = self.mariadb(admin).await?;
            let user = candidate.username()?;
            let Some(account) = account(&mut connection, dialect, &user).await? else {
                return Err(Error::new(ErrorKind::Misconfigured, format!("MariaDB has no user {:?}", *user)));
            };
            let role = quoted(&mark_role(mark));
            run(&mut connection, "make the mark", &format!("CREATE ROLE IF NOT EXISTS {role}")).await?;
            run(&mut connection, "mark the user", &format!("GRANT {role} TO {account}")).await
        })
    }

    fn missing<'a>(
        &'a self,
        admin: &'a Document,
        reference: &'a Document,
        candidate: &'a Document,
    ) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        Box::pin(async move {
            let (mut connection, dialect) = self.mariadb(admin).await?;
            let (reference, candidate) = accounts(&mut connection, dialect, reference, candidate).await?;
            let present = grants(&mut connection, &candidate).await?;
            let wanted = grants(&mut connection, &reference).await?;
            self.kept.put(admin, connection);
            Ok(wanted.iter().filter(|grant| !present.contains(grant)).map(Grant::shown).collect())
        })
    }
}

impl MySql {
    /// An administrator's session, at MariaDB: roles and their defaults are kept differently at MySQL.
    async fn mariadb(&self, admin: &Document) -> Result<(Conn, Dialect), Error> {
        let mut connection = self.session(admin).await?;
        match dialect_of(&mut connection).await? {
            found @ Dialect::MariaDb(_) => Ok((connection, found)),
            Dialect::MySql(_) => Err(Error::new(
                ErrorKind::Unsupported,
                "users do not alternate on MySQL yet; choose dual-password, with which one user's password never stops \
                 working either",
            )),
        }
    }
}

/// MariaDB's users carry no comments, so a role without privileges tells whose they are.
fn mark_role(mark: &str) -> String {
    format!("secretcache_{}", &hex(&Sha1::digest(mark))[..16])
}

/// What a user has in the place of a password's hash until it gets a password. It tells whose the user is, before
/// [`mark_role`] does, and belongs to no password: that would have to be the hash of its own hash, which has 20 bytes,
/// and this is the hash of something longer.
fn mark_hash(mark: &str) -> String {
    format!("*{}", hex(&Sha1::digest(format!("not a password: {mark}"))).to_uppercase())
}

async fn accounts(
    connection: &mut Conn,
    dialect: Dialect,
    reference: &Document,
    candidate: &Document,
) -> Result<(String, String), Error> {
    let mut found = Vec::new();
    for user in [reference.username()?, candidate.username()?] {
        let account = account(connection, dialect, &user).await?.ok_or_else(|| {
            Error::new(ErrorKind::Underprivileged, format!("MariaDB has no user {:?}", *user))
        })?;
        found.push(account);
    }
    let candidate = found.pop().unwrap_or_default();
    Ok((found.pop().unwrap_or_default(), candidate))
}

async fn grants(connection: &mut Conn, account: &str) -> Result<Vec<Grant>, Error> {
    let lines = rows::<String>(connection, &format!("SHOW GRANTS FOR {account}")).await?;
    let parse = |line: &String| {
        Grant::parse(line).ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, "MariaDB lists a grant of a form that is not known")
        })
    };
    lines.iter().map(parse).collect()
}
