//! Checks on the documentation: its links, `make` targets, table of contents and copied code, and which test runs its code.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Lists the Markdown files in a folder and its subfolders.
fn pages(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                pages(&path)
            } else {
                Vec::from_iter(path.extension().is_some_and(|it| it == "md").then_some(path))
            }
        })
        .collect()
}

#[test]
fn every_page_is_in_the_table_of_contents() {
    let docs = root().join("docs");
    let summary = read("docs/SUMMARY.md");
    let listed: BTreeSet<String> =
        summary.split("](").skip(1).map(|rest| rest.split(')').next().unwrap().to_owned()).collect();
    let present: BTreeSet<String> = pages(&docs)
        .iter()
        .map(|page| page.strip_prefix(&docs).unwrap().to_string_lossy().into_owned())
        .filter(|page| page != "SUMMARY.md")
        .collect();
    assert_eq!(listed, present, "docs/SUMMARY.md lists the left, docs/ holds the right");
}

/// A link to a file, or to a heading in a file, has a target. Links to the web are not checked.
#[test]
fn links_between_documents_lead_somewhere() {
    let mut broken = Vec::new();
    for file in documents() {
        let text = without_code(&fs::read_to_string(&file).unwrap());
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { file.clone() } else { file.parent().unwrap().join(path) };
            let is_there = target.exists()
                && (heading.is_empty() || headings(&fs::read_to_string(&target).unwrap()).contains(heading));
            if !is_there {
                broken.push(format!("{}: {link}", file.display()));
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
}

/// Every `make …` that a document names is a target.
#[test]
fn every_make_target_that_is_named_exists() {
    let mut makefiles = read("Makefile");
    for part in fs::read_dir(root().join("make")).unwrap() {
        makefiles += &fs::read_to_string(part.unwrap().path()).unwrap();
    }
    let rules =
        makefiles.lines().filter(|line| !line.starts_with(['\t', ' ', '#', '.'])).filter_map(|line| {
            let (targets, rest) = line.split_once(':')?;
            (!rest.starts_with('=')).then_some(targets)
        });
    let targets: BTreeSet<&str> = rules.flat_map(str::split_whitespace).collect();
    let mut named = 0;
    for file in documents() {
        let text = fs::read_to_string(&file).unwrap();
        for rest in text.split("`make ").skip(1).chain(text.split("$ make ").skip(1)) {
            let words = rest.split(['`', '\n', '#']).next().unwrap_or_default().split_whitespace();
            for word in words.take_while(|word| word.starts_with(|first: char| first.is_ascii_lowercase())) {
                assert!(targets.contains(word), "{}: make {word}", file.display());
                named += 1;
            }
        }
    }
    assert!(named > 50, "only {named} are found");
}

/// All Markdown files that git tracks, and new ones that it does not ignore.
fn documents() -> Vec<PathBuf> {
    let arguments = ["ls-files", "--cached", "--others", "--exclude-standard", "*.md"];
    let listed = std::process::Command::new("git").args(arguments).current_dir(root()).output().unwrap();
    assert!(listed.status.success(), "git ls-files");
    let listed = String::from_utf8(listed.stdout).unwrap();
    let paths: BTreeSet<_> = listed.lines().map(|line| root().join(line)).collect();
    paths.into_iter().filter(|path| path.is_file()).collect()
}

fn without_code(text: &str) -> String {
    text.split("```").step_by(2).flat_map(|part| part.split('`').step_by(2)).collect()
}

/// The anchors of a page's headings, made as mdBook and GitHub make them.
fn headings(text: &str) -> BTreeSet<String> {
    text.split("```")
        .step_by(2)
        .flat_map(str::lines)
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            title
                .chars()
                .filter(|it| it.is_alphanumeric() || " -_".contains(*it))
                .map(|it| if it == ' ' { '-' } else { it })
                .collect()
        })
        .collect()
}

/// The README cannot hide the lines that an example needs to compile. The book can, and its examples are compiled.
#[test]
fn the_rust_of_the_readme_is_compiled_in_the_book() {
    let book = read("docs/getting-started/rust.md");
    let readme = read("README.md");
    let shown = blocks(&readme).into_iter().filter(|(language, _)| *language == "rust").map(|(_, code)| code);
    for line in shown.collect::<String>().lines().filter(|line| !line.is_empty()) {
        assert!(book.contains(line), "docs/getting-started/rust.md lacks this line of the README: {line}");
    }
}

/// GitHub shows the pages too and cannot include files, so pages contain copies. A code block after
/// `<!-- from FILE -->` is that file, without the comment at the top of a Rust module.
#[test]
fn code_that_comes_from_a_file_is_that_file() {
    let mut compared = 0;
    for file in documents() {
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains("{{#"), "{}: GitHub does not include files", file.display());
        for rest in text.split("\n<!-- from ").skip(1) {
            let (path, rest) = rest.split_once(" -->\n```").unwrap();
            let (_, code) = rest.split_once('\n').unwrap();
            let source = read(path);
            let source = if path.ends_with(".rs") { source.split_once("\n\n").unwrap().1 } else { &source };
            assert_eq!(code.split("```").next(), Some(source), "{}: copy {path} into it", file.display());
            compared += 1;
        }
    }
    assert!(compared > 5, "only {compared} are found");
}

