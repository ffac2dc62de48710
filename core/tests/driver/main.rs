//! The native driver with a scripted source: real threads, real time, no network.
#![cfg(feature = "aws")]

mod ending;
mod prefetching;
mod reading;
mod refreshing;
mod script;
