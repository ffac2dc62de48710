//! Custom sources: a secret store of the program, as a table of functions.

use std::ffi::c_void;
use std::fmt;
use std::mem::offset_of;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use secretcache::host::BlockingPool;
use secretcache::{
    Batch, BoxFuture, Description, ErrorKind, Fetched, SecretSource, Selector, ServiceFault, Value,
};
use tokio::sync::oneshot;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::callback::{Release, UserData};
use crate::error::{Error, ResultCode};
use crate::text::{Str, VersionSelector};

/// Fetches a version with its value from the store. Texts are valid until the function returns.
pub type Fetch = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        secret_id: Str,
        version: *const VersionSelector,
        answer: *mut Answer,
    ),
>;

/// Asks the store for the versions of a secret and their staging labels, without values. Texts are valid until the
/// function returns.
pub type Describe = Option<unsafe extern "C" fn(user_data: *mut c_void, secret_id: Str, answer: *mut Answer)>;

/// Fetches the current versions of several secrets from the store. `answers` has one answer for each of the `count`
/// ids, in the same order; end each of them like the answer to a single request. Both arrays and the texts are valid
/// until the function returns, the answers until they are ended.
pub type FetchBatch = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        secret_ids: *const Str,
        answers: *const *mut Answer,
        count: usize,
    ),
>;

/// A custom source of secrets, for programs with their own transport.
///
/// The functions run on threads of this library ("secretcache"), several at a time, with all signals blocked. They can
/// block, and can answer before they return or later, from any thread. End each answer exactly once, with
/// `secretcache_answer_succeed`, `secretcache_answer_fail` or `secretcache_answer_fail_as_service`. An answer that
/// comes after the timeout of the settings is discarded. The functions must read from the store each time, never from a
/// cache of their own. They must not call functions of this library that wait, leave by `longjmp`, or throw. In a
/// forked child they are called with the same user data.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// `sizeof(secretcache_source)`, so that later versions of the library know which fields exist.
    pub size: usize,
    /// Passed to every function.
    pub user_data: *mut c_void,
    /// Must not be NULL.
    pub fetch: Fetch,
    /// NULL if the store cannot do this; refreshes then use `fetch`.
    pub describe: Describe,
    /// Called once, on any thread, when no other function will be called again. NULL is allowed.
    pub release: Release,
    /// Called by `secretcache_prefetch`, for at most 20 secrets at a time. NULL if the store cannot do this; secrets
    /// are then fetched one by one.
    pub fetch_batch: FetchBatch,
}

/// A request to a source; see `secretcache_ffi_source`. Its texts are valid until the function returns.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// The id of the secret.
    pub secret_id: Str,
    /// The version; ignored by `describe`.
    pub version: VersionSelector,
}

/// Fetches a version from the store, or asks for the secret's versions.
pub type FfiFetch =
    Option<unsafe extern "C" fn(user_data: *mut c_void, request: *const Request, answer: *mut Answer)>;

/// Like `secretcache_source`, for languages whose functions cannot take structures by value. The functions run on
/// threads of this library, so languages that can be called only on their own threads cannot have a source.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct FfiSource {
    /// Passed to every function.
    pub user_data: *mut c_void,
    /// Must not be NULL.
    pub fetch: FfiFetch,
    /// NULL if the store cannot do this; refreshes then use `fetch`.
    pub describe: FfiFetch,
    /// Called once, on any thread, when no other function will be called again. NULL is allowed.
    pub release: Release,
}

/// The answer of a source to one request. One thread may use it at a time.
#[derive(Debug)]
pub struct Answer {
    reply: oneshot::Sender<Result<Reply, secretcache::Error>>,
    content: Reply,
    operation: &'static str,
    /// Keeps the source's user data until this answer is ended.
    _table: Arc<Table>,
}

#[derive(Debug, Default)]
struct Reply {
    fetched: Fetched,
    description: Description,
}

type Answered = oneshot::Receiver<Result<Reply, secretcache::Error>>;

#[derive(Debug)]
struct Table {
    user_data: UserData,
    functions: Functions,
    fetch_batch: FetchBatch,
}

/// The calling convention of the program's functions.
#[derive(Clone, Copy, Debug)]
enum Functions {
    ByValue { fetch: Fetch, describe: Describe },
    ByPointer { fetch: FfiFetch, describe: FfiFetch },
}

