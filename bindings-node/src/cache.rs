//! The class behind the package's `SecretCache`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use napi::Env;
use napi::bindgen_prelude::Uint32Array;
use napi_derive::napi;
use secretcache::host::Driver as _;
use secretcache::host::{OwnedSelector, spawn};
use secretcache::{SecretCache, Selector, Watch};

use crate::client::{Client, ClientDescription, ClientFailure, ClientValue, Reply};
use crate::errors::{Failure, Thrown, thrown};
use crate::outbox::{Message, Outbox, Receiver, SharedOutbox};
use crate::plan::{self, NativePlan};
use crate::registry::{self, Slot};
use crate::settings::{Settings, milliseconds, span};
use crate::stats::Stats;
use crate::value::Version;

/// A cache as one environment uses it.
#[napi]
pub struct NativeCache {
    slot: Arc<Slot>,
    outbox: SharedOutbox,
    changes: Changes,
    client: Option<Client>,
}

/// How often something that was handed out has become wrong since. JavaScript reads it from memory.
#[derive(Clone)]
pub(crate) struct Changes(Arc<AtomicU32>);

impl Changes {
    /// To be read before the value that it is to vouch for.
    pub(crate) fn count(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }
}

/// How a read begins: one of these, or neither, which is when its end is delivered later.
#[napi(object, object_from_js = false)]
#[derive(Default)]
pub struct Begun {
    pub version: Option<Version>,
    pub failure: Option<Failure>,
}

fn selector<'a>(stage: Option<&'a str>, version_id: Option<&'a str>) -> Selector<'a> {
    match (stage, version_id) {
        (_, Some(version_id)) => Selector::version_id(version_id),
        (Some(stage), None) => Selector::stage(stage),
        (None, None) => Selector::CURRENT,
    }
}

