//! The files of `secretcache local`.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use secretcache_local::{Options, Server, StartError, export_data};
use tokio::runtime::Runtime;

/// A file with the secrets to start with: JSON if it begins with a brace, otherwise TOML.
pub(super) fn seed(bytes: &[u8]) {
    let path =
        write(if bytes.trim_ascii_start().starts_with(b"{") { "seed.json" } else { "seed.toml" }, bytes);
    let _ = start(Options { seed: Some(path.clone()), ..Options::default() });
    remove(&path);
}

/// The data file. What was read is rewritten, and can be read again.
pub(super) fn data(bytes: &[u8]) {
    let path = write("data", bytes);
    let is_read = export_data(&path).is_ok();
    if start(Options { data: Some(path.clone()), ..Options::default() }).is_ok() {
        assert!(is_read, "only the start could read it");
        export_data(&path).expect("what was written");
    } else {
        assert!(!is_read, "only the export could read it");
    }
    remove(&path);
}

fn start(options: Options) -> Result<(), StartError> {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("threads"));
    RUNTIME.block_on(Server::bind(Options { port: 0, ..options })).map(drop)
}

fn write(name: &str, bytes: &[u8]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("secretcache-parsers-{}-{name}", std::process::id()));
    std::fs::write(&path, bytes).expect("a temporary file");
    path
}

fn remove(path: &Path) {
    std::fs::remove_file(path).expect("the temporary file");
}