impl Table {
    fn describes(&self) -> bool {
        match self.functions {
            Functions::ByValue { describe, .. } => describe.is_some(),
            Functions::ByPointer { describe, .. } => describe.is_some(),
        }
    }

    fn describe(&self, secret_id: Str, answer: *mut Answer) {
        let user_data = self.user_data.pointer;
        match self.functions {
            Functions::ByValue { describe: Some(describe), .. } => {
                // SAFETY: the program passed the function for this; the id lives until it returns.
                unsafe { describe(user_data, secret_id, answer) };
            }
            Functions::ByPointer { describe: Some(describe), .. } => {
                let request = Request { secret_id, version: VersionSelector::of(Selector::CURRENT) };
                // SAFETY: as above.
                unsafe { describe(user_data, &raw const request, answer) };
            }
            _ => {}
        }
    }

    fn fetch(&self, secret_id: Str, version: VersionSelector, answer: *mut Answer) {
        let user_data = self.user_data.pointer;
        match self.functions {
            Functions::ByValue { fetch: Some(fetch), .. } => {
                // SAFETY: as above; the selector's texts live until it returns.
                unsafe { fetch(user_data, secret_id, &raw const version, answer) };
            }
            Functions::ByPointer { fetch: Some(fetch), .. } => {
                let request = Request { secret_id, version };
                // SAFETY: as above.
                unsafe { fetch(user_data, &raw const request, answer) };
            }
            _ => {}
        }
    }
}

/// A custom source, as the core uses it.
#[derive(Clone)]
pub(crate) struct HostSource {
    table: Arc<Table>,
    timeout: Duration,
    /// Each source has its own threads, so one that hangs blocks only itself.
    pool: Arc<BlockingPool>,
}

impl Source {
    /// The size of the structure in the first release.
    const FIRST_SIZE: usize = offset_of!(Self, fetch_batch);

    /// Copies the fields that the structure has according to its `size`; the others are NULL.
    ///
    /// # Safety
    ///
    /// `source` points to as many bytes as `size` says, and at least to `size` itself.
    unsafe fn copied(source: *const Self) -> Result<Self, Error> {
        // SAFETY: by contract.
        let size = unsafe { (&raw const (*source).size).read() };
        if size < Self::FIRST_SIZE {
            return Err(Error::invalid("source->size is too small; set it to sizeof(secretcache_source)"));
        }
        let user_data = std::ptr::null_mut();
        let mut copy =
            Self { size, user_data, fetch: None, describe: None, release: None, fetch_batch: None };
        let known = size.min(size_of::<Self>());
        // SAFETY: by contract, and the copy is at least that large.
        unsafe { std::ptr::copy_nonoverlapping(source.cast::<u8>(), (&raw mut copy).cast::<u8>(), known) };
        Ok(copy)
    }
}

impl HostSource {
    /// # Safety
    ///
    /// As for [`Source::copied`].
    pub(crate) unsafe fn new(source: *const Source) -> Result<Self, Error> {
        // SAFETY: by contract.
        let source = unsafe { Source::copied(source) }?;
        if source.fetch.is_none() {
            return Err(Error::null("source->fetch"));
        }
        let Source { user_data, fetch, describe, release, fetch_batch, .. } = source;
        let functions = Functions::ByValue { fetch, describe };
        Ok(Self::of(Table { user_data: UserData::new(user_data, release), functions, fetch_batch }))
    }

    pub(crate) fn with_pointers(source: &FfiSource) -> Result<Self, Error> {
        let FfiSource { user_data, fetch, describe, release } = *source;
        if fetch.is_none() {
            return Err(Error::null("source->fetch"));
        }
        let functions = Functions::ByPointer { fetch, describe };
        Ok(Self::of(Table { user_data: UserData::new(user_data, release), functions, fetch_batch: None }))
    }

    fn of(table: Table) -> Self {
        Self { table: Arc::new(table), timeout: Duration::from_secs(5), pool: Arc::default() }
    }

    pub(crate) fn with_timeout(self, timeout: Option<Duration>) -> Self {
        Self { timeout: timeout.unwrap_or(self.timeout), ..self }
    }

    /// Calls the program on a thread that may block, and waits for its answer.
    async fn ask(
        &self,
        operation: &'static str,
        call: impl FnOnce(&Table, *mut Answer) + Send + 'static,
    ) -> Result<Reply, secretcache::Error> {
        let (answer, answered) = self.question(operation);
        let table = Arc::clone(&self.table);
        self.pool.run(move || call(&table, answer.into_raw()))?;
        reply(answered, Instant::now() + self.timeout).await
    }

