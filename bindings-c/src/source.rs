//! A secret store of the program's own, as a table of functions.

use std::ffi::c_void;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use secretcache::{BoxFuture, Description, ErrorKind, Fetched, SecretSource, Selector, ServiceFault, Value};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::callback::{Release, UserData};
use crate::error::{Error, ResultCode};
use crate::text::{Str, VersionSelector};

/// Asks the store for a version with its value. Texts live until the function returns.
pub type Fetch = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        secret_id: Str,
        version: *const VersionSelector,
        answer: *mut Answer,
    ),
>;

/// Asks the store which versions there are and which labels they carry, without values. Texts live until the function
/// returns.
pub type Describe = Option<unsafe extern "C" fn(user_data: *mut c_void, secret_id: Str, answer: *mut Answer)>;

/// Where secrets come from, for programs that bring their own transport.
///
/// The functions run on threads of this library ("secretcache"), several at a time, with all signals blocked. They may
/// block, and may answer before they return or later, from any thread; each answer must be ended exactly once, with
/// `secretcache_answer_succeed`, `secretcache_answer_fail` or `secretcache_answer_fail_as_service`. An answer that comes
/// after the timeout of the settings is thrown away. They must answer from the store each time, never from a cache of
/// their own; must not call functions of this library that wait; must not `longjmp` out of themselves, and must not throw.
/// In a forked child they are called with the same user data.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// `sizeof(secretcache_source)`, by which later versions tell what there is.
    pub size: usize,
    /// Passed to every function.
    pub user_data: *mut c_void,
    /// Must not be NULL.
    pub fetch: Fetch,
    /// NULL where the store has nothing of the kind: refreshes then fetch.
    pub describe: Describe,
    /// Called once when nothing will be called any more, on whichever thread let go last. May be NULL.
    pub release: Release,
}

/// Where a source's answer goes. One thread may use it at a time.
#[derive(Debug)]
pub struct Answer {
    reply: oneshot::Sender<Result<Reply, secretcache::Error>>,
    content: Reply,
    operation: &'static str,
    /// The source's user data are not released while an answer is due.
    _table: Arc<Table>,
}

#[derive(Debug, Default)]
struct Reply {
    fetched: Fetched,
    description: Description,
}

#[derive(Debug)]
struct Table {
    user_data: UserData,
    fetch: Fetch,
    describe: Describe,
}

/// A source as the core asks it.
#[derive(Clone)]
pub(crate) struct HostSource {
    table: Arc<Table>,
    timeout: Duration,
}

/// What is in use before fields are added to [`Source`].
const FIRST_SIZE: usize = size_of::<Source>();

impl HostSource {
    pub(crate) fn new(source: &Source) -> Result<Self, Error> {
        if source.size < FIRST_SIZE {
            return Err(Error::invalid("source->size is too small; set it to sizeof(secretcache_source)"));
        }
        if source.fetch.is_none() {
            return Err(Error::null("source->fetch"));
        }
        let user_data = UserData::new(source.user_data, source.release);
        let table = Arc::new(Table { user_data, fetch: source.fetch, describe: source.describe });
        Ok(Self { table, timeout: Duration::from_secs(5) })
    }

    pub(crate) fn with_timeout(self, timeout: Option<Duration>) -> Self {
        Self { timeout: timeout.unwrap_or(self.timeout), ..self }
    }

    /// Has the program asked on a thread that may block, and waits for its answer.
    async fn ask(
        &self,
        operation: &'static str,
        call: impl FnOnce(&Table, *mut Answer) + Send + 'static,
    ) -> Result<Reply, secretcache::Error> {
        let (reply, answered) = oneshot::channel();
        let table = Arc::clone(&self.table);
        tokio::task::spawn_blocking(move || {
            let answer = Answer { reply, content: Reply::default(), operation, _table: Arc::clone(&table) };
            call(&table, Box::into_raw(Box::new(answer)));
        });
        match tokio::time::timeout(self.timeout, answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(failure(ErrorKind::Closed, "the process is shutting down")),
            Err(_) => Err(failure(ErrorKind::Timeout, "the program's own source did not answer in time")),
        }
    }
}

impl SecretSource for HostSource {
    fn describe<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Description, secretcache::Error>> {
        Box::pin(async move {
            let Some(describe) = self.table.describe else {
                // The core's word for "fetch instead, and do not ask again soon".
                return Err(failure(
                    ErrorKind::AccessDenied,
                    "the program's own source has no describe function",
                ));
            };
            let id = id.to_owned();
            let call = move |table: &Table, answer| {
                // SAFETY: the program gave the function for this; the id lives until it returns.
                unsafe { describe(table.user_data.pointer, Str::of(&id), answer) };
            };
            Ok(self.ask("DescribeSecret", call).await?.description)
        })
    }

    fn fetch<'a>(
        &'a self,
        id: &'a str,
        selector: Selector<'a>,
    ) -> BoxFuture<'a, Result<Fetched, secretcache::Error>> {
        Box::pin(async move {
            let (id, selector) = (id.to_owned(), secretcache::OwnedSelector::from(selector));
            let call = move |table: &Table, answer| {
                let version = VersionSelector::of(selector.as_ref());
                let Some(fetch) = table.fetch else { return };
                // SAFETY: as above; the selector's texts live until it returns.
                unsafe { fetch(table.user_data.pointer, Str::of(&id), &raw const version, answer) };
            };
            Ok(self.ask("GetSecretValue", call).await?.fetched)
        })
    }
}

