//! Checks on the documentation: its links, `make` targets, copied code and table of contents.

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

/// All Markdown files that git tracks.
fn documents() -> Vec<PathBuf> {
    let listed =
        std::process::Command::new("git").args(["ls-files", "*.md"]).current_dir(root()).output().unwrap();
    assert!(listed.status.success(), "git ls-files");
    String::from_utf8(listed.stdout).unwrap().lines().map(|line| root().join(line)).collect()
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
    let block = readme.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    for line in block.lines().filter(|line| !line.is_empty()) {
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
        for rest in text.split("<!-- from ").skip(1) {
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
