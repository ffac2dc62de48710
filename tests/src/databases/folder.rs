//! A server's own folder.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::process::unprivileged;

/// A new folder that the server's user owns and can reach, wherever the tests run. Removed when dropped.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(name: &str) -> Result<Self, String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(format!("secretcache-{name}-{process}-{number}"));
        fs::create_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let folder = Self(path);
        fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o700))
            .map_err(|error| error.to_string())?;
        folder.give(&folder.0)?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Creates a subfolder.
    pub(super) fn folder(&self, name: &str) -> Result<PathBuf, String> {
        let path = self.join(name);
        fs::create_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        self.give(&path)?;
        Ok(path)
    }

    /// Writes a file that only the server's user can read.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        let path = self.join(name);
        fs::write(&path, text)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o600)))
            .map_err(|error| format!("{}: {error}", path.display()))?;
        self.give(&path)?;
        Ok(path)
    }

    fn give(&self, path: &Path) -> Result<(), String> {
        let Some((user, group)) = unprivileged() else { return Ok(()) };
        chown(path, Some(user), Some(group)).map_err(|error| format!("{}: {error}", self.0.display()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
