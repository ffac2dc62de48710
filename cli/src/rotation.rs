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

/// Runs a command to completion.
pub(crate) fn run(command: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(command)
}
