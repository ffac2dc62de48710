//! What a reader remembers, and how the cache takes it away.
//!
//! A table belongs to one [`Reader`](crate::Reader), and is listed by the cache. The reader looks into it at each hit;
//! whoever makes the cache let go of a version also takes it out of every table, so that no table keeps a secret in
//! memory. Only what the reader holds at that moment stays: the table keeps it until the reader holds something else.
//!
//! Each side raises a flag and looks at the other's. The reader never waits, since it may be a thread that must not be
//! held up: it finds the table wanted, and reads without. The cache waits for the reader, which has the table for a few
//! nanoseconds, and pays for the order of the two accesses (see [`barrier`]).

use std::cell::UnsafeCell;
use std::hash::{BuildHasher, Hasher};
use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Relaxed, Release},
};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use compact_str::CompactString;

use crate::cache::barrier;
use crate::cache::cache::Cache;
use crate::cache::reader::Wanted;
use crate::cache::shared::Shared;
use crate::secret::{Secret, Version};
use crate::time::Coarse;

/// A reader's memory of what it has read.
pub(crate) struct Table {
    /// The reader has it.
    is_in_use: AtomicBool,
    /// The cache has it, or is about to.
    is_wanted: AtomicBool,
    contents: UnsafeCell<Contents>,
    /// The cache it is of. Keeps no secret, only the address for others from being used again.
    cache: Weak<Shared>,
}

// SAFETY: the contents are only touched by whoever has taken the table.
unsafe impl Sync for Table {}
// SAFETY: as above; and what is in them may be sent.
unsafe impl Send for Table {}

struct Contents {
    entries: Entries,
    /// What the reader holds, if it has that from here: an entry or `orphan` owns it.
    lent: *const Version,
    /// What the reader holds, after the cache has let go of it.
    orphan: Option<Secret>,
}

impl Table {
    /// An empty table, listed by its cache.
    pub(crate) fn new(cache: &Cache) -> Arc<Self> {
        barrier::prepare();
        let contents = Contents { entries: Entries::default(), lent: ptr::null(), orphan: None };
        let table = Arc::new(Self {
            is_in_use: AtomicBool::new(false),
            is_wanted: AtomicBool::new(false),
            contents: UnsafeCell::new(contents),
            cache: Arc::downgrade(&cache.0),
        });
        cache.0.tables.list(&table);
        table
    }

    #[inline]
    pub(crate) fn is_of(&self, cache: &Cache) -> bool {
        ptr::eq(self.cache.as_ptr(), Arc::as_ptr(&cache.0))
    }

    /// The reader's: an entry, if it may be served and is wanted. It is what the reader holds from now on.
    #[inline(always)]
    pub(crate) fn hit(
        &self,
        cache: &Cache,
        id: &[u8],
        wanted: Wanted,
        now: Coarse,
    ) -> Option<ManuallyDrop<Secret>> {
        let (mut taken, orphan);
        taken = self.try_take()?;
        let contents = taken.contents();
        let secret = contents.entries.find(id).filter(|secret| wanted.includes(secret))?;
        let freshness = secret.version().serving.read(now)?;
        // SAFETY: as `lent`, it is kept until the reader holds something else.
        let alias = unsafe { secret.alias() };
        contents.lent = secret.as_ptr();
        orphan = contents.orphan.take();
        drop(taken);
        cache.0.hits.count(freshness);
        drop(orphan);
        Some(alias)
    }

    /// The reader's: notes what a hit gave, if the cache has let go of nothing since it had made so many `changes`. It
    /// is what the reader holds from now on.
    pub(crate) fn remember(
        &self,
        cache: &Cache,
        changes: u64,
        id: &str,
        secret: &Secret,
    ) -> Option<ManuallyDrop<Secret>> {
        let (mut taken, orphan, replaced);
        taken = self.try_take()?;
        // The change comes before the look into this table: either that finds the entry, or this finds the change.
        if cache.0.changes.made() != changes {
            return None;
        }
        let contents = taken.contents();
        // Whatever the reader holds has to outlive its entry.
        orphan = contents.orphan.take();
        replaced = contents.entries.insert(id, secret.clone());
        contents.lent = secret.as_ptr();
        drop(taken);
        drop((orphan, replaced));
        // SAFETY: as `lent`, it is kept until the reader holds something else.
        Some(unsafe { secret.alias() })
    }

    /// The reader's: it holds nothing from here any more. `false`: the table is taken.
    pub(crate) fn take_back(&self) -> bool {
        let Some(mut taken) = self.try_take() else { return false };
        let contents = taken.contents();
        contents.lent = ptr::null();
        let orphan = contents.orphan.take();
        drop(taken);
        drop(orphan);
        true
    }

    /// The cache's, after [`Table::want`]: takes out what it has let go of.
    fn let_go(&self, secret: Option<&Secret>) {
        let mut taken = self.take();
        let contents = taken.contents();
        let mut gone = contents.entries.take(secret);
        if let Some(place) = gone.iter().position(|gone| gone.as_ptr() == contents.lent) {
            contents.orphan = Some(gone.swap_remove(place));
        }
        drop(taken);
        drop(gone);
    }

    #[inline]
    fn try_take(&self) -> Option<Taken<'_>> {
        self.is_in_use.store(true, Relaxed);
        let taken = Taken { table: self, flag: &self.is_in_use };
        barrier::light();
        (!self.is_wanted.load(Acquire)).then_some(taken)
    }

    /// The cache's: from now on the reader leaves the table alone, once [`barrier::heavy`] has come in between.
    fn want(&self) {
        self.is_wanted.store(true, Relaxed);
    }

    fn take(&self) -> Taken<'_> {
        let mut spins = 0;
        while self.is_in_use.load(Acquire) {
            spins += 1;
            if spins < SPINS {
                std::hint::spin_loop();
            } else {
                // The reader does not run just now; sleeping lets it, whatever the priorities.
                thread::park_timeout(PAUSE);
            }
        }
        Taken { table: self, flag: &self.is_wanted }
    }
}

