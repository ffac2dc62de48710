//! The boundaries between the crates, and the rules of the workspace that no other tool enforces.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace crates that each crate may depend on. Every crate must be listed.
const ARROWS: [(&str, &[&str]); 9] = [
    ("secretcache", &[]),
    ("secretcache-rotation", &["secretcache"]),
    ("secretcache-local", &["secretcache-rotation"]),
    ("secretcache-access", &[]),
    ("secretcache-cli", &["secretcache", "secretcache-rotation", "secretcache-local", "secretcache-access"]),
    ("secretcache-python", &["secretcache"]),
    ("secretcache-node", &["secretcache"]),
    ("secretcache-c", &["secretcache"]),
    (
        "secretcache-tests",
        &["secretcache", "secretcache-rotation", "secretcache-local", "secretcache-access"],
    ),
];

/// A file with more lines is about more than one thing.
const MOST_LINES: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").to_path_buf()
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(root()).output();
    let output = output.unwrap_or_else(|error| panic!("{program} is missing: {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Files under version control, and new files that git does not ignore.
fn files() -> Vec<String> {
    let arguments = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
    let files: BTreeSet<_> = output("git", &arguments).split_terminator('\0').map(str::to_owned).collect();
    files.into_iter().filter(|file| root().join(file).is_file()).collect()
}

/// The text files among them, each with its text.
fn texts() -> impl Iterator<Item = (String, String)> {
    files().into_iter().filter_map(|file| {
        let text = fs::read_to_string(root().join(&file)).ok()?;
        Some((file, text))
    })
}

fn is_code(file: &str) -> bool {
    let extension = Path::new(file).extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("rs" | "py" | "pyi" | "js" | "mjs" | "ts" | "c" | "h" | "cc" | "cpp" | "hpp"))
}

#[test]
fn crates_depend_in_one_direction() {
    let metadata = output(env!("CARGO"), &["metadata", "--format-version=1", "--no-deps", "--offline"]);
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    let allowed = BTreeMap::from(ARROWS);
    let packages = metadata["packages"].as_array().unwrap();
    let ours: BTreeSet<_> = packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
    assert!(ours.contains("secretcache"));
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let allowed = allowed.get(name).unwrap_or_else(|| panic!("{name} is not listed in ARROWS"));
        for dependency in package["dependencies"].as_array().unwrap() {
            let on = dependency["name"].as_str().unwrap();
            assert!(!ours.contains(on) || allowed.contains(&on), "{name} may not depend on {on}");
        }
    }
}

/// cargo only warns if a manifest includes a file that does not exist, and packs the crate without it.
#[test]
fn every_file_that_a_published_crate_includes_exists() {
    let metadata = output(env!("CARGO"), &["metadata", "--format-version=1", "--no-deps", "--offline"]);
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let published: Vec<_> = packages.iter().filter(|package| package["publish"].is_null()).collect();
    assert_eq!(published.len(), 5, "secretcache, and its crates for rotation, access, local and cli");
    for package in published {
        let name = package["name"].as_str().unwrap();
        let manifest = Path::new(package["manifest_path"].as_str().unwrap());
        let text = fs::read_to_string(manifest).unwrap();
        let list = text.split_once("\ninclude = [").unwrap_or_else(|| panic!("{name} has no `include`")).1;
        let mut files: Vec<_> = list.split(']').next().unwrap().split('"').skip(1).step_by(2).collect();
        files.push(package["readme"].as_str().unwrap_or_else(|| panic!("{name} has no README.md")));
        for file in files {
            assert!(manifest.with_file_name(file).exists(), "{name} includes {file}, which does not exist");
        }
    }
}

/// tokio's features `signal` and `process` add a pipe and a process-wide `SIGCHLD` handler to every runtime, even in
/// libraries that use neither. A forked child would then read from a descriptor that is no longer its own.
#[test]
fn nothing_is_process_global() {
    let target = "--target=x86_64-unknown-linux-gnu";
    let tree = ["tree", "--workspace", "--offline", target, "--invert=tokio", "--depth=0", "--format={f}"];
    let features = output(env!("CARGO"), &tree);
    let features: Vec<_> = features.lines().next().unwrap_or_default().split(',').collect();
    assert!(features.contains(&"rt-multi-thread"), "{features:?}");
    for feature in ["signal", "process", "full"] {
        assert!(!features.contains(&feature), "tokio is built with the feature {feature}");
    }
}

#[test]
fn files_are_about_one_thing() {
    let long: Vec<_> = texts()
        .filter(|(file, _)| is_code(file) && !is_generated(file))
        .filter_map(|(file, text)| {
            Some((file, text.lines().count())).filter(|(_, lines)| *lines > MOST_LINES)
        })
        .collect();
    assert!(long.is_empty(), "longer than {MOST_LINES} lines: {long:?}");
}

/// Checks whether a tool writes the file, which can then have any length.
fn is_generated(file: &str) -> bool {
    matches!(
        file,
        "bindings-node/index.js"
            | "bindings-node/index.d.ts"
            | "bindings-c/include/secretcache.h"
            | "bindings-c/include/secretcache/ffi.h"
    )
}

