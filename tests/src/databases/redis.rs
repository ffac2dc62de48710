//! Redis from Debian.

use super::Address;
use super::folder::Folder;
use super::process::{self, Process, client, command, find, said};

const INSTALL: &str = "install it with: apt-get install redis-server";

pub(super) fn start(folder: &Folder, address: &Address) -> Result<Process, String> {
    let server = find(&["/usr/bin/redis-server"], INSTALL)?;
    let Address { user, password, .. } = address;
    let users = format!("user default off\nuser {user} on >{password} ~* &* +@all\n");
    let users = folder.write("users.acl", &users)?;
    let port = address.port.to_string();
    let mut command = command(&server, folder);
    command.args(["--bind", &address.host, "--save", "", "--appendonly", "no", "--daemonize", "no"]);
    command.arg("--aclfile").arg(users).arg("--dir").arg(folder.path());
    match &address.ca_file {
        None => {
            command.args(["--port", &port]);
        }
        Some(ca_file) => {
            command.args(["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no"]);
            command.arg("--tls-ca-cert-file").arg(ca_file);
            command.arg("--tls-cert-file").arg(folder.join("server.pem"));
            command.arg("--tls-key-file").arg(folder.join("server.key"));
        }
    }
    Process::start(command, libc::SIGTERM, folder)
}

pub(super) fn logs_in(address: &Address, password: &str) -> Result<bool, String> {
    let mut cli = client(&find(&["/usr/bin/redis-cli"], "install it with: apt-get install redis-tools")?);
    cli.args(["-h", &address.host, "-p", &address.port.to_string(), "--user", address.user]);
    if let Some(ca_file) = &address.ca_file {
        cli.arg("--tls").arg("--cacert").arg(ca_file);
    }
    let output = process::run({
        cli.env("REDISCLI_AUTH", password).arg("ping");
        cli
    })?;
    let said = said(&output);
    match () {
        () if said.contains("WRONGPASS") => Ok(false),
        () if said.trim_end().ends_with("PONG") => Ok(true),
        () => Err(said),
    }
}