const SPINS: u32 = 100;
const PAUSE: Duration = Duration::from_micros(50);

/// A table that is taken, and the flag of whoever has it.
struct Taken<'a> {
    table: &'a Table,
    flag: &'a AtomicBool,
}

impl Taken<'_> {
    #[inline]
    fn contents(&mut self) -> &mut Contents {
        // SAFETY: there is one `Taken` of a table at a time, and it is borrowed for as long as the contents are. Both
        // sides have raised their flag before they looked at the other's, so that at least one of them saw it, and
        // that one does not go on: the reader turns away, the cache waits. A reader is used by one thread at a time, and
        // of the cache only one thread has the list of tables.
        unsafe { &mut *self.table.contents.get() }
    }
}

impl Drop for Taken<'_> {
    #[inline]
    fn drop(&mut self) {
        self.flag.store(false, Release);
    }
}

/// The tables of all readers. They are only looked at when something changes, never by a hit.
#[derive(Default)]
pub(crate) struct Tables(Mutex<List>);

#[derive(Default)]
struct List {
    tables: Vec<Weak<Table>>,
    /// As long as the list may grow before it is looked through for tables that are gone.
    limit: usize,
}

impl Tables {
    fn list(&self, table: &Arc<Table>) {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if list.tables.len() >= list.limit {
            list.tables.retain(|table| table.strong_count() > 0);
            list.limit = (list.tables.len() * 2).max(16);
        }
        list.tables.push(Arc::downgrade(table));
    }

    /// Takes a version out of every table; `None`: all.
    pub(crate) fn let_go(&self, secret: Option<&Secret>) {
        let list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let tables: Vec<_> = list.tables.iter().filter_map(Weak::upgrade).collect();
        if tables.is_empty() {
            return;
        }
        tables.iter().for_each(|table| table.want());
        barrier::heavy();
        tables.iter().for_each(|table| table.let_go(secret));
    }
}

impl Drop for Tables {
    fn drop(&mut self) {
        self.let_go(None);
    }
}

/// Versions by id: open addressing, at most two thirds full.
struct Entries {
    slots: Box<[Entry]>,
    /// Slots that hold an entry or once did.
    used: usize,
    hasher: foldhash::fast::RandomState,
}

#[derive(Clone, Default)]
struct Entry {
    hash: u64,
    // Short ids lie in the entry itself, as in the shared map's keys.
    id: CompactString,
    /// `None`: never used, or taken out if there is an id.
    secret: Option<Secret>,
}

/// How many secrets a reader remembers; one that reads more begins anew.
const MOST_ENTRIES: usize = 4096;
const FEWEST_SLOTS: usize = 4;

impl Default for Entries {
    fn default() -> Self {
        let slots = vec![Entry::default(); FEWEST_SLOTS].into();
        Self { slots, used: 0, hasher: foldhash::fast::RandomState::default() }
    }
}

impl Entries {
    #[inline(always)]
    fn find(&self, id: &[u8]) -> Option<&Secret> {
        self.slots[self.place(id)].secret.as_ref()
    }

    /// Where an id is, or would be.
    #[inline(always)]
    fn place(&self, id: &[u8]) -> usize {
        let hash = self.hash(id);
        let last = self.slots.len() - 1;
        #[expect(clippy::cast_possible_truncation, reason = "the lower bits choose the slot")]
        let mut place = hash as usize & last;
        loop {
            let entry = &self.slots[place];
            if entry.hash == hash && entry.id.as_bytes() == id || entry.id.is_empty() {
                return place;
            }
            place = (place + 1) & last;
        }
    }

    #[inline(always)]
    fn hash(&self, id: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(id);
        hasher.finish()
    }

    /// Gives what had to go for it.
    fn insert(&mut self, id: &str, secret: Secret) -> Vec<Secret> {
        let mut replaced = Vec::new();
        if self.slots[self.place(id.as_bytes())].id.is_empty() {
            if (self.used + 1) * 3 > self.slots.len() * 2 {
                replaced = self.make_room();
            }
            self.used += 1;
        }
        let place = self.place(id.as_bytes());
        let entry = Entry { hash: self.hash(id.as_bytes()), id: id.into(), secret: Some(secret) };
        replaced.extend(std::mem::replace(&mut self.slots[place], entry).secret);
        replaced
    }

    /// Forgets the ids of what was taken out, and makes twice the room for the rest.
    fn make_room(&mut self) -> Vec<Secret> {
        let entries: Vec<_> =
            std::mem::take(&mut self.slots).into_iter().filter(|entry| entry.secret.is_some()).collect();
        let (kept, gone) =
            if entries.len() < MOST_ENTRIES { (entries, Vec::new()) } else { (Vec::new(), entries) };
        self.slots = vec![Entry::default(); (kept.len() * 3).next_power_of_two().max(FEWEST_SLOTS)].into();
        self.used = kept.len();
        for entry in kept {
            let place = self.place(entry.id.as_bytes());
            self.slots[place] = entry;
        }
        gone.into_iter().filter_map(|entry| entry.secret).collect()
    }

    /// Takes a version out, under whichever ids it is; `None`: all of them.
    fn take(&mut self, secret: Option<&Secret>) -> Vec<Secret> {
        let is_meant = |held: &mut Secret| secret.is_none_or(|secret| secret.ptr_eq(held));
        self.slots.iter_mut().filter_map(|entry| entry.secret.take_if(|held| is_meant(held))).collect()
    }
}
