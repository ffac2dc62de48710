//! The commands that rotate and repair secrets. They parse arguments, print results and return an exit status.

mod adopt;
mod arguments;
mod batch;
mod due;
mod next;
mod prepared;
mod recover;
mod report;
mod revoke;
mod rotate;
mod rotated;
mod status;

pub(crate) use adopt::Adopt;
pub(crate) use next::Asked;
pub(crate) use recover::Recover;
pub(crate) use report::note;
pub(crate) use revoke::RevokePrevious;
pub(crate) use rotate::Rotate;
pub(crate) use status::{Status, inspect};

use crate::exit::{Exit, Failure};
use crate::service::Service;

/// Runs a command to completion. A failure of the service names the endpoint or the Region of `service`.
pub(crate) fn run(
    service: &Service,
    command: impl Future<Output = Result<Exit, Failure>>,
) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match command.await {
            Err(failure) => Err(service.explain(failure).await),
            done => done,
        }
    })
}
