//! Fuzzes one parser of untrusted input: the one named by the environment variable `PARSER`.
#![no_main]

use std::env;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use secretcache_tests::parsers::{PARSERS, PARSERS_OF_SOCKETS};

static PARSER: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let wanted = env::var("PARSER").expect("set PARSER to the name of a parser");
    let mut parsers = PARSERS.into_iter().chain(PARSERS_OF_SOCKETS);
    parsers.find(|(name, _)| *name == wanted).unwrap_or_else(|| panic!("there is no parser {wanted}")).1
});

fuzz_target!(|data: &[u8]| PARSER(data));
