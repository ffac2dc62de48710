//! How a permit is completed with a source: which calls are made, and in which order.

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
/// A first read is one `GetSecretValue`. A refresh asks `DescribeSecret` whether the version moved, which needs no
/// decryption and has the larger quota, and fetches only if it did. Where `DescribeSecret` is denied, a refresh
/// fetches each time. Tokens are signed, which is no call.
pub(super) async fn answer(
    permit: &FetchPermit,
    source: &dyn SecretSource,
    cache: &Cache,
) -> Result<Answer, Error> {
    let (id, selector) = (permit.id(), permit.selector());
    if IamLogin::has_id(id) {
        // Each token is another, and nobody is asked for one.
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

/// Makes an error of a panic in a source: those who wait would else ask again, and again.
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

/// How often one request is repeated because the process was suspended during it.
pub(super) const MOST_RESUMES: usize = 3;

/// Whether the process must have stood still during a request: it took longer than its timeouts allow.
///
/// After a stop, a suspension or the restore of a snapshot, an answer may be from before. It is neither believed nor
/// counted as a failure; the request is made anew, over new connections.
pub(super) fn was_suspended(start: &Now, end: &Now, timeout: Duration) -> bool {
    end.since(start) > timeout * 2 + Duration::from_secs(5)
}
