//! Diesel, with r2d2.

use diesel::r2d2::{self, ManageConnection};
use diesel::{Connection as _, ConnectionError, PgConnection, RunQueryDsl};
use secretcache::{ConnectError, Credential, SecretCache, login_refused};

/// Opens connections with the version of the secret that works.
pub struct Manager {
    pub cache: SecretCache,
    pub id: String,
    /// Host, port and database in libpq's format, such as `host=db.example dbname=shop`.
    pub target: String,
}

/// A connection, and the version of the secret it was made with.
pub struct Connection {
    pub postgres: PgConnection,
    version: String,
}

pub type Pool = r2d2::Pool<Manager>;

impl ManageConnection for Manager {
    type Connection = Connection;
    type Error = ConnectError<ConnectionError>;

    fn connect(&self) -> Result<Connection, ConnectError<ConnectionError>> {
        let open = |credential: &Credential| {
            let user = quoted(credential.username().unwrap_or_default());
            let password = quoted(credential.password().unwrap_or_default());
            let postgres =
                PgConnection::establish(&format!("{} user={user} password={password}", self.target))?;
            Ok(Connection { postgres, version: credential.version_id().unwrap_or_default().to_owned() })
        };
        // For a refused login, libpq returns only a message and no error code.
        self.cache
            .connect(&self.id)
            .wait(open, |error: &ConnectionError| login_refused(None, &error.to_string()))
    }

    fn is_valid(&self, connection: &mut Connection) -> Result<(), ConnectError<ConnectionError>> {
        let asked = diesel::sql_query("SELECT 1").execute(&mut connection.postgres);
        asked
            .map(drop)
            .map_err(|error| ConnectError::Resource(ConnectionError::BadConnection(error.to_string())))
    }

    /// Decides whether to close a connection that is returned to the pool: yes, if its version is outdated.
    fn has_broken(&self, connection: &mut Connection) -> bool {
        self.cache.is_outdated(&self.id, &connection.version)
    }
}

fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', r"\\").replace('\'', r"\'"))
}
