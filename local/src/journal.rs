//! The data file: an append-only journal of changes, one JSON line per request that changed something.
//!
//! A line is on disk before its request is acknowledged, so no acknowledged change is lost if the process is killed. A
//! line cut short by a crash belongs to a request that was never acknowledged, and is dropped at the next start. At
//! every start, and whenever the file has doubled, it is rewritten with the current secrets only, so that it stays
//! small and does not keep deleted values. If there is no room for that, the old file stays in use.
//!
//! The file contains secret values in plain text. Only its owner can read it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::arn::Scope;
use crate::secret::Secret;
use crate::store::{Change, Store};
use crate::time::Timestamp;
use crate::value::{Encoded, SecretBlob, SecretText, SecretValue};

/// The reason why a data file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// Reading or writing failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is a directory, a device or something else that cannot be rewritten.
    #[error("it is not a regular file")]
    NotAFile,
    /// It is a mount point, so no new file can replace it.
    #[error("it is itself mounted, so it cannot be replaced by a new file: mount its folder instead")]
    Mounted,
    /// Another process has it open.
    #[error("it is in use by another process")]
    InUse,
    /// It is not a data file, or is damaged other than at its end.
    #[error("line {line} is not a record of secretcache local; move the file away to start without secrets")]
    Damaged {
        /// The number of the damaged line, counted from one.
        line: usize,
    },
}

/// An open data file, locked.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    /// The path, with symbolic links resolved.
    path: PathBuf,
    /// The length at which the file is rewritten.
    compact_at: u64,
    /// The length of the valid part; anything a failed write left after it is truncated.
    length: u64,
    /// The versions whose value is in the file. Values never change, so each is written once.
    written: Versions,
}

/// Version ids by ARN.
type Versions = HashMap<String, HashSet<String>>;

/// A record of one change. It is written with borrowed values and read with owned ones.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Record<S, V> {
    Put { account: String, region: String, secret: S, values: BTreeMap<String, V> },
    Remove { account: String, region: String, arn: String },
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Written<'a> {
    Text(&'a str),
    Binary(Encoded<'a>),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stored {
    Text(SecretText),
    Binary(SecretBlob),
}

impl Journal {
    /// Opens or creates the file at `path`, and applies its changes to `store`. Also returns a warning if the file
    /// could not be rewritten.
    pub(crate) fn open(
        path: &Path,
        store: &mut Store,
        now: Timestamp,
    ) -> Result<(Self, Option<String>), DataError> {
        let mut file = open_locked(path)?;
        let path = fs::canonicalize(path)?;
        let mut text = Zeroizing::new(Vec::new());
        file.read_to_end(&mut text)?;
        let whole = replay(&text, store, now)?;
        let values = all_values(store);
        drop_expired(store, now);

        let mut journal = Self { file, path, compact_at: 0, length: whole as u64, written: values };
        let Err(error) = journal.compact(store) else { return Ok((journal, None)) };
        if error.kind() == io::ErrorKind::ResourceBusy {
            return Err(DataError::Mounted);
        }
        if whole == 0 || !is_out_of_room(&error) {
            return Err(error.into());
        }
        let warning = format!(
            "the data file {} cannot be rewritten: {error}. All secrets in it can be read; changes fail while there is no \
             room. Free {} KiB there and start again",
            journal.path.display(),
            journal.length.div_ceil(1024) + SPARE_KIB,
        );
        Ok((journal, Some(warning)))
    }

    /// Returns whether the file has grown enough to be rewritten.
    pub(crate) fn is_compaction_due(&self) -> bool {
        self.length >= self.compact_at
    }

    /// Rewrites the file with the secrets in `store`. If that fails, the old file stays in use.
    pub(crate) fn compact(&mut self, store: &Store) -> io::Result<()> {
        let beside = beside(&self.path);
        let fresh = self.rewritten(&beside, store);
        if fresh.is_err() {
            let _ = fs::remove_file(&beside);
            self.compact_at = (self.length * 2).max(SMALLEST_COMPACTED);
        }
        *self = fresh?;
        Ok(())
    }

    /// Writes a new file next to the old one, then replaces it, so that a crash leaves one or the other.
    fn rewritten(&self, beside: &Path, store: &Store) -> io::Result<Self> {
        let mut file = create_private(beside)?;
        file.write_all(HEADER)?;
        let mut length = HEADER.len() as u64;
        for (scope, secret) in store.all() {
            let change = Change::Put(scope.clone(), Arc::new(secret.clone()));
            let line = line(&[change], &Versions::new())?;
            file.write_all(&line)?;
            length += line.len() as u64;
        }
        file.sync_all()?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::ErrorKind::WouldBlock.into(),
            TryLockError::Error(error) => error,
        })?;
        fs::rename(beside, &self.path)?;
        sync_directory(&self.path)?;
        let compact_at = (length * 2).max(SMALLEST_COMPACTED);
        Ok(Self { file, path: self.path.clone(), compact_at, length, written: all_values(store) })
    }

    /// Writes the changes of one request. When this returns, they are on disk.
    pub(crate) fn append(&mut self, changes: &[Change]) -> io::Result<()> {
        let line = line(changes, &self.written)?;
        // Also repairs what an earlier failed write left behind.
        self.file.set_len(self.length)?;
        self.file.seek(SeekFrom::Start(self.length))?;
        if let Err(error) = self.file.write_all(&line).and_then(|()| self.file.sync_data()) {
            // A partial line would only waste space.
            let _ = self.file.set_len(self.length);
            return Err(error);
        }
        self.length += line.len() as u64;
        changes.iter().for_each(|change| self.note(change));
        Ok(())
    }

    /// Updates the written versions. Those that no longer exist are removed, because the id can be reused with another
    /// value.
    fn note(&mut self, change: &Change) {
        match change {
            Change::Put(_, secret) => drop(self.written.insert(secret.arn.clone(), with_value(secret))),
            Change::Remove(_, arn) => drop(self.written.remove(arn)),
        }
    }
}

