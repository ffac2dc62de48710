//! Fuzzes one parser of untrusted input: the one named by the environment variable `PARSER`.
#![no_main]

use std::sync::LazyLock;
use std::{env, panic};

use libfuzzer_sys::fuzz_target;
use secretcache_tests::parsers::{PARSERS, PARSERS_OF_CONVERSATIONS, PARSERS_OF_SOCKETS, is_of_driver};

static PARSER: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let wanted = env::var("PARSER").expect("set PARSER to the name of a parser");
    let mut parsers = PARSERS.into_iter().chain(PARSERS_OF_SOCKETS).chain(PARSERS_OF_CONVERSATIONS);
    parsers.find(|(name, _)| *name == wanted).unwrap_or_else(|| panic!("there is no parser {wanted}")).1
});

fuzz_target!(init: tolerate_drivers(), |data: &[u8]| PARSER(data));

/// The fuzzer ends at every panic. Those of drivers are none of ours: a rotation makes errors of them.
fn tolerate_drivers() {
    let end = panic::take_hook();
    panic::set_hook(Box::new(move |what| {
        if !is_of_driver(what) {
            end(what);
        }
    }));
}
