//! Which editor, and how to keep it from leaving copies of what it edits.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::ambient::{self, draft::Draft};
use crate::failure::Failure;

/// Where the user says which editor.
const VARIABLES: [&str; 2] = ["VISUAL", "EDITOR"];

/// The editor that every system has.
const DEFAULT: &str = "vi";

/// What makes editors write nothing but the file: what the name of the program begins with, and its options. Vim's are
/// commands too, because they come after the user's own settings.
const OPTIONS: &[(&str, &[&str])] = &[
    ("vim", VIM),
    ("nvim", VIM),
    ("nano", &["--restricted"]),
    (
        "emacs",
        &["--eval", "(setq make-backup-files nil auto-save-default nil create-lockfiles nil)"],
    ),
];

const VIM: &[&str] =
    &["-n", "-i", "NONE", "-c", "set nobackup nowritebackup noundofile noswapfile"];

/// An editor: a shell command, to which options and a file are added.
pub(super) struct Editor {
    command: OsString,
    options: &'static [&'static str],
}

impl Editor {
    /// That of the environment.
    pub(super) fn choose() -> Self {
        let named = VARIABLES.iter().filter_map(|name| ambient::variable(name));
        let named = named.map(|value| OsString::from_vec(value.to_vec()));
        let is_blank = |command: &OsString| command.as_bytes().trim_ascii().is_empty();
        let command = named.into_iter().find(|command| !is_blank(command));
        let command = command.unwrap_or_else(|| DEFAULT.into());
        Self { options: options(&command), command }
    }

    /// Runs it until it has ended. What it says is wrong leaves everything as it is.
    pub(super) fn run(&self, draft: &Draft) -> Result<(), Failure> {
        let shown = self.command.display();
        let status = draft.edit(&self.command, self.options).map_err(|error| {
            Failure::other(
                format!("running the editor {shown}: {error}"),
                "nothing was changed; check that /bin/sh can be run",
            )
        })?;
        match status.code() {
            Some(0) => Ok(()),
            Some(126 | 127) => Err(Failure::other(
                format!("the editor {shown} can't be run"),
                "nothing was changed; set VISUAL or EDITOR to an editor that is installed, as in: EDITOR=nano moat edit USER",
            )),
            _ => Err(Failure::other(
                format!("the editor {shown} failed with {status}"),
                "nothing was changed; run this again, and let the editor end without an error",
            )),
        }
    }
}

/// The options for what this command runs.
fn options(command: &OsStr) -> &'static [&'static str] {
    let mut words =
        command.as_bytes().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let Some(program) = words.next().map(OsStr::from_bytes) else { return &[] };
    let Some(file) = ambient::draft::program_file(program) else { return &[] };
    // Its client has the options of a server, which is running already.
    let is_client = file.as_bytes().starts_with(b"emacsclient");
    let found = OPTIONS.iter().find(|(name, _)| file.as_bytes().starts_with(name.as_bytes()));
    found.filter(|_| !is_client).map_or(&[], |(_, options)| options)
}
