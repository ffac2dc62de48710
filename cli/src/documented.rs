//! Checks that every command shown in the documentation and in help texts can be parsed.

use std::path::Path;
use std::{fs, mem, process};

use clap::error::ErrorKind::{DisplayHelp, DisplayVersion, MissingRequiredArgument};
use clap::{Command, CommandFactory, Parser};

use crate::Cli;

/// The text of every Markdown file that git tracks.
fn pages() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let listed = process::Command::new("git").args(["ls-files", "*.md"]).current_dir(&root).output().unwrap();
    assert!(listed.status.success(), "git ls-files");
    let names = String::from_utf8(listed.stdout).unwrap();
    names.lines().map(|name| fs::read_to_string(root.join(name)).unwrap()).collect()
}

/// Returns the commands in a page's console blocks, with continued lines joined.
fn shown(text: &str) -> Vec<String> {
    let (mut found, mut within, mut line) = (vec![], false, String::new());
    for next in text.lines().map(str::trim) {
        if next.starts_with("```") {
            within = next.trim_start_matches('`') == "console";
        } else if within && (!line.is_empty() || next.starts_with("$ ")) {
            line += next.trim_start_matches("$ ").trim_end_matches('\\');
            if !next.ends_with('\\') {
                found.push(mem::take(&mut line));
            }
        }
    }
    found
}

/// Returns the examples in the help of a command and its subcommands.
fn examples(command: &Command) -> Vec<String> {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let lines = help.replace("\\\n", " ");
    let own = lines.lines().map(str::trim).filter(|line| line.starts_with("secretcache ")).map(str::to_owned);
    own.chain(command.get_subcommands().flat_map(examples)).collect()
}

/// Returns the parse error of a command line, if it runs `secretcache` and has one.
fn complaint(line: &str) -> Option<String> {
    let words = shlex::split(line).unwrap_or_else(|| panic!("quotes do not match: {line}"));
    let ours = words.iter().position(|word| word == "secretcache")?;
    let before = &words[..ours];
    if !before.iter().all(|word| word.contains('=') || ["sudo", "npx"].contains(&word.as_str())) {
        return None;
    }
    let ends =
        |word: &String| [">", "&", "|", "&&", ";", "2>"].contains(&word.as_str()) || word.starts_with('#');
    let words: Vec<_> = words[ours..].iter().take_while(|word| !ends(word)).collect();
    let attempt = |words: &mut dyn Iterator<Item = &String>, is_whole: bool| match Cli::command()
        .try_get_matches_from(words)
    {
        Ok(_) => Ok(()),
        Err(error) if [DisplayHelp, DisplayVersion].contains(&error.kind()) => Ok(()),
        Err(error) if !is_whole && error.kind() == MissingRequiredArgument => Ok(()),
        Err(error) => Err(error.to_string().lines().next().unwrap_or_default().to_owned()),
    };
    // `…` stands for a value, or for arguments that are shown elsewhere.
    let is_whole = !line.contains('…');
    let as_value = attempt(&mut words.iter().copied(), is_whole);
    let as_rest = || attempt(&mut words.iter().copied().filter(|word| *word != "…"), is_whole);
    let wrong = as_value.or_else(|wrong| if is_whole { Err(wrong) } else { as_rest() }).err()?;
    Some(format!("{line}\n    {wrong}"))
}

/// Returns the examples of `policy`, in help and in the documentation, that are complete.
fn policies() -> Vec<String> {
    let pages = pages();
    let all = pages.iter().flat_map(|text| shown(text)).chain(examples(&Cli::command()));
    all.filter(|line| line.starts_with("secretcache policy ") && !line.contains('…')).collect()
}

#[test]
fn every_policy_that_is_shown_can_be_made() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let own = examples(&Cli::command()).iter().filter(|line| line.starts_with("secretcache policy ")).count();
    assert!(own >= 5 && policies().len() >= own, "an example has a gap, or none are found");
    let mut wrong = Vec::new();
    for line in policies() {
        let words = shlex::split(&line).unwrap();
        let ends = |word: &String| [">", "|", "&&"].contains(&word.as_str());
        let cli = Cli::try_parse_from(words.iter().take_while(|word| !ends(word))).unwrap();
        let crate::Command::Policy(policy) = cli.command else { panic!("{line}") };
        if let Err(failure) = runtime.block_on(policy.wanted()) {
            wrong.push(format!("{line}\n    {failure}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_example_fits_into_a_terminal_so_that_it_is_not_wrapped() {
    fn all(command: &Command) -> Vec<String> {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let own = help.lines().filter(|line| line.starts_with("  ")).map(str::to_owned);
        own.chain(command.get_subcommands().flat_map(all)).collect()
    }
    let wide: Vec<_> = all(&Cli::command()).into_iter().filter(|line| line.chars().count() > 80).collect();
    assert!(wide.is_empty(), "{wide:#?}");
}

#[test]
fn every_command_has_examples_and_exit_statuses() {
    fn lacking(command: &Command, found: &mut Vec<String>) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        if !help.contains("Exit status: ") || !help.contains("Examples:\n") {
            found.push(command.get_name().to_owned());
        }
        // What `generate` can write is explained in its own help.
        let is_parent = command.get_name() != "generate";
        command.get_subcommands().filter(|_| is_parent).for_each(|each| lacking(each, found));
    }
    let mut found = Vec::new();
    Cli::command().get_subcommands().for_each(|each| lacking(each, &mut found));
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn every_command_that_is_shown_is_understood() {
    let pages = pages();
    let of_pages = pages.iter().flat_map(|text| shown(text));
    let mut command = Cli::command();
    command.build();
    let all: Vec<_> =
        of_pages.chain(examples(&command)).filter(|line| line.contains("secretcache ")).collect();
    assert!(all.len() > 60, "only {} are found", all.len());
    let wrong: Vec<_> = all.iter().filter_map(|line| complaint(line)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
