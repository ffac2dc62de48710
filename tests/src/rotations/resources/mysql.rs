//! MariaDB and MySQL: users with their own database, and a privilege on someone else's table that they can grant on.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use secretcache_rotation::{BoxFuture, Document, StrategyName, Target, targets};
use sha1::{Digest, Sha1};
use tokio::sync::Mutex;

use super::field;
use crate::databases::{Database, Kind};
use crate::rotations::message::Protocol;
use crate::rotations::resource::{Bare, Resource};

#[derive(Debug)]
pub(in crate::rotations) struct MySql {
    database: Database,
    is_mariadb: bool,
    root: Mutex<Conn>,
}

impl MySql {
    pub(in crate::rotations) async fn new(database: Database) -> Result<Self, String> {
        let address = &database.address;
        let is_mariadb = address.kind == Kind::MariaDb.name();
        let root =
            log_in(address.port, address.user, &address.password).await.map_err(|error| error.to_string())?;
        let resource = Self { database, is_mariadb, root: Mutex::new(root) };
        resource
            .run(&[
                "CREATE DATABASE billing",
                "CREATE TABLE billing.audit (id int)",
                "CREATE USER billing@'%' IDENTIFIED BY 'theirs'",
                "CREATE USER billing_clone@'%' IDENTIFIED BY 'theirs' WITH MAX_USER_CONNECTIONS 3",
                "GRANT ALL ON billing.* TO billing@'%' WITH GRANT OPTION",
                "GRANT SELECT ON billing.audit TO billing_clone@'%'",
                "CREATE ROLE readers",
                "GRANT readers TO billing@'%'",
            ])
            .await?;
        Ok(resource)
    }

    async fn log_in_and(&self, credential: &Document, statements: &[&str]) -> Result<bool, String> {
        let (user, password) = (field(credential, "username")?, field(credential, "password")?);
        let mut session = match log_in(self.port(), &user, &password).await {
            Ok(session) => session,
            Err(mysql_async::Error::Server(error)) if error.code == 1045 => return Ok(false),
            Err(error) => return Err(format!("{user}: {error}")),
        };
        for statement in statements {
            session.query_drop(*statement).await.map_err(|error| format!("{user}: {error}"))?;
        }
        session.disconnect().await.map_err(|error| error.to_string())?;
        Ok(true)
    }