/// Applies the changes in the file at `path` to `store`, without changing the file. Another process can have it open.
pub(crate) fn read(path: &Path, store: &mut Store, now: Timestamp) -> Result<(), DataError> {
    let text = Zeroizing::new(fs::read(path)?);
    replay(&text, store, now)?;
    drop_expired(store, now);
    Ok(())
}

/// Returns the line for the changes of one request, with the values that are not in `written`.
fn line(changes: &[Change], written: &Versions) -> io::Result<Zeroizing<Vec<u8>>> {
    let records: Vec<_> = changes.iter().map(|change| record(change, written)).collect();
    let mut line = Zeroizing::new(serde_json::to_vec(&records)?);
    line.push(b'\n');
    Ok(line)
}

fn record<'a>(change: &'a Change, written: &Versions) -> Record<&'a Secret, Written<'a>> {
    match change {
        Change::Put(scope, secret) => Record::Put {
            account: scope.account.clone(),
            region: scope.region.clone(),
            secret: secret.as_ref(),
            values: secret
                .versions
                .iter()
                .filter(|version| !written.get(&secret.arn).is_some_and(|ids| ids.contains(&version.id)))
                .filter_map(|version| Some((version.id.clone(), Written::new(version.value.as_ref()?)?)))
                .collect(),
        },
        Change::Remove(scope, arn) => {
            Record::Remove { account: scope.account.clone(), region: scope.region.clone(), arn: arn.clone() }
        }
    }
}

/// Returns every version that has a value.
fn all_values(store: &Store) -> Versions {
    store.all().map(|(_, secret)| (secret.arn.clone(), with_value(secret))).collect()
}

fn with_value(secret: &Secret) -> HashSet<String> {
    let versions = secret.versions.iter().filter(|version| version.value.is_some());
    versions.map(|version| version.id.clone()).collect()
}

impl<'a> Written<'a> {
    fn new(value: &'a SecretValue) -> Option<Self> {
        let binary = || value.as_binary().map(|bytes| Self::Binary(Encoded(bytes)));
        value.as_text().map(Self::Text).or_else(binary)
    }
}

/// Applies every complete line, and returns their total length. Only the last line may be incomplete.
fn replay(text: &[u8], store: &mut Store, now: Timestamp) -> Result<usize, DataError> {
    // Anything after the last newline was never acknowledged.
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    for (i, line) in text[..whole].split_inclusive(|byte| *byte == b'\n').enumerate() {
        let damaged = || DataError::Damaged { line: i + 1 };
        if i == 0 {
            if line != HEADER {
                return Err(damaged());
            }
            continue;
        }
        let records: Vec<Record<Secret, Stored>> = serde_json::from_slice(line).map_err(|_| damaged())?;
        for record in records {
            store.apply(restored(record, store), now);
        }
    }
    // A file without a newline is new, cut short within its header, or not a data file.
    if whole == 0 && !HEADER.starts_with(text) {
        return Err(DataError::Damaged { line: 1 });
    }
    Ok(whole)
}

/// Returns the change in a record. Values that an earlier record contains are taken from the store.
fn restored(record: Record<Secret, Stored>, store: &Store) -> Change {
    match record {
        Record::Remove { account, region, arn } => Change::Remove(Scope { account, region }, arn),
        Record::Put { account, region, mut secret, mut values } => {
            let scope = Scope { account, region };
            let known = store.by_arn(&scope, &secret.arn);
            for version in &mut secret.versions {
                version.value = match values.remove(&version.id) {
                    Some(Stored::Text(SecretText(value)) | Stored::Binary(SecretBlob(value))) => Some(value),
                    None => known.and_then(|known| known.version(&version.id)?.value.clone()),
                };
            }
            Change::Put(scope, Arc::new(secret))
        }
    }
}

