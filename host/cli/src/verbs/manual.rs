//! `moat completions` and `moat man`: generated from the definition of the arguments.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man as Page;
use clap_mangen::roff::{Roff, bold, roman};
use serde_json::json;

use crate::args::{CompletingShell, Man};
use crate::command::{self, EXAMPLES};
use crate::context::Context;
use crate::failure::{self, Failure};
use crate::{ambient, completion};

/// What the page of the program says of its environment, beside the options that the help has.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("FOSSAWORK_CREDENTIALS_DIR", "The credentials directory."),
    ("FOSSAWORK_MASTER_KEY", "The master key."),
    ("FOSSAWORK_MASTER_KEY_PREVIOUS", "Additional decrypt-only keys, one per line."),
    ("FOSSAWORK_MASTER_KEY_FILE", "A file with the master key."),
    ("FOSSAWORK_KEYRING", "A file with a key ring."),
    ("FOSSAWORK_MASTER_KEY_COMMAND", "A shell command that prints the master key or a key ring."),
    (
        "FOSSAWORK_AUDIT_LOG",
        "The audit log; FOSSAWORK_AUDIT, FOSSAWORK_AUDIT_KEY_FILE, FOSSAWORK_AUDIT_HASH_USERS, FOSSAWORK_AUDIT_MAX_SIZE and FOSSAWORK_AUDIT_MAX_AGE are as the options of these names.",
    ),
    ("FOSSAWORK_REQUIRE_CONFINEMENT", "1: as --require-confinement."),
    ("FOSSAWORK_TIME_ZONE", "As --time-zone."),
    ("CREDENTIALS_DIRECTORY", "Where systemd puts the credential fossawork-master-key."),
    ("VISUAL, EDITOR", "The editor of `moat edit`: a shell command."),
    (
        "XDG_RUNTIME_DIR",
        "Where `moat edit` has its file, if it is in memory and the user's own; otherwise /dev/shm.",
    ),
    ("NO_COLOR", "Anything: no colors."),
];

const FILES: &[(&str, &str)] = &[
    ("~/.local/share/moat/credentials", "The credentials directory, unless another is specified."),
    ("USER.cred", "In it, the credential of a user: mode 0600, replaced whole or not at all."),
    ("moat.json", "In it, how new records are written, and the salt of version 2.0."),
    (".moat.lock, .moat.batch.lock", "In it, empty: locked while something is written."),
    (
        "~/.config/moat/master-key",
        "Where `moat init` puts the master key, unless another file is specified.",
    ),
];

/// The scripts for some shells ask this program; those for others have the commands and options.
pub(crate) fn completions(context: &Context, shell: Shell) -> Result<ExitCode, Failure> {
    let asking = match shell {
        Shell::Bash => Some(CompletingShell::Bash),
        Shell::Fish => Some(CompletingShell::Fish),
        Shell::Zsh => Some(CompletingShell::Zsh),
        _ => None,
    };
    if let Some(shell) = asking {
        context.output.raw(completion::script(shell).as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command::command(), "moat", &mut script);
    context.output.raw(&script)?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn complete(
    context: &Context,
    shell: CompletingShell,
    words: &[OsString],
) -> Result<ExitCode, Failure> {
    context.output.raw(completion::answer(shell, words).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn man(context: &Context, man: &Man) -> Result<ExitCode, Failure> {
    let mut program = command::command();
    program.build();
    if let Some(directory) = &man.out {
        let mut pages = 0;
        write_all(&program, directory, &mut pages)?;
        let text = format!("wrote {pages} pages into {}", directory.display());
        let value = json!({ "path": directory.display().to_string(), "pages": pages });
        context.output.done(&text, &value)?;
        return Ok(ExitCode::SUCCESS);
    }
    let command = man.verb.iter().try_fold(&program, |command, word| {
        command
            .find_subcommand(word)
            .ok_or_else(|| Failure::usage("unknown command", "`moat help` lists the commands"))
    })?;
    context.output.raw(&page(command).map_err(failure::unprintable)?)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the pages of a command and of all below it.
fn write_all(command: &Command, directory: &Path, pages: &mut u32) -> Result<(), Failure> {
    let path = directory.join(format!("{}.1", title(command)));
    ambient::write_file(&path, &page(command).map_err(failure::unprintable)?)
        .map_err(|error| Failure::unwritable(&path, &error))?;
    *pages += 1;
    let below = command.get_subcommands();
    let below = below.filter(|below| below.get_name() != "help" && !below.is_hide_set());
    below.into_iter().try_for_each(|below| write_all(below, directory, pages))
}

/// `moat-keys-add`.
fn title(command: &Command) -> String {
    command.get_bin_name().unwrap_or("moat").replace(' ', "-")
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let is_program = command.get_bin_name() == Some("moat");
    let page = Page::new(command.clone()).title(title(command));
    let mut text = Vec::new();
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    page.render_description_section(&mut text)?;
    page.render_options_section(&mut text)?;
    if command.has_subcommands() {
        page.render_subcommands_section(&mut text)?;
    }
    if is_program {
        definitions(&mut text, "ENVIRONMENT", ENVIRONMENT.iter().copied())?;
        definitions(&mut text, "FILES", FILES.iter().copied())?;
    }
    let examples = EXAMPLES.iter().filter(|(name, _)| is_program || *name == command.get_name());
    let examples: Vec<&str> = examples.flat_map(|(_, examples)| *examples).copied().collect();
    if !examples.is_empty() {
        let mut roff = Roff::new();
        roff.control("SH", ["EXAMPLES"]);
        for example in examples {
            roff.control("PP", []).text([bold(example)]);
        }
        roff.to_writer(&mut text)?;
    }
    if is_program {
        let codes = failure::EXIT_CODES.map(|(code, meaning)| (code.to_string(), meaning));
        definitions(&mut text, "EXIT STATUS", codes)?;
    }
    Ok(text)
}

fn definitions<T: Into<String>>(
    text: &mut impl Write,
    heading: &str,
    terms: impl IntoIterator<Item = (T, &'static str)>,
) -> io::Result<()> {
    let mut roff = Roff::new();
    roff.control("SH", [heading]);
    for (term, meaning) in terms {
        roff.control("TP", []).text([bold(term)]).text([roman(meaning)]);
    }
    roff.to_writer(text)
}
