//! PostgreSQL: users with their own schema and a privilege on someone else's table, and an administrator that can only
//! create roles, as on hosted servers.

use postgres_protocol::password::scram_sha_256;
use secretcache_rotation::{BoxFuture, Document, Target, targets};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};

use super::field;
use crate::databases::{Database, Pooler};
use crate::rotations::message::Protocol;
use crate::rotations::resource::{Bare, Resource};

#[derive(Debug)]
pub(in crate::rotations) struct Postgres {
    // Dropped, and so stopped, before its server.
    pooler: Option<Pooler>,
    database: Database,
    root: Client,
}

impl Postgres {
    pub(in crate::rotations) async fn new(
        database: Database,
        pooler: Option<Pooler>,
    ) -> Result<Self, String> {
        let address = &database.address;
        let root =
            log_in(address.port, address.user, &address.password).await.map_err(|error| error.to_string())?;
        let bystanders = "CREATE ROLE keeper LOGIN CREATEROLE PASSWORD 'keeper'; CREATE ROLE billing LOGIN PASSWORD 'theirs' CONNECTION LIMIT 5; \
             CREATE ROLE billing_clone LOGIN PASSWORD 'theirs'; CREATE ROLE readers NOLOGIN; \
             GRANT readers TO billing; ALTER ROLE billing SET search_path TO billing, public; \
             CREATE SCHEMA billing AUTHORIZATION billing; CREATE TABLE billing.audit (id int); \
             GRANT USAGE ON SCHEMA billing TO PUBLIC; GRANT SELECT ON billing.audit TO billing_clone";
        root.batch_execute(bystanders).await.map_err(|error| format!("{error:?}"))?;
        Ok(Self { pooler, database, root })
    }

    async fn log_in_and(&self, credential: &Document, statements: &str) -> Result<bool, String> {
        let (user, password) = (field(credential, "username")?, field(credential, "password")?);
        let work = async {
            let client = log_in(self.port(), &user, &password).await?;
            if statements.is_empty() { Ok(()) } else { client.batch_execute(statements).await }
        };
        match work.await {
            Ok(()) => Ok(true),
            Err(error) if is_refusal(&error) => Ok(false),
            Err(error) => Err(format!("{user}: {error:?}")),
        }
    }
}

/// Whether a login was refused. PgBouncer has one code for every failed login, so its message decides.
fn is_refusal(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|answer| {
        *answer.code() == SqlState::INVALID_PASSWORD || answer.message() == "SASL authentication failed"
    })
}

pub(in crate::rotations) async fn log_in(
    port: u16,
    user: &str,
    password: &str,
) -> Result<Client, tokio_postgres::Error> {
    let mut config = Config::new();
    config.host("127.0.0.1").port(port).user(user).password(password).dbname("postgres");
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

impl Resource for Postgres {
    fn protocol(&self) -> Protocol {
        Protocol::Postgres
    }

    fn port(&self) -> u16 {
        self.pooler.as_ref().map_or(&self.database.address, |pooler| &pooler.address).port
    }

    fn prepare<'a>(&'a self, user: &'a str, port: u16) -> BoxFuture<'a, Result<String, String>> {
        Box::pin(async move {
            let statements = format!(
                "CREATE ROLE {user} LOGIN PASSWORD 'first' CONNECTION LIMIT 9; \
                 ALTER ROLE {user} SET search_path TO shop_{user}, public; \
                 CREATE SCHEMA shop_{user} AUTHORIZATION {user}; SET ROLE {user}; \
                 CREATE TABLE shop_{user}.orders (id int); RESET ROLE; GRANT INSERT ON billing.audit TO {user}; \
                 GRANT {user} TO keeper WITH ADMIN OPTION"
            );
            self.root.batch_execute(&statements).await.map_err(|error| format!("{error:?}"))?;
            Ok(format!(
                r#"{{"engine":"postgres","host":"127.0.0.1","port":{port},"username":"{user}","password":"first"}}"#
            ))
        })
    }

    fn works<'a>(&'a self, credential: &'a Document) -> BoxFuture<'a, Result<bool, String>> {
        Box::pin(
            self.log_in_and(
                credential,
                "INSERT INTO orders VALUES (1); INSERT INTO billing.audit VALUES (1)",
            ),
        )
    }

    fn logs_in<'a>(&'a self, credential: &'a Document) -> BoxFuture<'a, Result<bool, String>> {
        Box::pin(self.log_in_and(credential, ""))
    }

    fn change<'a>(&'a self, change: Bare<'a>) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let (user, password) = (field(change.login, "username")?, field(change.login, "password")?);
            let client = log_in(self.port(), &user, &password).await.map_err(|error| error.to_string())?;
            let verifier = scram_sha_256(field(change.pending, "password")?.as_bytes());
            let statement =
                format!("ALTER ROLE {} PASSWORD '{verifier}'", field(change.pending, "username")?);
            client.batch_execute(&statement).await.map_err(|error| format!("{error:?}"))
        })
    }

    fn target(&self) -> Option<Box<dyn Target>> {
        Some(Box::new(targets::Postgres::new(targets::Tls::off())))
    }

    fn others(&self) -> BoxFuture<'_, Result<Vec<String>, String>> {
        Box::pin(async {
            let rows = self.root.query(OTHERS, &[]).await.map_err(|error| format!("{error:?}"))?;
            Ok(rows.iter().map(|row| row.get(0)).collect())
        })
    }

    fn administrator(&self) -> Option<(String, String)> {
        Some(("keeper".to_owned(), "keeper".to_owned()))
    }
}

/// Roles with their hashes, attributes, settings and comments; memberships; privileges on the bystanders' objects.
const OTHERS: &str = "
SELECT concat_ws(' ', 'role', a, shobj_description(a.oid, 'pg_authid')) FROM pg_authid a WHERE rolname !~ '^app_'
UNION ALL SELECT concat_ws(' ', 'setting', r.rolname, s.setconfig)
    FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole WHERE r.rolname !~ '^app_'
UNION ALL SELECT concat_ws(' ', 'member', g.rolname, r.rolname, m.admin_option)
    FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid JOIN pg_roles r ON r.oid = m.member
    WHERE g.rolname !~ '^app_' AND r.rolname !~ '^app_'
UNION ALL SELECT concat_ws(' ', 'table', c.relname, c.relowner::regrole, p.grantee::regrole, p.privilege_type, p.is_grantable)
    FROM pg_class c, aclexplode(c.relacl) p
    WHERE c.relnamespace = 'billing'::regnamespace AND p.grantee::regrole::text !~ '^app_'
ORDER BY 1";