fn drop_expired(store: &mut Store, now: Timestamp) {
    let gone: Vec<_> = store
        .all()
        .filter(|(_, secret)| secret.is_gone(now))
        .map(|(scope, secret)| Change::Remove(scope.clone(), secret.arn.clone()))
        .collect();
    gone.into_iter().for_each(|change| store.apply(change, now));
}

/// Opens and locks the file. If another process replaced it between the two steps, it is opened again.
fn open_locked(path: &Path) -> Result<File, DataError> {
    loop {
        let file = private().read(true).write(true).create(true).truncate(false).open(path)?;
        if !file.metadata()?.is_file() {
            return Err(DataError::NotAFile);
        }
        file.try_lock().map_err(in_use)?;
        if is_same(&file, path)? {
            return Ok(file);
        }
    }
}

fn create_private(path: &Path) -> io::Result<File> {
    // A crashed start may have left a file, with any permissions.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => private().write(true).create_new(true).open(path),
    }
}

/// Returns whether an error means that the file system is full or read-only.
fn is_out_of_room(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge | ReadOnlyFilesystem)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

fn in_use(error: TryLockError) -> DataError {
    match error {
        TryLockError::WouldBlock => DataError::InUse,
        TryLockError::Error(error) => DataError::Io(error),
    }
}

#[cfg(unix)]
fn private() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

#[cfg(not(unix))]
fn private() -> OpenOptions {
    OpenOptions::new()
}

#[cfg(unix)]
fn is_same(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (open, named) = (file.metadata()?, fs::metadata(path)?);
    Ok((open.dev(), open.ino()) == (named.dev(), named.ino()))
}

/// Always true, because an open file cannot be replaced on other systems.
#[cfg(not(unix))]
fn is_same(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

/// Syncs the directory of a file, because a rename is on disk only after that.
#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Files below this size are not worth rewriting.
const SMALLEST_COMPACTED: u64 = 1024 * 1024;

/// The space a start needs in addition to a second copy of the file.
const SPARE_KIB: u64 = 64;

const HEADER: &[u8] = b"{\"secretcache_local\":1}\n";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::{Call, Functions, execute};
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};
    use serde_json::json;

    /// Runs an operation on a store with a journal, as the engine does.
    fn run(store: &mut Store, journal: &mut Journal, random: &mut StdRng, operation: &str, body: &str) {
        let now = Timestamp::from_secs(1_700_000_000);
        let scope = Scope::new("123456789012", "eu-west-1");
        let mut call = Call { now, scope, random, functions: Functions::default() };
        if let Ok(outcome) = execute(store, &mut call, operation, body.as_bytes()) {
            journal.append(&outcome.changes).unwrap();
            outcome.changes.into_iter().for_each(|change| store.apply(change, now));
        }
    }

    #[test]
    fn what_is_read_back_is_what_was_there() {
        let path = std::env::temp_dir().join(format!("secretcache-journal-{}", std::process::id()));
        let _ = fs::remove_file(&path);
        let now = Timestamp::from_secs(1_700_000_000);
        let mut random = StdRng::seed_from_u64(3);
        let mut store = Store::default();
        for _ in 0..10 {
            let mut read = Store::default();
            let (mut journal, warning) = Journal::open(&path, &mut read, now).unwrap();
            assert_eq!(warning, None);
            assert!(read.all().eq(store.all()));
            store = read;
            for _ in 0..40 {
                let name = format!("s{}", random.random_range(0..5));
                let token = format!("{:036}", random.random_range(0..9));
                let value = format!("v{}", random.random_range(0..3));
                let (operation, body) = match random.random_range(0..10) {
                    0 => ("DeleteSecret", json!({"SecretId": name, "ForceDeleteWithoutRecovery": true})),
                    1 => (
                        "CreateSecret",
                        json!({"Name": name, "SecretString": value, "ClientRequestToken": token}),
                    ),
                    2 => ("TagResource", json!({"SecretId": name, "Tags": [{"Key": value, "Value": token}]})),
                    3 => ("GetSecretValue", json!({"SecretId": name})),
                    8 => (
                        "RotateSecret",
                        json!({
                            "SecretId": name,
                            "ClientRequestToken": token,
                            "RotationLambdaARN": "SecretsManagerRDSMySQLRotationSingleUser",
                            "RotationRules": {"ScheduleExpression": "rate(4 hours)"},
                        }),
                    ),
                    9 => ("CancelRotateSecret", json!({"SecretId": name})),
                    4 => ("CreateSecret", json!({"Name": name, "ClientRequestToken": token})),
                    5 => (
                        "PutSecretValue",
                        json!({"SecretId": name, "SecretBinary": "AAECAw==", "ClientRequestToken": token}),
                    ),
                    _ => (
                        "PutSecretValue",
                        json!({"SecretId": name, "SecretString": value, "ClientRequestToken": token}),
                    ),
                };
                run(&mut store, &mut journal, &mut random, operation, &body.to_string());
            }
        }
        assert!(store.all().count() > 0);
        fs::remove_file(&path).unwrap();
    }
}
