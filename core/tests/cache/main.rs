//! The cache as a state machine, driven step by step: tests provide every moment and every answer, and nothing waits.

mod ages;
mod aliases;
mod attempts;
mod canary;
mod changes;
mod clocks;
mod eviction;
mod expecting;
mod failures;
mod flight;
mod forced;
mod interleaved;
mod life;
mod model;
mod overload;
mod reporting;
mod timeline;
mod tokens;
mod versions;
