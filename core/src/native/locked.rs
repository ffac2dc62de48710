//! Values in pages that are neither swapped out nor written to core dumps.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::exhausted;
use super::process::{PerProcess, generation};
use crate::error::{Error, ErrorKind};
use crate::fetched::{Fetched, MemoryLock, Value};
use crate::id::Selector;
use crate::source::{Batch, BoxFuture, SecretSource};
use crate::wire::Description;

/// The number of values in each locked page. Values can share a page, and the system does not count locks.
static PAGES: PerProcess<Mutex<HashMap<usize, usize>>> = PerProcess::new();

/// The pages of a value, locked until this is dropped.
#[derive(Debug)]
struct LockedPages {
    pages: Vec<usize>,
    /// The generation that locked the pages: a forked child inherits no locks.
    generation: u64,
}

impl LockedPages {
    fn of(bytes: &[u8]) -> io::Result<Self> {
        let size = system::page_size();
        let first = bytes.as_ptr() as usize / size;
        let last = (bytes.as_ptr() as usize + bytes.len().max(1) - 1) / size;
        let mut locked = Self { pages: Vec::new(), generation: generation() };
        let Ok(counts) = PAGES.get_or_try_make(|| Ok::<_, std::convert::Infallible>(Mutex::default()));
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        let result = (first..=last).try_for_each(|page| {
            let count = counts.entry(page).or_insert(0);
            if *count == 0 {
                system::lock(page * size, size)?;
            }
            *count += 1;
            locked.pages.push(page);
            Ok(())
        });
        drop(counts);
        result.map(|()| locked) // on an error, `locked` is dropped and unlocks its pages
    }
}

impl MemoryLock for LockedPages {
    fn of_copy(&self, bytes: &[u8]) -> Option<Box<dyn MemoryLock>> {
        Some(Box::new(Self::of(bytes).ok()?))
    }
}

impl Drop for LockedPages {
    fn drop(&mut self) {
        let Some(counts) = PAGES.get().filter(|_| self.generation == generation()) else { return };
        let (size, mut counts) = (system::page_size(), counts.lock().unwrap_or_else(PoisonError::into_inner));
        for page in &self.pages {
            if let Some(count) = counts.get_mut(page) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(page);
                    system::unlock(page * size, size);
                }
            }
        }
    }
}

/// A source that locks the memory of values as soon as they arrive.
#[derive(Debug)]
pub(super) struct LockingSource(pub(super) Arc<dyn SecretSource>);

impl SecretSource for LockingSource {
    fn describe<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Description, Error>> {
        self.0.describe(id)
    }

    fn fetch<'a>(&'a self, id: &'a str, selector: Selector<'a>) -> BoxFuture<'a, Result<Fetched, Error>> {
        Box::pin(async move { locked(self.0.fetch(id, selector).await?) })
    }

    fn fetch_batch<'a>(&'a self, ids: &'a [&'a str]) -> BoxFuture<'a, Result<Batch, Error>> {
        Box::pin(async move {
            let mut batch = self.0.fetch_batch(ids).await?;
            batch.found = batch.found.into_iter().map(locked).collect::<Result<_, _>>()?;
            Ok(batch)
        })
    }
}

fn locked(mut fetched: Fetched) -> Result<Fetched, Error> {
    let pages = match &fetched.value {
        Value::String(string) => LockedPages::of(string.as_bytes()),
        Value::Binary(binary) => LockedPages::of(binary),
        Value::Absent => return Ok(fetched),
    };
    fetched.lock = Some(Box::new(pages.map_err(|error| refused(&error))?));
    Ok(fetched)
}

fn refused(error: &io::Error) -> Error {
    let text = exhausted::resource(error).map_or_else(|| error.to_string(), str::to_owned);
    let text =
        format!("lock_memory: cannot lock the memory of a value ({text}); raise the limit (ulimit -l)");
    Error::new(ErrorKind::ResourceExhausted, text)
}

/// Checks whether this process can lock memory at all.
///
/// # Errors
///
/// [`ErrorKind::InvalidConfiguration`], with what to do.
pub(super) fn check() -> Result<(), Error> {
    let probe = vec![0_u8; 1];
    let locked = LockedPages::of(&probe).map(drop);
    locked.map_err(|error| Error::new(ErrorKind::InvalidConfiguration, refused(&error).message()))
}

#[cfg(unix)]
mod system {
    use std::io;

    pub(super) fn page_size() -> usize {
        // SAFETY: the call only returns a number.
        usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096).max(1)
    }

    pub(super) fn lock(address: usize, length: usize) -> io::Result<()> {
        let page = address as *mut libc::c_void;
        // SAFETY: the page is mapped, because it holds a value; neither call reads or changes its contents.
        unsafe {
            if libc::mlock(page, length) != 0 {
                return Err(io::Error::last_os_error());
            }
            #[cfg(target_os = "linux")]
            if libc::madvise(page, length, libc::MADV_DONTDUMP) != 0 {
                let error = io::Error::last_os_error();
                libc::munlock(page, length);
                return Err(error);
            }
        }
        Ok(())
    }

    /// A failure means that the page is no longer mapped, and so no longer locked.
    pub(super) fn unlock(address: usize, length: usize) {
        let page = address as *mut libc::c_void;
        // SAFETY: as above; for a page that is no longer mapped, the calls return an error.
        unsafe {
            libc::munlock(page, length);
            #[cfg(target_os = "linux")]
            libc::madvise(page, length, libc::MADV_DODUMP);
        }
    }
}

#[cfg(not(unix))]
mod system {
    use std::io;

    pub(super) fn page_size() -> usize {
        4096
    }

    pub(super) fn lock(_: usize, _: usize) -> io::Result<()> {
        Err(io::Error::other("this system is not supported"))
    }

    pub(super) fn unlock(_: usize, _: usize) {}
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::secret::Secret;

    /// The flags of the mapping that holds an address: `lo` is locked, `dd` is left out of core dumps.
    fn flags(address: usize) -> Vec<String> {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut holds = false;
        for line in maps.lines() {
            if let Some((range, _)) = line.split_once(' ').filter(|(range, _)| range.contains('-')) {
                let (start, end) = range.split_once('-').unwrap();
                let number = |text| usize::from_str_radix(text, 16).unwrap();
                holds = (number(start)..number(end)).contains(&address);
            } else if let Some(flags) = line.strip_prefix("VmFlags:").filter(|_| holds) {
                return flags.split_whitespace().map(str::to_owned).collect();
            }
        }
        panic!("no mapping holds {address:x}");
    }

    #[test]
    fn s6_a_locked_value_stays_out_of_swap_and_core_dumps_until_it_is_gone() {
        let text = "x".repeat(100_000);
        let secret = Secret::from(locked(Fetched::string("v1", &text)).unwrap());
        let address = secret.string().unwrap().as_ptr() as usize;
        for address in [address, address + text.len() - 1] {
            let flags = flags(address);
            assert!(flags.contains(&"lo".to_owned()) && flags.contains(&"dd".to_owned()), "{flags:?}");
        }
        let relabelled = secret.relabelled(&["AWSPREVIOUS".to_owned()]);
        assert!(flags(relabelled.string().unwrap().as_ptr() as usize).contains(&"dd".to_owned()));
        let pages = PAGES.get().unwrap();
        let locked_pages = || pages.lock().unwrap().len();
        assert!(locked_pages() >= 2 * text.len() / system::page_size());
        drop((secret, relabelled));
        assert!(locked_pages() < 3, "another test may have some");
    }
}
