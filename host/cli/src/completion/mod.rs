//! What a shell can put in place of a word that is being typed: commands, options, user ids, ids of keys. Files are left to the
//! shell, which knows how.
//!
//! It takes no key, decrypts nothing, asks nothing and writes nothing, and is silent where it knows nothing.

mod line;
mod sources;

use std::any::TypeId;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::builder::ValueHint;
use clap::{Arg, Command};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, complete};
use moat::UserId;

use crate::args::{CompletingShell, EnvVariable};
use crate::command;
use crate::output::MEMBERS;
use line::Line;
use sources::Sources;

/// Begins a stand-in for values of some kind. No word of a command line has this character.
const STAND_IN: char = '\0';

/// The scripts that ask this program.
pub(super) fn script(shell: CompletingShell) -> &'static str {
    match shell {
        CompletingShell::Bash => include_str!("moat.bash"),
        CompletingShell::Fish => include_str!("moat.fish"),
        CompletingShell::Zsh => include_str!("moat.zsh"),
    }
}

/// The answer for a script: a line for each candidate, with what it means after a tab. A line that begins with a tab asks for
/// files and the like, to be completed after so many characters of the word.
pub(super) fn answer(shell: CompletingShell, words: &[OsString]) -> String {
    let line = match shell {
        CompletingShell::Bash => Line::of_bash(words),
        CompletingShell::Fish | CompletingShell::Zsh => Line::of_words(words),
    };
    let Some(line) = line else { return String::new() };
    candidates(&line).iter().map(|candidate| candidate.line(&line)).collect()
}

enum Candidate {
    Value {
        text: String,
        help: String,
    },
    /// Files, directories or programs, after so many characters of the word.
    Left {
        to_shell: &'static str,
        after: usize,
    },
}

impl Candidate {
    fn line(&self, line: &Line) -> String {
        match self {
            Self::Value { text, help } => {
                let inserted = line.inserted(text);
                if help.is_empty() { inserted + "\n" } else { format!("{inserted}\t{help}\n") }
            }
            Self::Left { to_shell, after } => format!("\t{to_shell}\t{after}\n"),
        }
    }
}

fn candidates(line: &Line) -> Vec<Candidate> {
    let words = line.words();
    let mut definition = prepared(command::command());
    let index = words.len() - 1;
    if let Some(to_shell) = of_program(words) {
        return vec![Candidate::Left { to_shell, after: 0 }];
    }
    let found = complete(&mut definition, words.iter().map(OsString::from).collect(), index, None);
    let is_option = line.current().starts_with('-');
    let mut candidates = Vec::new();
    for candidate in found.unwrap_or_default() {
        let Some(value) = candidate.get_value().to_str() else { continue };
        match value.split_once(STAND_IN) {
            Some((prefix, kind)) => candidates.extend(expanded(line, prefix, kind)),
            // Options are for whom looks for one.
            None if value.starts_with('-') && !is_option => {}
            None => {
                let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
                let help = help.lines().next().unwrap_or_default().to_owned();
                candidates.push(Candidate::Value { text: value.to_owned(), help });
            }
        }
    }
    candidates
}

/// What a stand-in stands for, after this part of the word.
fn expanded(line: &Line, prefix: &str, kind: &str) -> Vec<Candidate> {
    let typed = line.current().strip_prefix(prefix).unwrap_or_default();
    let sources = || Sources::of(line.words());
    let after = |text: &str| prefix.chars().count() + text.chars().count();
    let values: Vec<String> = match kind {
        "users" => sources().users(),
        "keys" => sources().keys(|_| true),
        "keys-in-use" => sources().keys(|is_retired| !is_retired),
        "retired-keys" => sources().keys(|is_retired| is_retired),
        // The names of fields are encrypted.
        "members" => MEMBERS.map(str::to_owned).into(),
        "variable" => return variable(prefix, typed, &sources()),
        // NAME=PATH
        "field-file" => {
            let Some((name, _)) = typed.split_once('=') else { return Vec::new() };
            return vec![Candidate::Left { to_shell: "files", after: after(name) + 1 }];
        }
        "directories" => {
            return vec![Candidate::Left { to_shell: "directories", after: after("") }];
        }
        "programs" => return vec![Candidate::Left { to_shell: "programs", after: after("") }],
        _ => return vec![Candidate::Left { to_shell: "files", after: after("") }],
    };
    matching(prefix, typed, values)
}

fn matching(prefix: &str, typed: &str, values: Vec<String>) -> Vec<Candidate> {
    let matching = values.into_iter().filter(|value| value.starts_with(typed));
    let whole = matching.map(|value| [prefix, &value].concat());
    whole.map(|text| Candidate::Value { text, help: String::new() }).collect()
}

