//! The cache as a state machine, driven by hand: every moment and every answer is given, nothing waits.

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
mod telling;
mod timeline;
mod tokens;
mod versions;
