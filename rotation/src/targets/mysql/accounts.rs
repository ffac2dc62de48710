//! Users and privileges in MariaDB and MySQL.

use mysql_async::Conn;

use super::dialect::Dialect;
use super::grants::Grant;
use super::mark::Mark;
use super::methods::Methods;
use super::passwords::{conditions, plugin};
use super::{MySql, account, literal, made, quoted, rows, run, wants_clear};
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::store::BoxFuture;
use crate::target::{Accounts, UserStatus};

impl Accounts for MySql {
    fn user_status<'a>(
        &'a self,
        admin: &'a Document,
        candidate: &'a Document,
        mark: &'a str,
    ) -> BoxFuture<'a, Result<UserStatus, Error>> {
        Box::pin(async move {
            let (mut connection, dialect) = self.administration(admin).await?;
            let user = candidate.username()?;
            check_length(dialect, &user)?;
            let status = if account(&mut connection, dialect, &user).await?.is_none() {
                UserStatus::Absent
            } else {
                let marks = rows::<i64>(&mut connection, &Mark { dialect, text: mark }.count(&user)).await?;
                if marks.iter().any(|marks| *marks > 0) { UserStatus::Ours } else { UserStatus::Foreign }
            };
            self.kept.put(admin, connection);
            Ok(status)
        })
    }

    fn ensure<'a>(
        &'a self,
        admin: &'a Document,
        reference: &'a Document,
        candidate: &'a Document,
        mark: &'a str,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let (mut connection, dialect) = self.administration(admin).await?;
            let user = candidate.username()?;
            if account(&mut connection, dialect, &user).await?.is_none() {
                // The second user can log in from the same hosts as the first.
                let beside = existing(&mut connection, dialect, reference).await?;
                let host = beside.rsplit_once("@`").map_or("%`", |(_, host)| host);
                let wants_clear = wants_clear(&mut connection, dialect).await?;
                let make =
                    Mark { dialect, text: mark }.make(&format!("{}@`{host}", quoted(&user)), wants_clear);
                run(&mut connection, "create the second user", &make).await?;
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
            let (mut connection, dialect) = self.administration(admin).await?;
            let (mark, users) =
                (Mark { dialect, text: mark }, [reference.username()?, candidate.username()?]);
            let (reference, candidate) = accounts(&mut connection, dialect, reference, candidate).await?;
            let marked = mark.left_on(users.each_ref().map(|user| user.as_str()));
            if rows::<i64>(&mut connection, &marked).await? != [2] {
                for statement in mark.leave(&[&reference, &candidate]) {
                    run(&mut connection, "mark the users", &statement).await?;
                }
            }
            match dialect {
                Dialect::MySql(_) => make_alike(&mut connection, &reference, &candidate).await?,
                Dialect::MariaDb(_) => {
                    let text = users.each_ref().map(|user| user.as_str()).join(" ");
                    make_alike_at_mariadb(&mut connection, &reference, &candidate, &text).await?;
                }
            }
            let wanted = grants(&mut connection, dialect, &reference).await?;
            let mut present = grants(&mut connection, dialect, &candidate).await?;
            let revocations = Grant::revocations(&wanted, &present, dialect, &candidate);
            for statement in &revocations {
                run(&mut connection, "revoke a privilege", statement).await?;
            }
            if !revocations.is_empty() {
                present = grants(&mut connection, dialect, &candidate).await?;
            }
            let lacking = Grant::missing(&wanted, &present);
            for statement in Grant::statements(lacking, dialect, &candidate) {
                run(&mut connection, "grant a privilege", &statement).await?;
            }
            for statement in Grant::restrictions(&wanted, &present, &candidate) {
                run(&mut connection, "revoke a privilege", &statement).await?;
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
            let (mut connection, dialect) = self.administration(admin).await?;
            let user = candidate.username()?;
            let Some(account) = account(&mut connection, dialect, &user).await? else {
                return Err(Error::new(
                    ErrorKind::Misconfigured,
                    format!("the server has no user {:?}", *user),
                ));
            };
            for statement in (Mark { dialect, text: mark }).leave(&[&account]) {
                run(&mut connection, "mark the user", &statement).await?;
            }
            Ok(())
        })
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
            let (mut connection, dialect) = self.administration(admin).await?;
            let (reference, candidate) = accounts(&mut connection, dialect, reference, candidate).await?;
            let present = grants(&mut connection, dialect, &candidate).await?;
            let wanted = grants(&mut connection, dialect, &reference).await?;
            self.kept.put(admin, connection);
            Ok(Grant::missing(&wanted, &present).map(Grant::shown).collect())
        })
    }
}

impl MySql {
    /// Opens an administrator's session. A server that does not support alternating users is an error.
    pub(super) async fn administration(&self, admin: &Document) -> Result<(Conn, Dialect), Error> {
        let (connection, dialect) = self.session(admin).await?;
        match dialect {
            Dialect::MySql(version) if version < (8, 0, 21) => Err(Error::new(
                ErrorKind::Unsupported,
                "alternating users need MySQL 8.0.21 or newer, since users of older versions cannot be marked; choose dual-password (from 8.0.14) or single-user",
            )),
            found => Ok((connection, found)),
        }
    }
}