    async fn run(&self, statements: &[&str]) -> Result<(), String> {
        let mut root = self.root.lock().await;
        for statement in statements {
            root.query_drop(*statement).await.map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

pub(in crate::rotations) async fn log_in(
    port: u16,
    user: &str,
    password: &str,
) -> Result<Conn, mysql_async::Error> {
    let options = OptsBuilder::default().ip_or_hostname("127.0.0.1").tcp_port(port).prefer_socket(false);
    // As bare as a login can be: without these settings, the driver would query both.
    let options = options.max_allowed_packet(Some(16 << 20)).wait_timeout(Some(600));
    Conn::new(options.user(Some(user)).pass(Some(password))).await
}

fn hash(credential: &Document) -> Result<String, String> {
    let hash = Sha1::digest(Sha1::digest(field(credential, "password")?));
    Ok(hash.iter().fold("*".to_owned(), |text, byte| format!("{text}{byte:02X}")))
}

fn change_at_mariadb(change: Bare<'_>) -> Result<String, String> {
    let (user, new) = (field(change.pending, "username")?, hash(change.pending)?);
    Ok(match change.subject.strategy {
        StrategyName::DualPassword => format!(
            "ALTER USER {user}@'%' IDENTIFIED VIA mysql_native_password USING '{new}' \
             OR mysql_native_password USING '{}'",
            hash(change.current)?
        ),
        _ if change.subject.has_administrator => {
            format!("ALTER USER {user}@'%' IDENTIFIED VIA mysql_native_password USING '{new}'")
        }
        _ => format!("SET PASSWORD = '{new}'"),
    })
}

/// MySQL accepts no hash for its default plugin. Its own logs omit the password.
fn change_at_mysql(change: Bare<'_>) -> Result<String, String> {
    let new = field(change.pending, "password")?.replace('\\', "\\\\").replace('\'', "''");
    if change.subject.strategy == StrategyName::SingleUser && !change.subject.has_administrator {
        return Ok(format!("SET PASSWORD = '{new}'"));
    }
    let retain = match change.subject.strategy {
        StrategyName::DualPassword => " RETAIN CURRENT PASSWORD",
        _ => "",
    };
    Ok(format!("ALTER USER {}@'%' IDENTIFIED BY '{new}'{retain}", field(change.pending, "username")?))
}

/// The tables in which MariaDB stores users: the table, the column with the user's name, and further columns.
const OF_MARIADB: [(&str, &str, &str); 4] = [
    ("global_priv", "User", "Host, Priv"),
    ("db", "User", "Host, Db, Insert_priv, Select_priv, Grant_priv"),
    ("tables_priv", "User", "Host, Db, Table_name, Grantor, Table_priv"),
    ("roles_mapping", "User", "Host, Role, Admin_option"),
];

/// The same for MySQL.
const OF_MYSQL: [(&str, &str, &str); 5] = [
    (
        "user",
        "User",
        "Host, plugin, authentication_string, account_locked, max_user_connections, User_attributes",
    ),
    ("db", "User", "Host, Db, Insert_priv, Select_priv, Grant_priv"),
    ("tables_priv", "User", "Host, Db, Table_name, Grantor, Table_priv"),
    ("global_grants", "USER", "HOST, PRIV, WITH_GRANT_OPTION"),
    ("role_edges", "TO_USER", "TO_HOST, FROM_USER, FROM_HOST, WITH_ADMIN_OPTION"),
];

impl Resource for MySql {
    fn protocol(&self) -> Protocol {
        Protocol::MySql
    }

    fn port(&self) -> u16 {
        self.database.address.port
    }

    fn prepare<'a>(&'a self, user: &'a str, port: u16) -> BoxFuture<'a, Result<String, String>> {
        Box::pin(async move {
            self.run(&[
                &format!("CREATE DATABASE shop_{user}"),
                &format!("CREATE TABLE shop_{user}.orders (id int)"),
                &format!("CREATE USER {user}@'%' IDENTIFIED BY 'first'"),
                &format!("GRANT ALL ON shop_{user}.* TO {user}@'%'"),
                &format!("GRANT INSERT, SELECT ON billing.audit TO {user}@'%' WITH GRANT OPTION"),
            ])
            .await?;
            let engine = self.database.address.kind;
            Ok(format!(
                r#"{{"engine":"{engine}","host":"127.0.0.1","port":{port},"username":"{user}","password":"first","shop":"shop_{user}"}}"#
            ))
        })
    }

    fn works<'a>(&'a self, credential: &'a Document) -> BoxFuture<'a, Result<bool, String>> {
        Box::pin(async move {
            let own = format!("INSERT INTO {}.orders VALUES (1)", field(credential, "shop")?);
            self.log_in_and(credential, &[&own, "INSERT INTO billing.audit VALUES (1)"]).await
        })
    }

    fn logs_in<'a>(&'a self, credential: &'a Document) -> BoxFuture<'a, Result<bool, String>> {
        Box::pin(self.log_in_and(credential, &[]))
    }

    fn change<'a>(&'a self, change: Bare<'a>) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let (user, password) = (field(change.login, "username")?, field(change.login, "password")?);
            let mut session =
                log_in(self.port(), &user, &password).await.map_err(|error| error.to_string())?;
            let statement = match self.is_mariadb {
                true => change_at_mariadb(change),
                false => change_at_mysql(change),
            }?;
            session.query_drop(statement).await.map_err(|error| error.to_string())?;
            session.disconnect().await.map_err(|error| error.to_string())
        })
    }

    fn target(&self) -> Option<Box<dyn Target>> {
        Some(Box::new(targets::MySql::new(targets::Tls::off())))
    }

    fn others(&self) -> BoxFuture<'_, Result<Vec<String>, String>> {
        Box::pin(async {
            let mut root = self.root.lock().await;
            let mut others = Vec::new();
            let tables: &[_] = if self.is_mariadb { &OF_MARIADB } else { &OF_MYSQL };
            for (table, user, columns) in tables {
                let question = format!(
                    "SELECT CONCAT_WS(' ', '{table}', {user}, {columns}) FROM mysql.{table} \
                     WHERE {user} NOT LIKE 'app\\_%' ORDER BY 1"
                );
                let rows: Vec<String> = root.query(question).await.map_err(|error| error.to_string())?;
                // Roles that mark users belong to rotations, and are granted to the user who created them.
                others.extend(rows.into_iter().filter(|row| !row.contains("secretcache_")));
            }
            Ok(others)
        })
    }

    fn administrator(&self) -> Option<(String, String)> {
        Some((self.database.address.user.to_owned(), self.database.address.password.clone()))
    }
}