#[test]
fn every_rust_file_says_what_it_is_for() {
    let silent: Vec<_> = texts()
        .filter(|(file, text)| {
            let first = text.lines().next().unwrap_or_default();
            file.ends_with(".rs") && !first.starts_with("//! ") && !first.starts_with("#![doc =")
        })
        .map(|(file, _)| file)
        .collect();
    assert!(silent.is_empty(), "no doc comment in the first line: {silent:?}");
}

/// These pages name tests as proof, so the tests must exist.
#[test]
fn the_tests_that_the_documents_name_exist() {
    names_tests("docs/official-functions.md", 30);
    names_tests("docs/security/who-may-decide.md", 15);
}

fn names_tests(file: &str, at_least: usize) {
    let page = fs::read_to_string(root().join(file)).expect(file);
    let code: Vec<_> = texts().collect();
    let mut count = 0;
    for name in page.split('`').filter(|word| word.contains("::")) {
        let (module, test) = name.split_once("::").expect("module::test");
        let is_there = |(path, text): &(String, String)| {
            Path::new(path).file_stem().is_some_and(|stem| stem == module)
                && (text.contains(&format!("fn {test}(")) || text.contains(&format!("def {test}(")))
        };
        assert!(code.iter().any(is_there), "{file}: there is no test {name}");
        count += 1;
    }
    assert!(count >= at_least, "{file} names {count} tests");
}

#[test]
fn libraries_do_not_print() {
    let macros = ["println!", "print!", "eprintln!", "eprint!", "dbg!"];
    // This file names the macros, benchmarks exist to print, and a build script prints to talk to cargo.
    let may = |file: &str| {
        file == "tests/tests/boundaries.rs" || file.starts_with("tests/bench/") || file.ends_with("/build.rs")
    };
    let loud: Vec<_> = texts()
        .filter(|(file, _)| file.ends_with(".rs") && !may(file))
        .flat_map(|(file, text)| {
            let calls = |line: &str| macros.iter().any(|name| calls_macro(line, name));
            let lines = text.lines().enumerate().filter(|(_, line)| calls(line));
            lines.map(|(number, _)| format!("{file}:{}", number + 1)).collect::<Vec<_>>()
        })
        .collect();
    assert!(loud.is_empty(), "lines that print directly: {loud:?}");
}

/// Checks whether a line calls the macro in code, not in a comment (examples in documentation may print) and not as the
/// end of another name.
fn calls_macro(line: &str, name: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    code.match_indices(name).any(|(place, _)| {
        let before = code[..place].chars().next_back();
        before.is_none_or(|before| !before.is_alphanumeric() && before != '_')
    })
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    // Concatenated, so that the test does not find this file.
    let here = root().display().to_string();
    let marks =
        [["/ho", "me/"].concat(), ["/Us", "ers/"].concat(), ["/ro", "ot/"].concat(), format!("{here}/")];
    let found: Vec<_> = texts()
        .flat_map(|(file, text)| {
            let lines = text.lines().enumerate();
            let lines = lines.filter(|(_, line)| marks.iter().any(|mark| begins_a_path(line, mark)));
            lines.map(|(number, line)| format!("{file}:{}: {line}", number + 1)).collect::<Vec<_>>()
        })
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

/// Checks whether a path in the line begins with the mark, outside another path or a URL.
fn begins_a_path(line: &str, mark: &str) -> bool {
    line.match_indices(mark).any(|(place, _)| {
        let before = line[..place].chars().next_back();
        before.is_none_or(|before| {
            !before.is_alphanumeric() && !matches!(before, '.' | '-' | '_' | '/' | '~' | '}')
        })
    })
}

/// Compares the inventory of unsafe code, which reviewers read, with the code.
#[test]
fn unsafe_code_is_listed_and_grows_no_more() {
    const PAGE: &str = "docs/security/unsafe.md";
    let page = fs::read_to_string(root().join(PAGE)).expect(PAGE);
    let mut lines: BTreeMap<String, (usize, &str)> = BTreeMap::new();
    for (file, text) in texts().filter(|(file, _)| file.ends_with(".rs") && file.contains("/src/")) {
        let count = text.lines().filter(|line| says_unsafe(line)).count();
        let (package, _) = file.split_once('/').expect("a folder");
        let limit = page.lines().find_map(|line| line.strip_prefix(&format!("| `{package}` | ")));
        let Some(limit) = limit else { continue };
        assert!(
            count == 0 || page.contains(&format!("`{file}`")),
            "{file} has unsafe code: list it in {PAGE}"
        );
        assert!(
            count > 0 || !page.contains(&format!("`{file}`")),
            "{file} has no unsafe code: take it off {PAGE}"
        );
        let lines = lines.entry(package.to_owned()).or_insert((0, limit));
        lines.0 += count;
    }
    for (package, (lines, limit)) in &lines {
        let limit: usize = limit.trim_end_matches(" |").parse().expect("a number of lines");
        assert_eq!(*lines, limit, "{package}: the lines that say `unsafe`, and those that {PAGE} allows");
    }
    assert_eq!(lines.len(), 8, "the crates that ship, and no others: {lines:?}");
    names_tests(PAGE, 12);
}

/// Checks whether a line has the word `unsafe` in code, not in a comment or in a longer word.
fn says_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    code.split(|sign: char| !sign.is_alphanumeric() && sign != '_' && sign != '-')
        .any(|word| word == "unsafe")
}
