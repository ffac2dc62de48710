//! Runs a command for many secrets.

use secretcache_rotation::AwsStore;
use serde::Serialize;

use super::next::Asked;
use super::report::{note, print};
use crate::exit::{Exit, Failure};
use crate::service::Service;

/// Runs `one` for every secret whose name starts with `prefix`, and prints all results together. `one` returns an exit
/// status, lines for people, and the result itself. A failure is reported, and the other secrets still run.
pub(crate) async fn each<T: Serialize>(
    store: &AwsStore,
    service: &Service,
    prefix: &str,
    json: bool,
    one: impl AsyncFn(&str) -> Result<(Exit, String, T), Failure>,
) -> Result<Exit, Failure> {
    let (mut all, mut text, mut worst) = (Vec::new(), String::new(), Exit::Done);
    let asked = Asked::of_process();
    for name in store.names(prefix).await? {
        match one(&name).await {
            Ok((exit, lines, result)) => {
                worst = worst.worse(exit);
                text += &lines;
                all.push(serde_json::to_value(result).map_err(std::io::Error::from)?);
            }
            Err(failure) => {
                let failure = service.explain(failure).await;
                worst = worst.worse(Exit::Partly);
                note(&format!("{name}: {failure}"));
                let mut result = asked.json(&failure);
                result["SecretId"] = name.into();
                all.push(result);
            }
        }
    }
    if all.is_empty() && worst == Exit::Done {
        note(&format!("no secret's name starts with {prefix:?}"));
    }
    print(json, &all, &text)?;
    Ok(worst)
}
