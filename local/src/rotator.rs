//! Who rotates: `driver` runs what is due, by the `functions` that AWS's templates name or by a `lambda` elsewhere.

pub(crate) mod driver;
pub(crate) mod functions;
mod lambda;
mod route;
mod store;
