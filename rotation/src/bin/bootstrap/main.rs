//! The rotation function for AWS Lambda. Secrets Manager invokes it once for each step.
//!
//! This crate's `README.md` lists its settings. A step that fails returns an error, so that the service counts it as
//! failed and retries the rotation.

use std::process::ExitCode;

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::value::RawValue;

mod function;
mod log;
mod settings;

use function::Function;

/// Zeroes freed memory, because secrets pass through the buffers of HTTP and TLS too.
#[global_allocator]
static ALLOCATOR: secretcache::WipingAllocator = secretcache::WipingAllocator;

fn main() -> ExitCode {
    log::report_panics();
    // Lambda sends one event at a time, so one thread is enough, and starts faster.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return log::fatal("cannot start the async runtime", &error),
    };
    let function = Function::default();
    let serve = service_fn(|event: LambdaEvent<Box<RawValue>>| function.handle(event));
    match runtime.block_on(lambda_runtime::run(serve)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => log::fatal("the Lambda Runtime API cannot be used", error.as_ref()),
    }
}
