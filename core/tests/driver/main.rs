//! The native driver with a source whose every answer is scripted: real threads, real time, no network.
#![cfg(feature = "aws")]

mod ending;
mod prefetching;
mod reading;
mod refreshing;
mod script;
