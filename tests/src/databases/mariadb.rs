//! MariaDB from Debian.

use super::folder::Folder;
use super::process::{self, Process, client, command, find, said, succeed};
use super::{Address, Kind};

const INSTALL: &str = "install it with: apt-get install mariadb-server";

pub(super) fn start(folder: &Folder, address: &Address) -> Result<Process, String> {
    let installer = find(&["/usr/bin/mariadb-install-db"], INSTALL)?;
    let server = find(&["/usr/sbin/mariadbd"], INSTALL)?;
    let data = format!("--datadir={}", folder.join("data").display());
    let mut install = command(&installer, folder);
    install.args(["--no-defaults", &data, "--skip-test-db", "--auth-root-authentication-method=normal"]);
    succeed(install)?;

    // Delete the anonymous users: they would match logins from localhost.
    let statements = format!(
        "CREATE USER '{user}'@'%' IDENTIFIED BY '{password}';\n\
         GRANT ALL ON *.* TO '{user}'@'%' WITH GRANT OPTION;\n\
         DELETE FROM mysql.global_priv WHERE User IN ('', 'root');\n\
         FLUSH PRIVILEGES;\n",
        user = address.user,
        password = address.password
    );
    let statements = folder.write("init.sql", &statements)?;
    let mut command = command(&server, folder);
    command.args(["--no-defaults", &data, "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0"]);
    command.arg(format!("--bind-address={}", address.host)).arg(format!("--port={}", address.port));
    command.arg(format!("--socket={}", folder.join("socket").display()));
    command.arg(format!("--pid-file={}", folder.join("pid").display()));
    command.arg(format!("--init-file={}", statements.display()));
    if let Some(ca_file) = &address.ca_file {
        command.arg(format!("--ssl-ca={}", ca_file.display()));
        command.arg(format!("--ssl-cert={}", folder.join("server.pem").display()));
        command.arg(format!("--ssl-key={}", folder.join("server.key").display()));
    }
    Process::start(command, libc::SIGTERM, folder)
}

pub(super) fn logs_in(address: &Address, password: &str) -> Result<bool, String> {
    let mut mariadb =
        client(&find(&["/usr/bin/mariadb"], "install it with: apt-get install mariadb-client")?);
    mariadb.args([
        "--no-defaults",
        "--protocol=tcp",
        "-h",
        &address.host,
        "-u",
        address.user,
        "-e",
        "select 1",
    ]);
    mariadb.arg(format!("--port={}", address.port)).env("MYSQL_PWD", password);
    if address.kind == Kind::MySql.name() {
        // This client does not support MySQL's authentication without TLS.
        mariadb.arg("--ssl");
    }
    if let Some(ca_file) = &address.ca_file {
        mariadb.args(["--ssl", "--ssl-verify-server-cert"]).arg(format!("--ssl-ca={}", ca_file.display()));
    }
    let output = process::run(mariadb)?;
    let said = said(&output);
    match output.status.success() {
        true => Ok(true),
        false if said.contains("ERROR 1045") => Ok(false),
        false => Err(said),
    }
}
