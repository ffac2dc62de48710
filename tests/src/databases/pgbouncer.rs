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
        let Address { user, password, .. } = server;
        let settings = format!(
            "auth_type = scram-sha-256\nauth_user = {user}\n\
             auth_query = SELECT usename, passwd FROM pg_catalog.pg_shadow WHERE usename = $1\n\
             pool_mode = transaction\ndefault_pool_size = {sessions}\nmax_db_connections = 40\n"
        );
        Self::start_with(server, "", &settings, &[(user, password)])
    }

    /// Starts a pooler that asks nobody for a password (`auth_type` is `trust` or `any`), and that logs in at the server
    /// with the passwords it knows. With `any`, it logs in as the server's administrator.
    ///
    /// # Errors
    ///
    /// What is missing and how to install it, or the pooler's output.
    pub fn start_open(server: &Address, auth_type: &str, known: &[(&str, &str)]) -> Result<Self, String> {
        let fixed_user = if auth_type == "any" {
            format!(" user={} password={}", server.user, server.password)
        } else {
            String::new()
        };
        Self::start_with(server, &fixed_user, &format!("auth_type = {auth_type}\n"), known)
    }

    fn start_with(
        server: &Address,
        fixed_user: &str,
        settings: &str,
        known: &[(&str, &str)],
    ) -> Result<Self, String> {
        let pgbouncer = find(&["/usr/sbin/pgbouncer"], "install it with: apt-get install pgbouncer")?;
        let folder = Folder::new("pgbouncer")?;
        let address = Address { port: free_port()?, ..server.clone() };
        let Address { host, port, .. } = server;
        let users: String =
            known.iter().map(|(user, password)| format!("\"{user}\" \"{password}\"\n")).collect();
        let users = folder.write("users.txt", &users)?;
        let settings = format!(
            "[databases]\n* = host={host} port={port}{fixed_user}\n[pgbouncer]\nlisten_addr = {host}\n\
             listen_port = {}\nunix_socket_dir =\nauth_file = {}\nlogfile =\n{settings}",
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
