//! How a permit gets its answer from a source: which calls are made, and in which order.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use crate::cache::cache::Cache;
use crate::cache::permit::FetchPermit;
use crate::cache::stats::Operation;
use crate::error::{Error, ErrorKind};
use crate::iam_login::IamLogin;
use crate::source::SecretSource;
use crate::time::Now;
use crate::wire::Answer;

/// Asks the source on behalf of a permit.
///
/// A first read is one `GetSecretValue`. A refresh calls `DescribeSecret` to find out whether the label moved, which
/// needs no decryption and has the larger quota, and fetches only if it did. If `DescribeSecret` is denied, every
/// refresh fetches. Tokens are signed locally, without a call.
pub(super) async fn answer(
    permit: &FetchPermit,
    source: &dyn SecretSource,
    cache: &Cache,
) -> Result<Answer, Error> {
    let (id, selector) = (permit.id(), permit.selector());
    if IamLogin::has_id(id) {
        // Each token is different, and signing one takes no call.
        return source.fetch(id, selector).await.map(Answer::value);
    }
    let fetch = async || {
        cache.count_call(Operation::GetSecretValue);
        source.fetch(id, selector).await
    };
    let known_version = permit.known().and_then(|known| known.version_id());
    let Some(known_version) = known_version.filter(|_| permit.may_describe()) else {
        return fetch().await.map(Answer::value);
    };
    cache.count_call(Operation::DescribeSecret);
    match source.describe(id).await {
        Ok(description) => {
            let unmoved = match selector.as_stage() {
                Some(stage) => description.version_with_stage(stage) == Some(known_version),
                None => description.stages_of(known_version).is_some(),
            };
            let answer = if unmoved { Answer::unchanged() } else { Answer::value(fetch().await?) };
            Ok(answer.with_description(description))
        }
        Err(error) if error.kind() == ErrorKind::AccessDenied => {
            Ok(Answer::value(fetch().await?).describe_denied())
        }
        Err(error) => Err(error),
    }
}

/// Turns a panic in a source into an error. Otherwise the readers that wait would start the fetch again and again.
pub(super) async fn caught<T>(asking: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let mut asking = pin!(asking);
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| asking.as_mut().poll(context)));
        polled.unwrap_or_else(|_| {
            Poll::Ready(Err(Error::new(ErrorKind::Internal, "the source of secrets panicked")))
        })
    })
    .await
}

/// The most times that one request is repeated because the process was suspended during it.
pub(super) const MOST_RESUMES: usize = 3;

/// Whether the process must have been suspended during a request: it took longer than its timeouts allow.
///
/// After a stop, a suspension or the restore of a snapshot, an answer may be outdated. It is neither used nor counted
/// as a failure; the request is repeated over new connections.
pub(super) fn was_suspended(start: &Now, end: &Now, timeout: Duration) -> bool {
    end.since(start) > timeout * 2 + Duration::from_secs(5)
}