/// Copies the reference's authentication plugin and session requirements to the candidate, on MySQL. The requirements
/// are TLS, limits and password expiry.
async fn make_alike(connection: &mut Conn, reference: &str, candidate: &str) -> Result<(), Error> {
    let wanted = made(connection, reference.to_owned(), false).await?.made;
    let present = made(connection, candidate.to_owned(), false).await?.made;
    if let Some(plugin) = plugin(&wanted)
        && Some(plugin) != self::plugin(&present)
    {
        // The real password is set last. This one is never known to anyone.
        let change = format!("ALTER USER {candidate} IDENTIFIED WITH {} BY RANDOM PASSWORD", quoted(plugin));
        run(connection, "change how the second user logs in", &change).await?;
    }
    if conditions(&wanted) != conditions(&present) {
        let change = format!("ALTER USER {candidate} {}", conditions(&wanted));
        run(connection, "change the requirements of the second user", &change).await?;
    }
    Ok(())
}

/// Copies the reference's authentication methods and password expiry to the candidate, on MariaDB. MariaDB lists all
/// other session requirements among the grants.
async fn make_alike_at_mariadb(
    connection: &mut Conn,
    reference: &str,
    candidate: &str,
    text: &str,
) -> Result<(), Error> {
    let reference = made(connection, reference.to_owned(), false).await?;
    let candidate = made(connection, candidate.to_owned(), false).await?;
    let wanted = Methods::of(&reference.made);
    if !wanted.is_like(&Methods::of(&candidate.made)) {
        // The real password is set last. Until then, no password works.
        let methods = wanted.without_password(wanted.password(&reference)?, text);
        let change = format!("ALTER USER {} IDENTIFIED VIA {methods}", candidate.name);
        run(connection, "change how the second user logs in", &change).await?;
    }
    let (wanted, present) = (lifetime(&reference.made), lifetime(&candidate.made));
    if wanted != present {
        let change = format!("ALTER USER {} PASSWORD EXPIRE {wanted}", candidate.name);
        run(connection, "change the password expiry of the second user", &change).await?;
    }
    Ok(())
}

/// Returns how long an account's passwords last, in the syntax of `ALTER USER`.
fn lifetime(made: &str) -> &str {
    const WORD: &str = " PASSWORD EXPIRE ";
    // For an expired password, an earlier `PASSWORD EXPIRE` stands alone, with no interval.
    let all = made.match_indices(WORD).map(|(at, _)| made[at + WORD.len()..].trim());
    all.filter(|rest| rest.starts_with("NEVER") || rest.starts_with("INTERVAL ")).last().unwrap_or("DEFAULT")
}

pub(super) fn check_length(dialect: Dialect, user: &str) -> Result<(), Error> {
    let longest = dialect.longest_name();
    if user.chars().count() <= longest {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Rejected,
        format!(
            "the user name {user:?} is too long: {dialect} allows {longest} characters; name two users with --users"
        ),
    ))
}

async fn accounts(
    connection: &mut Conn,
    dialect: Dialect,
    reference: &Document,
    candidate: &Document,
) -> Result<(String, String), Error> {
    let reference = existing(connection, dialect, reference).await?;
    Ok((reference, existing(connection, dialect, candidate).await?))
}

async fn existing(connection: &mut Conn, dialect: Dialect, document: &Document) -> Result<String, Error> {
    let user = document.username()?;
    account(connection, dialect, &user)
        .await?
        .ok_or_else(|| Error::new(ErrorKind::Underprivileged, format!("the server has no user {:?}", *user)))
}

/// Returns an account's privileges, roles and default roles.
pub(super) async fn grants(
    connection: &mut Conn,
    dialect: Dialect,
    account: &str,
) -> Result<Vec<Grant>, Error> {
    let lines = rows::<String>(connection, &format!("SHOW GRANTS FOR {account}")).await?;
    let mut all = Vec::new();
    for line in lines {
        all.extend(Grant::parse(&line).ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, "the server lists a grant in an unknown form")
        })?);
    }
    if let Dialect::MySql(_) = dialect {
        // An SQL expression for an account, quoted as in a statement.
        let said = |user, host| {
            let name = |column| format!("'`', REPLACE({column}, '`', '``'), '`'");
            format!("CONCAT({}, '@', {})", name(user), name(host))
        };
        let roles = format!(
            "SELECT {} AS role FROM mysql.default_roles WHERE {} = {} ORDER BY role",
            said("DEFAULT_ROLE_USER", "DEFAULT_ROLE_HOST"),
            said("USER", "HOST"),
            literal(account)
        );
        let roles = rows::<String>(connection, &roles).await?;
        if !roles.is_empty() {
            all.push(Grant::default_roles(&roles));
        }
    }
    Ok(all)
}
