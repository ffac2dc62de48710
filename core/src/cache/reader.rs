//! A place that a program reads into again and again: hits that count no reference and look at nothing shared but the
//! version itself.

use std::fmt;
use std::mem::ManuallyDrop;
use std::sync::Arc;

use crate::cache::cache::Cache;
use crate::cache::lent::Table;
use crate::error::Error;
use crate::id::Selector;
use crate::secret::{Secret, Value};
use crate::time::Coarse;

/// A place for one version of a secret, to be filled again and again.
///
/// What a hit costs whose value is kept is mostly three atomic instructions: one to leave the shared map, one to count a
/// reference to what was found there, one to give back the reference to what was kept before. A reader that is used again
/// takes none: it remembers what it has read under which id, and looks there first.
///
/// What it remembers is checked as every hit is, and is taken from it the moment the cache lets go of it: of a replaced,
/// forgotten or evicted version a reader keeps in memory what it holds just then, and nothing else.
///
/// ```
/// use secretcache::{Answer, Cache, Config, Fetched, Lookup, Now, Reader, Selector, Wanted};
/// use std::time::Duration;
///
/// let cache = Cache::new(Config::default(), 7)?;
/// let now = Now::default().plus(Duration::from_secs(1));
/// let Lookup::Lead(ticket, _) = cache.lookup("prod/db", Selector::CURRENT, now) else { unreachable!() };
/// ticket.complete(Ok(Answer::value(Fetched::string("v-1", "hunter2"))), now);
///
/// let mut reader = Reader::default();
/// for _ in 0..3 {
///     assert!(reader.hit(&cache, "prod/db", Wanted::String, now.coarse));
///     assert_eq!(reader.secret().unwrap().string()?, "hunter2");
/// }
/// # Ok::<(), secretcache::Error>(())
/// ```
#[derive(Default)]
pub struct Reader {
    held: Held,
    /// What was read before, shared with the cache, which takes from it what it lets go of.
    table: Option<Arc<Table>>,
    /// How many reads have gone past the table.
    passed: u32,
}

/// A table is made for those who read again,
const WORTH_A_TABLE: u32 = 2;
/// and made anew for those who have turned to another cache, rather than read from two in turn.
const WORTH_ANOTHER: u32 = 64;

#[derive(Default)]
enum Held {
    #[default]
    Nothing,
    Own(Secret),
    /// Owns no reference: the table does, for as long as this is what it has lent.
    Lent(ManuallyDrop<Secret>),
}

/// What a reader has use for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Wanted {
    /// Whatever there is.
    #[default]
    Anything,
    /// A secret string.
    String,
    /// A secret binary.
    Binary,
}

impl Wanted {
    #[inline]
    pub(crate) fn includes(self, secret: &Secret) -> bool {
        match self {
            Self::Anything => true,
            Self::String => matches!(secret.value(), Value::String(_)),
            Self::Binary => matches!(secret.value(), Value::Binary(_)),
        }
    }

    /// Whether a version is this.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`](crate::ErrorKind::WrongType) if it is not.
    pub fn check(self, secret: &Secret) -> Result<(), Error> {
        match self {
            Self::Anything => Ok(()),
            Self::String => secret.string().map(drop),
            Self::Binary => secret.binary().map(drop),
        }
    }
}

impl Reader {
    /// What it holds.
    #[inline]
    pub fn secret(&self) -> Option<&Secret> {
        match &self.held {
            Held::Nothing => None,
            Held::Own(secret) => Some(secret),
            Held::Lent(secret) => Some(secret),
        }
    }

    /// Reads a secret's current version if it is in memory and needs no look, as [`Cache::hit`] does, and holds it from now
    /// on. `false`: it is not, or is not what is wanted; then the reader holds what it held before.
    #[inline(always)]
    pub fn hit(&mut self, cache: &Cache, id: &str, wanted: Wanted, now: Coarse) -> bool {
        self.hit_again(cache, id.as_bytes(), wanted, now) || self.first_hit(cache, id, wanted, now)
    }

    /// As [`Reader::hit`], if that was read with this reader before. The bytes need not be text: they are only
    /// compared.
    #[inline(always)]
    pub fn hit_again(&mut self, cache: &Cache, id: &[u8], wanted: Wanted, now: Coarse) -> bool {
        let table = self.table.as_deref().filter(|table| table.is_of(cache));
        match table.and_then(|table| table.hit(cache, id, wanted, now)) {
            Some(lent) => {
                self.held = Held::Lent(lent);
                true
            }
            None => false,
        }
    }

    fn first_hit(&mut self, cache: &Cache, id: &str, wanted: Wanted, now: Coarse) -> bool {
        let changes = cache.changes();
        match cache.hit(id, Selector::CURRENT, now).filter(|hit| wanted.includes(hit)) {
            Some(hit) => self.hold_current(cache, changes, id, &hit),
            None => return false,
        }
        true
    }

    /// Holds a version from now on.
    pub fn hold(&mut self, secret: Secret) {
        self.release();
        self.held = Held::Own(secret);
    }

    /// Holds a secret's current version as a hit has just given it, and remembers it. `changes` is what
    /// [`Cache::changes`] gave before that.
    pub fn hold_current(&mut self, cache: &Cache, changes: u64, id: &str, secret: &Secret) {
        let lent = self.table_for(cache).and_then(|table| table.remember(cache, changes, id, secret));
        match lent {
            Some(lent) => self.held = Held::Lent(lent),
            None if self.secret().is_some_and(|held| held.ptr_eq(secret)) => {}
            None => self.hold(secret.clone()),
        }
    }

    /// Holds nothing any more, and forgets what it remembers.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn table_for(&mut self, cache: &Cache) -> Option<&Table> {
        let is_other = self.table.as_deref().map(|table| !table.is_of(cache));
        if is_other != Some(false) {
            self.passed += 1;
            if self.passed < if is_other.is_some() { WORTH_ANOTHER } else { WORTH_A_TABLE } {
                return None;
            }
            self.passed = 0;
            self.release();
            self.table = Some(Table::new(cache));
        }
        self.table.as_deref()
    }

    /// Gives back what the table has lent.
    fn release(&mut self) {
        let held = std::mem::take(&mut self.held);
        if let (Held::Lent(_), Some(table)) = (held, &self.table)
            && !table.take_back()
        {
            // Busy on behalf of the cache, or, in a forked child, for ever.
            self.table = None;
        }
    }
}

impl Clone for Reader {
    /// Another place that holds the same.
    fn clone(&self) -> Self {
        Self { held: self.secret().cloned().map_or(Held::Nothing, Held::Own), ..Self::default() }
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reader").field(&self.secret()).finish()
    }
}