/// VARIABLE=USER:FIELD, part after part.
fn variable(prefix: &str, typed: &str, sources: &Sources) -> Vec<Candidate> {
    let Some((name, value)) = typed.split_once('=') else { return Vec::new() };
    let users = sources.users();
    let before = [prefix, name, "="].concat();
    let values =
        match value.rsplit_once(':').filter(|(user, _)| users.iter().any(|found| found == user)) {
            Some((user, _)) => MEMBERS[..2].iter().map(|field| format!("{user}:{field}")).collect(),
            None => users.into_iter().map(|user| user + ":").collect(),
        };
    matching(&before, value, values)
}

/// What the shell is to complete in the command line of the program that `exec` runs.
fn of_program(words: &[String]) -> Option<&'static str> {
    let (_, before) = words.split_last()?;
    let escape = before.iter().position(|word| word == "--")?;
    let (ours, arguments) = before.split_at(escape);
    let is_first = arguments.len() == 1;
    let to_shell = if is_first { "programs" } else { "files" };
    ours.iter().any(|word| word == "exec").then_some(to_shell)
}

/// The definition of the command line, with stand-ins for values.
fn prepared(command: Command) -> Command {
    let name = command.get_name().to_owned();
    command
        .mut_args(|arg| match stand_in(&name, &arg) {
            Some(kind) => {
                let value = format!("{STAND_IN}{kind}");
                let completer = move |_: &OsStr| vec![CompletionCandidate::new(&value)];
                arg.add(ArgValueCompleter::new(completer))
            }
            None => arg,
        })
        .mut_subcommands(prepared)
}

/// What stands for the values of this argument of this command.
fn stand_in(command: &str, arg: &Arg) -> Option<&'static str> {
    let id = arg.get_id().as_str();
    let of = arg.get_value_parser().type_id();
    match (command, id) {
        // A new one.
        ("copy" | "rename", "new") => return None,
        ("promote" | "retire", "id") => return Some("keys-in-use"),
        ("restore" | "erase", "id") => return Some("retired-keys"),
        ("export", "id") => return Some("keys"),
        ("get", "field") => return Some("members"),
        (_, "field_file") => return Some("field-file"),
        _ if of == TypeId::of::<UserId>() => return Some("users"),
        _ if of == TypeId::of::<EnvVariable>() => return Some("variable"),
        _ => {}
    }
    match arg.get_value_hint() {
        ValueHint::FilePath => Some("files"),
        ValueHint::DirPath => Some("directories"),
        ValueHint::CommandString => Some("programs"),
        _ if of == TypeId::of::<PathBuf>() => Some("files"),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn answers(line: &str) -> Vec<String> {
        let words = [line, " \t\n\"'@><=;|&(:"].map(OsString::from);
        answer(CompletingShell::Bash, &words).lines().map(str::to_owned).collect()
    }

    #[test]
    fn commands_and_options_come_with_their_help() {
        assert_eq!(answers("moat to"), ["touch\tMark a credential as used now"]);
        let all = answers("moat ");
        assert!(
            all.len() > 20 && all.iter().all(|line| line.contains('\t') && !line.starts_with('-'))
        );
        assert!(!all.iter().any(|line| line.starts_with("complete\t")));
        assert!(answers("moat list --lo").iter().any(|line| line.starts_with("--long\t")));
        assert_eq!(answers("moat mark --va"), ["--valid\tThe login succeeded"]);
        assert_eq!(answers("moat keys pro").len(), 1);
        assert_eq!(answers("moat migrate --to 1"), ["1.0\tThe FossaWork application's"]);
    }

    #[test]
    fn files_are_left_to_the_shell() {
        assert_eq!(answers("moat --dir "), ["\tdirectories\t0"]);
        assert_eq!(answers("moat list --dir=x"), ["\tdirectories\t6"]);
        assert_eq!(answers("moat inject --in-file x"), ["\tfiles\t0"]);
        assert_eq!(answers("moat set anna --field-file ca=x"), ["\tfiles\t3"]);
        assert_eq!(answers("moat exec anna -- p"), ["\tprograms\t0"]);
        assert_eq!(answers("moat exec anna -- psql p"), ["\tfiles\t0"]);
    }

    #[test]
    fn the_members_are_those_that_get_prints() {
        assert_eq!(answers("moat get anna --field us"), ["username", "user_id"]);
        assert_eq!(answers("moat exec --env PASSWORD").len(), 0);
    }

    #[test]
    fn what_makes_no_sense_has_no_answer() {
        for words in [&[][..], &["moat get"], &["", ""], &["moat", ""]] {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            assert_eq!(answer(CompletingShell::Bash, &words), "");
        }
        assert_eq!(answer(CompletingShell::Zsh, &[]), "");
        for line in ["moat frobnicate x", "moat keys add --id ", "moat copy a "] {
            assert_eq!(answers(line), [""; 0], "{line}");
        }
    }
}
