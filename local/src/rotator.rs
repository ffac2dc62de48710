//! Runs rotations: `driver` starts those that are due, with the built-in `functions` or at a `lambda` endpoint.

pub(crate) mod driver;
pub(crate) mod functions;
mod lambda;
mod route;
mod store;