    fn question(&self, operation: &'static str) -> (Answer, Answered) {
        let (reply, answered) = oneshot::channel();
        let table = Arc::clone(&self.table);
        (Answer { reply, content: Reply::default(), operation, _table: table }, answered)
    }
}

impl SecretSource for HostSource {
    fn describe<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Description, secretcache::Error>> {
        Box::pin(async move {
            if !self.table.describes() {
                // Makes the core fetch instead, and not ask again soon.
                let text = "the custom source has no describe function";
                return Err(failure(ErrorKind::AccessDenied, text));
            }
            let id = id.to_owned();
            let call = move |table: &Table, answer| table.describe(Str::of(&id), answer);
            Ok(self.ask("DescribeSecret", call).await?.description)
        })
    }

    fn fetch<'a>(
        &'a self,
        id: &'a str,
        selector: Selector<'a>,
    ) -> BoxFuture<'a, Result<Fetched, secretcache::Error>> {
        Box::pin(async move {
            let (id, selector) = (id.to_owned(), secretcache::host::OwnedSelector::from(selector));
            let call = move |table: &Table, answer| {
                table.fetch(Str::of(&id), VersionSelector::of(selector.as_selector()), answer);
            };
            Ok(self.ask("GetSecretValue", call).await?.fetched)
        })
    }

    fn fetch_batch<'a>(&'a self, ids: &'a [&'a str]) -> BoxFuture<'a, Result<Batch, secretcache::Error>> {
        Box::pin(async move {
            let Some(fetch_batch) = self.table.fetch_batch else {
                let text = "the custom source has no fetch_batch function";
                return Err(failure(ErrorKind::InvalidRequest, text));
            };
            let asked: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
            let (answers, answered): (Vec<_>, Vec<_>) =
                ids.iter().map(|_| self.question("BatchGetSecretValue")).unzip();
            let table = Arc::clone(&self.table);
            self.pool.run(move || {
                let texts: Vec<Str> = asked.iter().map(|id| Str::of(id)).collect();
                let answers: Vec<*mut Answer> = answers.into_iter().map(Answer::into_raw).collect();
                // SAFETY: as above; there are as many answers as ids.
                unsafe {
                    fetch_batch(table.user_data.pointer, texts.as_ptr(), answers.as_ptr(), texts.len());
                }
            })?;
            let (mut batch, deadline) = (Batch::default(), Instant::now() + self.timeout);
            for (id, answered) in ids.iter().zip(answered) {
                match reply(answered, deadline).await {
                    Ok(reply) => batch.found.push(named(reply.fetched, id)),
                    Err(error) => batch.failed.push(((*id).to_owned(), error)),
                }
            }
            Ok(batch)
        })
    }
}

/// Waits for the program's answer until the deadline.
async fn reply(answered: Answered, deadline: Instant) -> Result<Reply, secretcache::Error> {
    match tokio::time::timeout_at(deadline, answered).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(failure(ErrorKind::Closed, "the process is shutting down")),
        Err(_) => Err(failure(ErrorKind::Timeout, "the custom source did not answer in time")),
    }
}

impl fmt::Debug for HostSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostSource")
    }
}

/// Completes an answer in a batch with the name or ARN that it is for; the program need not set it.
fn named(mut fetched: Fetched, id: &str) -> Fetched {
    let place = if id.starts_with("arn:") { &mut fetched.arn } else { &mut fetched.name };
    place.get_or_insert_with(|| id.to_owned());
    fetched
}

impl Answer {
    /// Passes the answer to the program, which ends it.
    fn into_raw(self) -> *mut Self {
        Box::into_raw(Box::new(self))
    }

    pub(crate) fn set_binary(&mut self, binary: &[u8]) {
        self.content.fetched.value = Value::Binary(Zeroizing::new(binary.to_vec()));
    }

    fn end(self, result: Result<(), secretcache::Error>) {
        // No one receives an answer that comes too late.
        let _late = self.reply.send(result.map(|()| self.content));
    }
}

fn failure(kind: ErrorKind, text: &str) -> secretcache::Error {
    secretcache::Error::new(kind, text)
}

