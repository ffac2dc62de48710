//! One of the parsers of a stranger's bytes: the one that the variable `PARSER` names.
#![no_main]

use std::env;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use secretcache_tests::parsers::{PARSERS, PARSERS_OF_SOCKETS};

static PARSER: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let wanted = env::var("PARSER").expect("PARSER names a parser");
    let mut parsers = PARSERS.into_iter().chain(PARSERS_OF_SOCKETS);
    parsers.find(|(name, _)| *name == wanted).unwrap_or_else(|| panic!("there is no parser {wanted}")).1
});

fuzz_target!(|data: &[u8]| PARSER(data));