impl fmt::Debug for HostSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostSource")
    }
}

impl Answer {
    fn end(self, result: Result<(), secretcache::Error>) {
        // Nobody is there to take it if it comes too late.
        let _late = self.reply.send(result.map(|()| self.content));
    }
}

fn failure(kind: ErrorKind, text: &str) -> secretcache::Error {
    secretcache::Error::new(kind, text)
}

export! {
    /// The secret's full ARN, for either question.
    fn secretcache_answer_set_arn(answer: Mut<Answer>, arn: Text) -> Result() {
        answer.content.fetched.arn = Some(arn.to_owned());
        answer.content.description.arn = Some(arn.to_owned());
        Ok(())
    }

    /// The secret's friendly name, in answer to `fetch`.
    fn secretcache_answer_set_name(answer: Mut<Answer>, name: Text) -> Result() {
        answer.content.fetched.name = Some(name.to_owned());
        Ok(())
    }

    /// The version's id, in answer to `fetch`. Without one, every refresh fetches, and `secretcache_connect` cannot tell
    /// versions apart.
    fn secretcache_answer_set_version_id(answer: Mut<Answer>, version_id: Text) -> Result() {
        answer.content.fetched.version_id = Some(version_id.to_owned());
        Ok(())
    }

    /// One of the staging labels of the version, in answer to `fetch`.
    fn secretcache_answer_add_stage(answer: Mut<Answer>, stage: Text) -> Result() {
        answer.content.fetched.version_stages.push(stage.to_owned());
        Ok(())
    }

    /// When the version was created, in milliseconds since 1970 (UTC), in answer to `fetch`.
    fn secretcache_answer_set_created(answer: Mut<Answer>, created_ms: Is<u64>) -> Result() {
        answer.content.fetched.created_date = UNIX_EPOCH.checked_add(Duration::from_millis(created_ms));
        Ok(())
    }

    /// The secret string, in answer to `fetch`. It is copied; the copy is wiped in time.
    fn secretcache_answer_set_string(answer: Mut<Answer>, string: Text) -> Result() {
        answer.content.fetched.value = Value::String(Zeroizing::new(string.to_owned()));
        Ok(())
    }

    /// The secret binary, in answer to `fetch`. It is copied; the copy is wiped in time.
    fn secretcache_answer_set_binary(answer: Mut<Answer>, binary: Raw) -> Result() {
        answer.content.fetched.value = Value::Binary(Zeroizing::new(binary.to_vec()));
        Ok(())
    }

    /// A version and one staging label that it carries, in answer to `describe`; to be called for each label of each.
    fn secretcache_answer_add_version_stage(answer: Mut<Answer>, version_id: Text, stage: Text) -> Result() {
        let versions = &mut answer.content.description.versions;
        match versions.iter_mut().find(|(id, _)| id == version_id) {
            Some((_, stages)) => stages.push(stage.to_owned()),
            None => versions.push((version_id.to_owned(), vec![stage.to_owned()])),
        }
        Ok(())
    }

    /// Ends an answer, with what was set. The answer is gone afterwards. NULL is nothing to end.
    fn secretcache_answer_succeed(answer: Own<Answer>) {
        if let Some(answer) = answer {
            answer.end(Ok(()));
        }
    }

    /// Ends an answer with a failure: one of the results from 100 on, such as SECRETCACHE_CONNECTION; others count as
    /// SECRETCACHE_SOURCE. `message` says what is wrong and what to do; it must not hold a secret. The answer is gone
    /// afterwards. NULL is nothing to end.
    fn secretcache_answer_fail(answer: Own<Answer>, result: Is<u32>, message: Is<Str>) {
        if let Some(answer) = answer {
            let kind = ResultCode::kind(result).unwrap_or(ErrorKind::Source);
            let text = lossy(message);
            let text = if text.is_empty() { "the program's own source failed" } else { &text };
            answer.end(Err(failure(kind, text)));
        }
    }

    /// Ends an answer with a failure in the words of Secrets Manager: its error code, such as ResourceNotFoundException,
    /// its message, the HTTP status (0 where there is none), and the request id (none where there is none). The answer is
    /// gone afterwards. NULL is nothing to end.
    fn secretcache_answer_fail_as_service(
        answer: Own<Answer>,
        code: Is<Str>,
        message: Is<Str>,
        http_status: Is<u16>,
        request_id: Is<Str>,
    ) {
        if let Some(answer) = answer {
            let (code, message, request_id) = (lossy(code), lossy(message), lossy(request_id));
            let status = (http_status != 0).then_some(http_status);
            let kind = ErrorKind::from_service(&code, &message, status);
            let mut fault = ServiceFault::new(answer.operation, code, message.clone());
            fault.status = status;
            fault.request_id = Some(request_id).filter(|request_id| !request_id.is_empty());
            answer.end(Err(failure(kind, &message).with_fault(fault)));
        }
    }
}

/// A text of an error, which is no place to fail again.
fn lossy(text: Str) -> String {
    let length = if isize::try_from(text.length).is_ok() { text.length } else { 0 };
    let bytes = crate::text::Bytes { data: text.data.cast(), length };
    // SAFETY: the header asks for texts that are there and stay as they are during the call.
    let bytes = unsafe { bytes.to_slice("text") }.unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}
