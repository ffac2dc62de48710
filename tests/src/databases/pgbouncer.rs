//! PgBouncer in front of a PostgreSQL server, pooling by transactions.

use std::net::TcpStream;

use super::folder::Folder;
use super::process::{Process, command, find};
use super::{Address, free_port};

/// A running pooler.
#[derive(Debug)]
pub struct Pooler {
    /// The server's address, with the pooler's port.
    pub address: Address,
    // Dropped, and so stopped, before its folder is removed.
    _process: Process,
    _folder: Folder,
}

impl Pooler {
    /// Starts a pooler that looks passwords up at the server, with at most `sessions` server connections per user and
    /// database. With many users, idle connections are closed for those that need one.
    ///
    /// # Errors
    ///
    /// What is missing and how to install it, or the pooler's output.
    pub fn start(server: &Address, sessions: u32) -> Result<Self, String> {
        let pgbouncer = find(&["/usr/sbin/pgbouncer"], "install it with: apt-get install pgbouncer")?;
        let folder = Folder::new("pgbouncer")?;
        let address = Address { port: free_port()?, ..server.clone() };
        let Address { host, user, password, .. } = server;
        let users = folder.write("users.txt", &format!("\"{user}\" \"{password}\"\n"))?;
        let settings = format!(
            "[databases]\n* = host={host} port={}\n[pgbouncer]\nlisten_addr = {host}\nlisten_port = {}\n\
             unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\nauth_user = {user}\n\
             auth_query = SELECT usename, passwd FROM pg_catalog.pg_shadow WHERE usename = $1\n\
             pool_mode = transaction\ndefault_pool_size = {sessions}\nmax_db_connections = 40\nlogfile =\n",
            server.port,
            address.port,
            users.display()
        );
        let settings = folder.write("pgbouncer.ini", &settings)?;
        let mut pooler = command(&pgbouncer, &folder);
        pooler.arg(settings);
        let mut process = Process::start(pooler, libc::SIGTERM, &folder)?;
        let port = address.port;
        process.until_ready(|| TcpStream::connect((host.as_str(), port)).is_ok())?;
        Ok(Self { address, _process: process, _folder: folder })
    }
}
