//! The class behind the package's `SecretCache`.

use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::Uint32Array;
use napi_derive::napi;
use secretcache::host::Driver as _;
use secretcache::host::{OwnedSelector, spawn};
use secretcache::{SecretCache, Selector, Watch};

use crate::attempt::{self, NativeAttempt};
use crate::changes::Changes;
use crate::client::{Client, ClientDescription, ClientFailure, ClientValue, Reply};
use crate::delivery::{Message, Receiver, Sender, SharedSender};
use crate::errors::{Failure, Thrown, thrown};
use crate::settings::{Settings, span};
use crate::shared::{self, SharedCache};
use crate::stats::Stats;
use crate::value::Version;

/// A cache, as used by one environment (the main thread or a worker).
#[napi]
pub struct NativeCache {
    shared: Arc<SharedCache>,
    sender: SharedSender,
    changes: Changes,
    client: Option<Client>,
}

/// The start of a read. If both fields are empty, the result is delivered later.
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
    /// Creates a cache without starting anything. `deliver` is called with all later results. With `hasClient`, it is
    /// also called with the requests for the program's client.
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
        let changes = Changes::new();
        let sender = Sender::new(&deliver, changes.clone())
            .map_err(|error| napi::Error::new("internal", error.reason.to_string()))?;
        let sender = Arc::new(sender);
        let client = has_client.then(|| Client::new(Arc::clone(&sender)));
        let source = client.clone();
        let shared = shared::join(settings.take_shared_as(), env.raw() as usize, &sender, move || {
            let builder = SecretCache::builder().config(settings.config()).options(settings.options());
            match source {
                Some(source) => builder.source(source).build(),
                None => builder.build(),
            }
        });
        let shared = shared.map_err(|error| thrown(&error))?;
        shared.core.count_changes_in(changes.counters()).map_err(|error| thrown(&error))?;
        Ok(Self { shared, sender, changes, client })
    }

    /// Returns the counters of changes, as memory shared with the core. Where sharing is not allowed, the array is a
    /// copy; see `touch`.
    #[napi(getter)]
    pub fn changes(&self) -> Uint32Array {
        self.changes.array()
    }

    /// Increments the first counter, to find out whether the memory is shared.
    #[napi]
    pub fn touch(&self) {
        self.changes.touch();
    }

    /// Begins a read. If it cannot be answered at once, the result is delivered under `number`.
    #[napi(catch_unwind)]
    pub fn read(&self, number: u32, id: String, stage: Option<String>, version_id: Option<String>) -> Begun {
        let which = selector(stage.as_deref(), version_id.as_deref());
        if let Some(hit) = self.shared.core.hit(&id, which) {
            return Begun { version: Some(Version::new(hit.to_secret(), &self.changes)), ..Begun::default() };
        }
        let which = OwnedSelector::from(which);
        let (core, sender) = (self.shared.core.clone(), Arc::clone(&self.sender));
        self.begin(async move {
            let result = core.get(&id).selector(which.as_selector()).await;
            sender.send(Message::Version(number, result));
        })
    }

    /// Begins a forced refresh. Its result is delivered under `number`.
    #[napi(catch_unwind)]
    pub fn refresh(&self, number: u32, id: String, stage: Option<String>) -> Begun {
        let (core, sender) = (self.shared.core.clone(), Arc::clone(&self.sender));
        self.begin(async move {
            let refreshed = core.get(&id).selector(selector(stage.as_deref(), None)).refresh().await;
            sender.send(Message::Version(number, refreshed));
        })
    }

    /// Begins the refresh that an attempt to connect requests. Its result is delivered under `number`.
    #[napi(catch_unwind)]
    pub fn recheck(&self, number: u32, id: String, stage: String) -> Begun {
        let (core, sender) = (self.shared.core.clone(), Arc::clone(&self.sender));
        self.begin(async move {
            let checked = match core.start_recheck(&id, Selector::stage(&stage)) {
                Ok(task) => task.await,
                Err(error) => Err(error),
            };
            sender.send(Message::Version(number, checked));
        })
    }

    /// Begins to prefetch secrets. The result is delivered under `number`.
    #[napi(catch_unwind)]
    pub fn prefetch(&self, number: u32, ids: Vec<String>) -> Begun {
        let (core, sender) = (self.shared.core.clone(), Arc::clone(&self.sender));
        self.begin(async move { sender.send(Message::Prefetched(number, core.prefetch(ids).await)) })
    }

    /// Returns the last known value. Never waits and makes no request.
    #[napi(catch_unwind)]
    pub fn peek(&self, id: String, stage: Option<String>, version_id: Option<String>) -> Option<Version> {
        let hit =
            self.shared.core.get(&id).selector(selector(stage.as_deref(), version_id.as_deref())).peek()?;
        Some(Version::new(hit.to_secret(), &self.changes))
    }

    /// Returns whether a read with this maximum age must refresh the value first.
    #[napi(catch_unwind)]
    pub fn is_older(
        &self,
        id: String,
        stage: Option<String>,
        version_id: Option<String>,
        max_age_ms: f64,
    ) -> bool {
        let which = selector(stage.as_deref(), version_id.as_deref());
        self.shared.core.is_older(&id, which, span(max_age_ms))
    }

    /// Counts hits that JavaScript answered itself.
    #[napi(catch_unwind)]
    pub fn note_hits(&self, id: String, stage: Option<String>, version_id: Option<String>, count: u32) {
        self.shared.core.note_hits(&id, selector(stage.as_deref(), version_id.as_deref()), count.into());
    }

    /// Forgets a secret with all its versions.
    #[napi(catch_unwind)]
    pub fn invalidate(&self, id: String) {
        self.shared.core.invalidate(&id);
    }

    /// Returns the statistics of the cache.
    #[napi(catch_unwind)]
    pub fn stats(&self) -> Stats {
        self.shared.core.stats().into()
    }

    /// Returns whether a connection made with this version should be replaced when it is idle.
    #[napi(catch_unwind)]
    pub fn is_outdated(&self, id: String, version_id: String) -> bool {
        self.shared.core.is_outdated(&id, &version_id)
    }

    /// Makes a secret count as in use until the result is closed.
    #[napi(catch_unwind)]
    pub fn watch(&self, id: String) -> NativeWatch {
        NativeWatch(Some(self.shared.core.watch(&id)))
    }

    /// Starts an attempt to connect. Without `stages`, it tries all that a login can use. With `once`, it does not wait for a
    /// version that works, but tries each once.
    #[napi(catch_unwind)]
    pub fn connect_attempt(
        &self,
        id: String,
        stages: Option<Vec<String>>,
        timeout_ms: f64,
        once: bool,
    ) -> Result<NativeAttempt, Thrown> {
        let attempt = attempt::stages(stages)
            .and_then(|stages| self.shared.core.connect_attempt(&id, &stages, span(timeout_ms)));
        let attempt = attempt.map_err(|error| thrown(&error))?;
        Ok(NativeAttempt::new(if once { attempt.each_version_once() } else { attempt }))
    }

    /// Ends this environment's use of the cache. The cache is closed once no environment uses it.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.shared.leave(&self.sender);
    }

    /// Passes on a value from the program's client.
    #[napi(catch_unwind)]
    pub fn answer_value(&self, number: u32, value: ClientValue) {
        self.answer(number, Ok(Reply::Value(value.into())));
    }

    /// Passes on a description from the program's client.
    #[napi(catch_unwind)]
    pub fn answer_description(&self, number: u32, description: ClientDescription) {
        self.answer(number, Ok(Reply::Description(description.into())));
    }

    /// Passes on a failure of the program's client.
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

/// Makes its secret count as in use while it is open.
#[napi]
pub struct NativeWatch(Option<Watch>);

#[napi]
impl NativeWatch {
    /// Ends the watch.
    #[napi]
    pub fn close(&mut self) {
        self.0 = None;
    }
}

impl Drop for NativeCache {
    fn drop(&mut self) {
        // Garbage-collected, or the environment is ending.
        self.shared.leave(&self.sender);
    }
}
