//! Man pages, one per command.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use clap::{Arg, ArgAction, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::is_documented;

/// Writes the page of a command and those of its subcommands to a folder.
pub(super) fn write_pages(command: Command, folder: &Path) -> io::Result<()> {
    // Pages refer to each other; `help` has none.
    let mut command = command.disable_help_subcommand(true);
    command.build();
    write_page(&command, folder)
}

fn write_page(command: &Command, folder: &Path) -> io::Result<()> {
    command
        .get_subcommands()
        .filter(|each| is_documented(each))
        .try_for_each(|each| write_page(each, folder))?;
    let page = Man::new(command.clone());
    let mut file = File::create(folder.join(page.get_filename()))?;
    file.write_all(&text(command, &page)?)?;
    file.flush()
}

/// The sections that `clap_mangen` renders well, and our own where it does not.
fn text(command: &Command, page: &Man) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    synopsis(command).to_writer(&mut text)?;
    page.render_description_section(&mut text)?;
    page.render_options_section(&mut text)?;
    if command.get_subcommands().any(is_documented) {
        page.render_subcommands_section(&mut text)?;
    }
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    after(&help).to_writer(&mut text)?;
    if command.get_version().is_some() {
        page.render_version_section(&mut text)?;
    }
    Ok(text)
}

/// The command with its options, the names of their values, and its arguments.
fn synopsis(command: &Command) -> Roff {
    let mut roff = Roff::default();
    // From here on, words stay as they are, so that they can be copied.
    roff.control("nh", []);
    roff.control("ad", ["l"]);
    roff.control("SH", ["SYNOPSIS"]);
    roff.text([bold(command.get_bin_name().unwrap_or(command.get_name()))]);
    let is_usual = |arg: &Arg| arg.is_hide_set() || ["help", "version"].contains(&arg.get_id().as_str());
    let shown = || command.get_arguments().filter(|arg| !is_usual(arg));
    for arg in shown().filter(|arg| !arg.is_positional()).chain(shown().filter(|arg| arg.is_positional())) {
        roff.text(argument(arg));
    }
    if command.get_subcommands().any(is_documented) {
        let is_required = command.is_subcommand_required_set();
        let (open, close) = if is_required { ("", "") } else { ("[", "]") };
        roff.text([roman(open), italic("COMMAND"), roman(close)]);
    }
    roff
}

fn argument(arg: &Arg) -> Vec<Inline> {
    let is_many = matches!(arg.get_action(), ArgAction::Append | ArgAction::Count);
    let values = arg.get_value_names().unwrap_or_default().join(NO_BREAK);
    let is_valued = arg.get_action().takes_values();
    let is_optional = arg.get_num_args().is_some_and(|range| range.min_values() == 0);
    let (open, close) = if arg.is_required_set() { ("", "") } else { ("[", "]") };
    let mut parts = vec![roman(open)];
    if let Some(long) = arg.get_long() {
        parts.push(bold(format!("--{long}")));
    } else if let Some(short) = arg.get_short() {
        parts.push(bold(format!("-{short}")));
    }
    match (arg.is_positional(), is_valued, is_optional) {
        (true, ..) => parts.push(italic(values)),
        (_, true, true) => parts.extend([roman(format!("{NO_BREAK}[")), italic(values), roman("]")]),
        (_, true, false) => parts.extend([roman(NO_BREAK), italic(values)]),
        _ => {}
    }
    parts.push(roman(close));
    if is_many {
        parts.push(roman("..."));
    }
    parts
}

const NO_BREAK: &str = "\u{a0}";

/// The text after the options: a section for the examples, one for the exit status, and one for the rest.
fn after(help: &str) -> Roff {
    let mut roff = Roff::default();
    let mut section = "";
    for paragraph in help.split("\n\n").filter(|paragraph| !paragraph.is_empty()) {
        let (title, text) = match paragraph {
            it if it.starts_with("Exit status: ") => ("EXIT STATUS", it.trim_start_matches("Exit status: ")),
            it => ("EXAMPLES", it.trim_start_matches("Examples:\n")),
        };
        if section != title {
            roff.control("SH", [title]);
        } else {
            roff.control("PP", []);
        }
        section = title;
        // Commands are to be copied as they are, and every one ends where its line ends.
        let is_verbatim = text.lines().any(|line| line.starts_with("  "));
        if is_verbatim {
            roff.control("nf", []);
        }
        for line in text.lines() {
            roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
        }
        if is_verbatim {
            roff.control("fi", []);
        }
    }
    roff
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::Cli;

    fn page(name: &str) -> String {
        let mut command = Cli::command();
        command.build();
        let command = command.find_subcommand(name).unwrap();
        String::from_utf8(text(command, &Man::new(command.clone())).unwrap()).unwrap()
    }

    #[test]
    fn examples_are_as_in_the_help() {
        let page = page("rotate");
        let examples = page.split(".SH EXAMPLES\n.nf\n").nth(1).unwrap().split(".fi\n").next().unwrap();
        assert!(examples.starts_with("secretcache rotate prod/checkout/db \\-\\-dry\\-run\n"), "{examples}");
        assert!(page.contains(".SH \"EXIT STATUS\"\n0 done"), "{page}");
        assert!(!page.contains("EXTRA"));
    }

    #[test]
    fn a_synopsis_names_the_values() {
        let page = page("get");
        let synopsis = page.split(".SH DESCRIPTION").next().unwrap();
        assert!(synopsis.contains("\\fB\\-\\-field\\fR\u{a0}\\fIFIELD\\fR"), "{synopsis}");
        assert!(synopsis.contains("\n\\fIID\\fR\n"), "{synopsis}");
    }
}