/// Who runs the code: languages, the pages whose paths begin so (`!` leaves one out), and a test that runs every block of
/// these languages on these pages, or fails if there is a new one.
const RUN: [(&str, &str, &str); 10] = [
    // Parses every command of ours. `make` is tested above.
    ("console", "", "cli/src/documented.rs"),
    (
        "python",
        "README.md bindings-python/ docs/ !docs/local-endpoint.md",
        "tests/connected/test_documentation.py",
    ),
    ("py ini", "docs/staying-connected.md", "tests/connected/test_airflow.py"),
    (
        "js",
        "README.md bindings-node/ docs/ !docs/local-endpoint.md",
        "bindings-node/test/documentation.test.mjs",
    ),
    ("c cpp cmake lua", "README.md bindings-c/README.md docs/", "bindings-c/tests/test_documentation.py"),
    ("rust", "README.md", "tests/tests/documentation.rs"),
    ("toml yaml", "docs/command-line.md", "tests/rotation/test_documentation.py"),
    ("json", "docs/local-endpoint.md docs/local-errors.md", "tests/local/test_documentation.py"),
    ("hcl", "deploy/README.md", "tests/access/test_template.py"),
    (
        "rust",
        "access/README.md core/README.md docs/getting-started/rust.md docs/security/memory.md",
        "tests/src/documentation.rs",
    ),
];

/// Tests that run one block: the page, a text that only this block has, and a test that names both.
const PICKED: [(&str, &str, &str); 12] = [
    ("docs/targets-by-http.md", "# acme.toml", "tests/rotation/test_described.py"),
    ("docs/targets-by-http.md", "# ledger.toml", "tests/rotation/test_described.py"),
    ("docs/targets-by-http.md", "# rabbitmq.toml", "tests/rotation/test_rabbitmq.py"),
    ("docs/targets-by-statements.md", "# warehouse.toml", "tests/rotation/test_described.py"),
    ("docs/targets-by-statements.md", "# turns.toml", "tests/rotation/test_described.py"),
    ("docs/targets-ldap.md", "# directory.toml", "tests/rotation/test_ldap.py"),
    ("docs/local-endpoint.md", "[[secrets]]", "tests/local/test_documentation.py"),
    ("docs/local-endpoint.md", "secretcache_local_options", "tests/local/test_documentation.py"),
    ("docs/local-endpoint.md", "test_the_service", "tests/local/test_documentation.py"),
    ("docs/local-endpoint.md", "with LocalEndpoint(", "tests/local/test_documentation.py"),
    ("docs/local-endpoint.md", "steps:", "tests/local/test_documentation.py"),
    ("docs/local-endpoint.md", "secretcacheLocal(", "bindings-node/test/documentation.test.mjs"),
];

/// Blocks that no test runs: the page, a text that only this block has, and the reason.
const NOT_RUN: [(&str, &str, &str); 2] = [
    ("docs/local-endpoint.md", "DockerContainer(", "needs a container engine"),
    ("docs/local-endpoint.md", "GenericContainer(", "needs a container engine"),
];

/// Output, and Rust in a crate's own page, which rustdoc compiles, have no language.
const NOT_CODE: [&str; 2] = ["", "text"];

#[test]
fn every_block_of_code_is_run_by_a_test_or_has_a_reason_not_to_be() {
    let mut missed = Vec::new();
    let mut counts = [0; RUN.len() + PICKED.len() + NOT_RUN.len()];
    for file in documents() {
        let page = file.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        for (language, code) in blocks(&fs::read_to_string(&file).unwrap()) {
            let is_run = |(languages, pages, _): &(&str, &str, &str)| {
                languages.split(' ').any(|it| it == language) && begins(&page, pages)
            };
            let is_picked = |(on, text, _): &(&str, &str, &str)| *on == page && code.contains(text);
            let claims = RUN.iter().map(is_run).chain(PICKED.iter().chain(&NOT_RUN).map(is_picked));
            let mut is_claimed = NOT_CODE.contains(&language);
            for (count, claim) in counts.iter_mut().zip(claims) {
                *count += usize::from(claim);
                is_claimed |= claim;
            }
            if !is_claimed {
                missed.push(format!("{page}, {language}: {}", code.lines().next().unwrap_or_default()));
            }
        }
    }
    assert!(missed.is_empty(), "run these blocks in a test, and name it here:\n{}", missed.join("\n"));
    let (run, single) = counts.split_at(RUN.len());
    for ((languages, pages, test), count) in RUN.iter().zip(run) {
        assert!(*count > 0 && root().join(test).is_file(), "{languages} on {pages}: {test}");
    }
    for ((page, text, _), count) in PICKED.iter().chain(&NOT_RUN).zip(single) {
        assert_eq!(*count, 1, "blocks of {page} with {text}");
    }
    for (page, text, test) in PICKED {
        let code = read(test);
        let is_named = |it: &str| code.contains(it);
        assert!(is_named(page.rsplit('/').next().unwrap()), "{test} does not name {page}");
        assert!(is_named(text.trim_start_matches("# ")), "{test} does not name {text}");
    }
}

fn begins(page: &str, pages: &str) -> bool {
    let (without, with): (Vec<_>, Vec<_>) = pages.split(' ').partition(|it| it.starts_with('!'));
    with.iter().any(|it| page.starts_with(it)) && !without.iter().any(|it| it[1..] == *page)
}

/// The code blocks of a page, each with its language. Copies of files are left out: a test above compares them.
fn blocks(text: &str) -> Vec<(&str, String)> {
    let (mut found, mut open, mut before) = (Vec::new(), None, "");
    for line in text.lines() {
        let fence = line.trim_start().strip_prefix("```");
        match (&mut open, fence) {
            (None, Some(info)) => {
                let language = info.split([',', ' ']).next().unwrap_or_default();
                open = Some((language, before.starts_with("<!-- from "), String::new()));
            }
            (Some((language, is_copy, code)), Some(_)) => {
                if !*is_copy {
                    found.push((*language, std::mem::take(code)));
                }
                open = None;
            }
            (Some((_, _, code)), None) => *code += &format!("{line}\n"),
            (None, None) => {}
        }
        before = line;
    }
    assert!(open.is_none(), "a block is not closed");
    found
}
