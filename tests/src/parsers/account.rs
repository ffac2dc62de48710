//! What AWS's services say about an account: IAM, STS, EC2, RDS and CloudWatch in XML, the others in JSON, and in it
//! CloudTrail's records.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use jiff::Timestamp;
use secretcache::Credentials;
use secretcache::host::Options;
use secretcache_access::Snapshot;
use secretcache_access::collect::{self, CollectError, Collected, Selection};
use tokio::runtime::Runtime;

use super::service;

/// The answers that the services have left, each with the name of its operation.
type Answers = Arc<Mutex<Vec<(String, Vec<u8>)>>>;
type Collect = Box<dyn Fn() -> Result<Collected, CollectError> + Send + Sync>;

/// The answers of AWS's services to a collection, separated by lines with `--`. The first line of each has the name of
/// its operation. A second call of the operation gets its second answer; without one, it is refused.
pub(super) fn account(bytes: &[u8]) {
    static COLLECT: LazyLock<(Answers, Collect)> = LazyLock::new(|| {
        let answers = Answers::default();
        (Arc::clone(&answers), collector(answers))
    });
    let (answers, collect) = &*COLLECT;
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let parts = lines.split(|line| line == b"--").filter_map(|part| part.split_first());
    let parts = parts.map(|(name, body)| (String::from_utf8_lossy(name).into_owned(), body.join(&b'\n')));
    *answers.lock().unwrap_or_else(PoisonError::into_inner) = parts.collect();
    if let Ok(Collected { snapshot, .. }) = collect() {
        Snapshot::parse(&snapshot.to_json()).expect("what was written");
    }
}

fn collector(answers: Answers) -> Collect {
    let url = service::start(move |request| next(&answers, request));
    let runtime = Runtime::new().expect("threads");
    let mut options = Options::default();
    options.region = Some("eu-central-1".to_owned());
    options.credentials = Some(Credentials::new("AKIAIOSFODNN7EXAMPLE", "key", None));
    let config = runtime.block_on(options.sdk_config()).expect("a configuration");
    let connector = runtime.block_on(options.http_connector()).expect("a connector");
    let options = collect::Options {
        selection: Selection::All,
        now: Timestamp::from_second(1_700_000_000).expect("a time"),
        look_back: Some(30),
        from_inside: false,
        allowed_regions: Vec::new(),
        endpoint_url: Some(url),
    };
    Box::new(move || runtime.block_on(collect::collect(&config, connector.clone(), &options, &|_, _, _| {})))
}

/// Returns the next answer to a request. Failures that pass are not played: they are repeated, which is slow and parses
/// the same.
fn next(answers: &Answers, request: &str) -> (u16, Vec<u8>) {
    // Lambda's operations are identified by their paths.
    let name = match request.trim_start_matches("GET ").split_once("/functions") {
        Some((_, rest)) if rest.contains("/policy") => "GetPolicy",
        Some(_) => "ListFunctions",
        None => request,
    };
    let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
    match answers.iter().position(|(known, _)| known.split(' ').next() == Some(name)) {
        Some(place) => {
            let (known, body) = answers.remove(place);
            (if known.contains(' ') { 400 } else { 200 }, body)
        }
        None => (400, br#"{"__type":"AccessDeniedException","Message":"no permission"}"#.to_vec()),
    }
}
