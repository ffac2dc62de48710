//! Parsers of untrusted bytes never panic: each runs on the seeds of the fuzz targets, truncated, changed and mixed.

use std::fs;
use std::panic;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use secretcache_tests::parsers::{
    PARSERS, PARSERS_OF_CONVERSATIONS, PARSERS_OF_SOCKETS, Parser, is_of_driver,
};

fn seeds(parser: &str) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = fs::read_dir(root.join("fuzz/seeds").join(parser))
        .unwrap_or_else(|error| panic!("the seeds of {parser}: {error}"))
        .map(|entry| entry.unwrap().path())
        .collect();
    if parser == "snapshot" {
        files.push(root.join("../access/tests/checks/good.json"));
    }
    files.sort();
    assert!(!files.is_empty(), "{parser} has no seed");
    files.into_iter().map(|file| fs::read(file).unwrap()).collect()
}

#[test]
fn a_strangers_bytes_break_no_parser() {
    PARSERS.into_iter().for_each(|parser| runs(parser, 500, 200));
}

#[test]
fn a_strangers_bytes_break_no_parser_behind_a_socket() {
    static PANICKED: AtomicBool = AtomicBool::new(false);
    // Records panics on every thread, because a server continues after one.
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |what| {
        if !is_of_driver(what) {
            PANICKED.store(true, Ordering::Relaxed);
            report(what);
        }
    }));
    PARSERS_OF_SOCKETS.into_iter().for_each(|parser| runs(parser, 30, 60));
    PARSERS_OF_CONVERSATIONS.into_iter().for_each(|parser| runs(parser, 12, 20));
    assert!(!PANICKED.load(Ordering::Relaxed), "a thread panicked");
}

/// Runs a parser on each seed, on this many beginnings of it, and on this many variations.
fn runs((name, parser): Parser, beginnings: usize, variations: usize) {
    let seeds = seeds(name);
    let mut random = StdRng::seed_from_u64(1);
    for seed in &seeds {
        parser(seed);
        let step = seed.len() / beginnings + 1;
        (0..seed.len()).step_by(step).for_each(|length| parser(&seed[..length]));
        for _ in 0..variations {
            parser(&varied(seed, &seeds, &mut random));
        }
    }
}

/// Returns a seed with some bytes changed or removed, and perhaps with a piece of another in it.
fn varied(seed: &[u8], seeds: &[Vec<u8>], random: &mut StdRng) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..random.random_range(1..4) {
        let at = random.random_range(0..=bytes.len());
        match random.random_range(0..4) {
            0 if at < bytes.len() => bytes[at] = random.random(),
            1 if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..7),
            2 => {
                let until = random.random_range(at..=bytes.len());
                bytes.drain(at..until.min(at + 30));
            }
            _ => {
                let other = &seeds[random.random_range(0..seeds.len())];
                let from = random.random_range(0..=other.len());
                let piece = &other[from..other.len().min(from + 30)];
                bytes.splice(at..at, piece.iter().copied());
            }
        }
    }
    bytes
}