export! {
    /// Sets the secret's full ARN, for any request.
    fn secretcache_answer_set_arn(answer: Mut<Answer>, arn: Text) -> Result() {
        answer.content.fetched.arn = Some(arn.to_owned());
        answer.content.description.arn = Some(arn.to_owned());
        Ok(())
    }

    /// Sets the secret's friendly name, for `fetch` or `fetch_batch`.
    fn secretcache_answer_set_name(answer: Mut<Answer>, name: Text) -> Result() {
        answer.content.fetched.name = Some(name.to_owned());
        Ok(())
    }

    /// Sets the version's id, for `fetch` or `fetch_batch`. Without one, every refresh fetches the value, and
    /// `secretcache_connect` cannot distinguish versions.
    fn secretcache_answer_set_version_id(answer: Mut<Answer>, version_id: Text) -> Result() {
        answer.content.fetched.version_id = Some(version_id.to_owned());
        Ok(())
    }

    /// Adds a staging label of the version, for `fetch` or `fetch_batch`.
    fn secretcache_answer_add_stage(answer: Mut<Answer>, stage: Text) -> Result() {
        answer.content.fetched.version_stages.push(stage.to_owned());
        Ok(())
    }

    /// Sets when the version was created, in milliseconds since 1970 (UTC), for `fetch` or `fetch_batch`.
    fn secretcache_answer_set_created(answer: Mut<Answer>, created_ms: Is<u64>) -> Result() {
        answer.content.fetched.created_date = UNIX_EPOCH.checked_add(Duration::from_millis(created_ms));
        Ok(())
    }

    /// Sets the secret string, for `fetch` or `fetch_batch`. It is copied; the copy is wiped when it is no longer used.
    fn secretcache_answer_set_string(answer: Mut<Answer>, string: Text) -> Result() {
        answer.content.fetched.value = Value::String(Zeroizing::new(string.to_owned()));
        Ok(())
    }

    /// Sets the secret binary, for `fetch` or `fetch_batch`. It is copied; the copy is wiped when it is no longer used.
    fn secretcache_answer_set_binary(answer: Mut<Answer>, binary: Raw) -> Result() {
        answer.set_binary(binary);
        Ok(())
    }

    /// Adds a version and one of its staging labels, for `describe`. Call this for each label of each version.
    fn secretcache_answer_add_version_stage(answer: Mut<Answer>, version_id: Text, stage: Text) -> Result() {
        let versions = &mut answer.content.description.versions;
        match versions.iter_mut().find(|(id, _)| id == version_id) {
            Some((_, stages)) => stages.push(stage.to_owned()),
            None => versions.push((version_id.to_owned(), vec![stage.to_owned()])),
        }
        Ok(())
    }

    /// Ends an answer with what was set, and frees it. NULL is ignored.
    fn secretcache_answer_succeed(answer: Own<Answer>) {
        if let Some(answer) = answer {
            answer.end(Ok(()));
        }
    }

    /// Ends an answer with a failure, and frees it. `result` is a result from 100 up, such as SECRETCACHE_CONNECTION;
    /// others count as SECRETCACHE_SOURCE. `message` says what is wrong and what to do; it must not contain a secret.
    /// NULL is ignored.
    fn secretcache_answer_fail(answer: Own<Answer>, result: Is<u32>, message: Lossy) {
        if let Some(answer) = answer {
            let kind = ResultCode::kind(result).unwrap_or(ErrorKind::Source);
            let text = if message.is_empty() { "the custom source failed" } else { &message };
            answer.end(Err(failure(kind, text)));
        }
    }

    /// Ends an answer with an error of Secrets Manager, and frees it: the error code, such as
    /// ResourceNotFoundException, the message, the HTTP status (0 if there is none), and the request id (no text if
    /// there is none). NULL is ignored.
    fn secretcache_answer_fail_as_service(
        answer: Own<Answer>,
        code: Lossy,
        message: Lossy,
        http_status: Is<u16>,
        request_id: Lossy,
    ) {
        if let Some(answer) = answer {
            let status = (http_status != 0).then_some(http_status);
            let kind = ErrorKind::from_service(&code, &message, status);
            let mut fault = ServiceFault::new(answer.operation, code, message.clone());
            fault.status = status;
            fault.request_id = Some(request_id).filter(|request_id| !request_id.is_empty());
            answer.end(Err(failure(kind, &message).with_fault(fault)));
        }
    }
}
