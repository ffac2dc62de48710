//! MySQL from Debian, unpacked by `tests/tools/mysql`.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::folder::Folder;
use super::process::{Process, client, find, succeed};
use super::{Address, mariadb};

pub(super) fn start(folder: &Folder, address: &Address) -> Result<Process, String> {
    let server = find(&[installation().join("mysqld")], "run: make servers")?;
    let data = folder.join("data");
    let mut copy = client(Path::new("/bin/cp"));
    copy.args(["--recursive", "--reflink=auto"]).arg(installation().join("data")).arg(&data);
    succeed(copy)?;

    // Drop root@localhost, which needs no password.
    let statements = format!(
        "CREATE USER '{user}'@'%' IDENTIFIED BY '{password}';\n\
         GRANT ALL ON *.* TO '{user}'@'%' WITH GRANT OPTION;\n\
         DROP USER root@localhost;\n",
        user = address.user,
        password = address.password
    );
    let statements = folder.write("init.sql", &statements)?;
    let mut command = command(&server, folder);
    command.arg(format!("--basedir={}", installation().join("usr").display()));
    command.arg(format!("--datadir={}", data.display())).arg(format!("--init-file={}", statements.display()));
    command.arg(format!("--bind-address={}", address.host)).arg(format!("--port={}", address.port));
    command.arg(format!("--socket={}", folder.join("socket").display()));
    command.arg(format!("--pid-file={}", folder.join("pid").display()));
    command.args(["--secure-file-priv=NULL", "--mysqlx=OFF", "--skip-log-bin", "--skip-name-resolve"]);
    command.args(["--innodb-flush-log-at-trx-commit=0", "--innodb-redo-log-capacity=8M"]);
    command.args(["--innodb-buffer-pool-size=16M", "--performance-schema=OFF"]);
    // Without these options it still offers TLS, with certificates it generates itself.
    if let Some(ca_file) = &address.ca_file {
        command.arg(format!("--ssl-ca={}", ca_file.display()));
        command.arg(format!("--ssl-cert={}", folder.join("server.pem").display()));
        command.arg(format!("--ssl-key={}", folder.join("server.key").display()));
    }
    Process::start(command, libc::SIGTERM, folder)
}

/// MariaDB's client works with MySQL too.
pub(super) use mariadb::logs_in;

fn installation() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/mysql")
}

/// A command that runs as this process's user, because other users may not be able to read the installation.
fn command(server: &Path, folder: &Folder) -> Command {
    let mut command = client(server);
    command.current_dir(folder.path()).env("TMPDIR", folder.path()).arg("--no-defaults");
    // SAFETY: `geteuid` cannot fail.
    if unsafe { libc::geteuid() } == 0 {
        command.arg("--user=root");
    }
    command
}