#[napi]
impl NativeCache {
    /// Starts nothing. `deliver` is called with whatever comes later; `has_client`: it is also asked for the secrets.
    #[napi(
        constructor,
        catch_unwind,
        ts_args_type = "settings: Settings, hasClient: boolean, deliver: (delivery: Delivery) => void"
    )]
    pub fn new(
        env: Env,
        mut settings: Settings,
        has_client: bool,
        deliver: Receiver<'_>,
    ) -> Result<Self, Thrown> {
        let changes = Changes(Arc::new(AtomicU32::new(0)));
        let outbox = Outbox::new(&deliver, changes.clone())
            .map_err(|error| napi::Error::new("internal", error.reason.to_string()))?;
        let outbox = Arc::new(outbox);
        let client = has_client.then(|| Client::new(Arc::clone(&outbox)));
        let source = client.clone();
        let slot = registry::join(settings.take_shared_as(), env.raw() as usize, &outbox, move || {
            let builder = SecretCache::builder().config(settings.config()).options(settings.options());
            match source {
                Some(source) => builder.source(source).build(),
                None => builder.build(),
            }
        });
        let slot = slot.map_err(|error| thrown(&error))?;
        slot.core.count_changes_in(&changes.0).map_err(|error| thrown(&error))?;
        Ok(Self { slot, outbox, changes, client })
    }

    /// The count of changes, as memory that is shared with the core. Where that is not allowed, it is a mere copy: see
    /// `touch`.
    #[napi(getter)]
    pub fn changes(&self) -> Uint32Array {
        let counter = Arc::clone(&self.changes.0);
        // SAFETY: the closure keeps the counter alive until the array is collected. JavaScript only reads it; the core
        // writes it atomically, and an aligned word is read whole.
        unsafe { Uint32Array::with_external_data(counter.as_ptr(), 1, move |_, _| drop(counter)) }
    }

    /// Raises the count, to find out whether the memory is shared.
    #[napi]
    pub fn touch(&self) {
        self.changes.0.fetch_add(1, Ordering::Release);
    }

    /// Begins a read. If it is not answered at once, the end is delivered under `number`.
    #[napi(catch_unwind)]
    pub fn read(&self, number: u32, id: String, stage: Option<String>, version_id: Option<String>) -> Begun {
        let changes = self.changes.count();
        let which = selector(stage.as_deref(), version_id.as_deref());
        if let Some(hit) = self.slot.core.hit(&id, which) {
            return Begun { version: Some(Version::new(hit.to_secret(), changes)), ..Begun::default() };
        }
        let which = OwnedSelector::from(which);
        let (core, outbox) = (self.slot.core.clone(), Arc::clone(&self.outbox));
        self.begin(async move {
            let result = core.get(&id).selector(which.as_selector()).await;
            outbox.send(Message::Version(number, result));
        })
    }

    /// Begins a forced refresh. Its end is delivered under `number`.
    #[napi(catch_unwind)]
    pub fn refresh(&self, number: u32, id: String, stage: Option<String>) -> Begun {
        let (core, outbox) = (self.slot.core.clone(), Arc::clone(&self.outbox));
        self.begin(async move {
            let refreshed = core.get(&id).selector(selector(stage.as_deref(), None)).refresh().await;
            outbox.send(Message::Version(number, refreshed));
        })
    }

    /// Begins what a plan wants by 'refresh'. Its end is delivered under `number`.
    #[napi(catch_unwind)]
    pub fn look(&self, number: u32, id: String, stage: String) -> Begun {
        let (core, outbox) = (self.slot.core.clone(), Arc::clone(&self.outbox));
        self.begin(async move {
            let looked = match core.start_recheck(&id, Selector::stage(&stage)) {
                Ok(task) => task.await,
                Err(error) => Err(error),
            };
            outbox.send(Message::Version(number, looked));
        })
    }

    /// Begins to fetch secrets before they are read. The end is delivered under `number`.
    #[napi(catch_unwind)]
    pub fn prefetch(&self, number: u32, ids: Vec<String>) -> Begun {
        let (core, outbox) = (self.slot.core.clone(), Arc::clone(&self.outbox));
        self.begin(async move { outbox.send(Message::Prefetched(number, core.prefetch(ids).await)) })
    }

    /// The last-known value: never waits, never asks anybody.
    #[napi(catch_unwind)]
    pub fn peek(&self, id: String, stage: Option<String>, version_id: Option<String>) -> Option<Version> {
        let changes = self.changes.count();
        let hit =
            self.slot.core.get(&id).selector(selector(stage.as_deref(), version_id.as_deref())).peek()?;
        Some(Version::new(hit.to_secret(), changes))
    }

    /// Milliseconds since the value that is held was last confirmed; null if none is held.
    #[napi(catch_unwind)]
    pub fn age_ms(&self, id: String, stage: Option<String>, version_id: Option<String>) -> Option<f64> {
        let age = self.slot.core.age(&id, selector(stage.as_deref(), version_id.as_deref()))?;
        Some(milliseconds(age))
    }

    /// Notes hits that were answered in JavaScript.
    #[napi(catch_unwind)]
    pub fn note_hits(&self, id: String, stage: Option<String>, version_id: Option<String>, count: u32) {
        self.slot.core.note_hits(&id, selector(stage.as_deref(), version_id.as_deref()), count.into());
    }

    /// Forgets a secret with all its versions.
    #[napi(catch_unwind)]
    pub fn invalidate(&self, id: String) {
        self.slot.core.invalidate(&id);
    }

    /// What the cache has done so far and holds now.
    #[napi(catch_unwind)]
    pub fn stats(&self) -> Stats {
        self.slot.core.stats().into()
    }

    /// Whether a connection that was made with this version should be replaced when it is not in use.
    #[napi(catch_unwind)]
    pub fn is_outdated(&self, id: String, version_id: String) -> bool {
        self.slot.core.is_outdated(&id, &version_id)
    }

    /// Has a secret count as in use until the result is closed.
    #[napi(catch_unwind)]
    pub fn watch(&self, id: String) -> NativeWatch {
        NativeWatch(Some(self.slot.core.watch(&id)))
    }

    /// A plan to connect with.
    #[napi(catch_unwind)]
    pub fn plan(&self, id: String, stages: Vec<String>, timeout_ms: f64) -> Result<NativePlan, Thrown> {
        let plan = plan::stages(&stages)
            .and_then(|stages| self.slot.core.connect_attempt(&id, &stages, span(timeout_ms)));
        plan.map(NativePlan::new).map_err(|error| thrown(&error))
    }

    /// This environment is done with the cache; where no other uses it, it is closed.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.slot.leave(&self.outbox);
    }

    /// The program's client has answered with a value.
    #[napi(catch_unwind)]
    pub fn answer_value(&self, number: u32, value: ClientValue) {
        self.answer(number, Ok(Reply::Value(value.into())));
    }

    /// The program's client has answered with a description.
    #[napi(catch_unwind)]
    pub fn answer_description(&self, number: u32, description: ClientDescription) {
        self.answer(number, Ok(Reply::Description(description.into())));
    }

    /// The program's client has failed.
    #[napi(catch_unwind)]
    pub fn answer_failure(&self, number: u32, failure: ClientFailure) {
        self.answer(number, Err(failure.into()));
    }
}

impl NativeCache {
    fn begin(&self, task: impl Future<Output = ()> + Send + 'static) -> Begun {
        let failure = spawn(task).err().map(|error| Failure::from(&error));
        Begun { failure, ..Begun::default() }
    }

    fn answer(&self, number: u32, answer: Result<Reply, secretcache::Error>) {
        if let Some(client) = &self.client {
            client.answer(number, answer);
        }
    }
}

/// While it is open, its secret counts as in use.
#[napi]
pub struct NativeWatch(Option<Watch>);

#[napi]
impl NativeWatch {
    /// From now on only reads count.
    #[napi]
    pub fn close(&mut self) {
        self.0 = None;
    }
}

impl Drop for NativeCache {
    fn drop(&mut self) {
        // Collected, or the environment ends.
        self.slot.leave(&self.outbox);
    }
}
