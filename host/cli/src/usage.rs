//! Arguments that are wrong: what is wrong with them, what was probably meant, and how the command is used.
//!
//! A misplaced word may be a secret, so no word is repeated that isn't known here.

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::ambient;
use crate::command;
use crate::failure::{self, Failure, USAGE, USER_ID_HINT};

/// Commands of this program, each with what other programs call it.
const SYNONYMS: [(&str, &[&str]); 12] = [
    ("list", &["ls", "users", "find", "search"]),
    ("get", &["show", "cat", "view", "print", "read", "reveal"]),
    ("put", &["insert", "add", "new", "store", "save", "create", "write"]),
    ("set", &["change", "modify", "update", "passwd"]),
    ("delete", &["rm", "remove", "del", "erase"]),
    ("copy", &["cp", "duplicate", "clone"]),
    ("rename", &["mv", "move"]),
    ("exec", &["run", "env"]),
    ("check", &["doctor", "status"]),
    ("import", &["load", "restore"]),
    ("export", &["dump", "backup"]),
    ("rotate", &["rekey", "reencrypt", "re-encrypt"]),
];

/// Prints help and version; turns every other error of clap into a failure.
pub(super) fn report(
    error: &clap::Error,
    words: &[OsString],
    json: bool,
) -> Result<ExitCode, Failure> {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // clap prints these itself, but wouldn't notice that standard output is missing.
            let printed = ambient::standard_output().and_then(|_| error.print());
            failure::printed(printed).map(|()| ExitCode::SUCCESS)
        }
        // The help, on standard error.
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand if !json => {
            let _ = error.print();
            Ok(ExitCode::from(USAGE))
        }
        _ => {
            let wrong = Wrong { error, command: innermost(words) };
            Err(Failure::usage(wrong.message(), wrong.hint()))
        }
    }
}

struct Wrong<'e> {
    error: &'e clap::Error,
    /// The command whose arguments they are.
    command: Command,
}

impl Wrong<'_> {
    fn context(&self, kind: ContextKind) -> Option<String> {
        match self.error.get(kind)? {
            ContextValue::String(text) => Some(text.clone()),
            ContextValue::Strings(texts) => Some(texts.join(", ")),
            _ => None,
        }
    }

    /// The argument that is wrong.
    fn argument(&self) -> Option<String> {
        self.context(ContextKind::InvalidArg)
    }

    fn message(&self) -> String {
        match (self.error.kind(), self.argument()) {
            // Only what looks like an option is quoted; of `-xyz`, clap provides only `-x`. But of a word that isn't UTF-8
            // it provides all, so that is not quoted.
            (ErrorKind::UnknownArgument, Some(word))
                if word.starts_with('-') && !word.contains(char::REPLACEMENT_CHARACTER) =>
            {
                format!("unknown option {}", word.split('=').next().unwrap_or_default())
            }
            (ErrorKind::UnknownArgument, _) => "unexpected argument".to_owned(),
            (ErrorKind::InvalidSubcommand, _) => "unknown command".to_owned(),
            (
                ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand,
                _,
            ) => "missing command".to_owned(),
            (ErrorKind::MissingRequiredArgument, Some(words)) => match one_of(&words) {
                Some(choices) => format!("missing one of {choices}"),
                None => format!("missing {words}"),
            },
            (ErrorKind::ArgumentConflict, Some(word)) => {
                match self.context(ContextKind::PriorArg) {
                    Some(other) if other == word => format!("{word} can't be given twice"),
                    Some(other) => format!("{word} can't be used with {other}"),
                    None => format!("{word} can't be used like this"),
                }
            }
            (ErrorKind::ValueValidation | ErrorKind::InvalidValue, Some(word)) => {
                let reason = std::error::Error::source(self.error).map(ToString::to_string);
                let choices = self.context(ContextKind::ValidValue);
                let one_of = choices.filter(|choices| !choices.is_empty());
                let reason = reason.or(one_of.map(|choices| format!("must be one of {choices}")));
                format!("{word}: {}", reason.as_deref().unwrap_or("missing value"))
            }
            (_, Some(word)) => format!("{word} can't be used like this"),
            (kind, None) => kind.to_string(),
        }
    }

    fn hint(&self) -> String {
        let argument = self.argument();
        let argument = argument.as_deref();
        let kind = self.error.kind();
        let is_unknown = kind == ErrorKind::UnknownArgument;
        if (is_unknown && argument == Some("--password")) || self.is_password_value() {
            return "a password can't be an argument, because other users can see arguments: omit it to be asked for it, or use --password-stdin".to_owned();
        }
        let is_user = argument
            .is_some_and(|word| ["<USER>", "<USER>...", "[USERS]...", "<NEW>"].contains(&word));
        if is_user && kind == ErrorKind::ValueValidation {
            return USER_ID_HINT.to_owned();
        }
        let name = self.name();
        let meant = match kind {
            ErrorKind::InvalidSubcommand => self.meant_command(),
            ErrorKind::UnknownArgument if argument.is_some_and(|word| word.starts_with('-')) => {
                self.context(ContextKind::SuggestedArg)
            }
            ErrorKind::MissingRequiredArgument
                if name == "moat exec"
                    && argument.is_some_and(|words| words.contains("<COMMAND>")) =>
            {
                return "put the program after `--`: moat exec USER -- PROGRAM ARGUMENTS"
                    .to_owned();
            }
            _ => None,
        };
        if let Some(meant) = meant {
            return format!("did you mean `{meant}`?");
        }
        if self.command.has_subcommands() {
            return format!(
                "`{name} help` lists the commands, `{name} COMMAND --help` their options"
            );
        }
        let usage = self.command.clone().render_usage().to_string();
        let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage);
        format!("usage: {usage}; `{name} --help` describes the options")
    }

    /// The command as it is called.
    fn name(&self) -> &str {
        self.command.get_bin_name().unwrap_or("moat")
    }

    /// Whether it is a word after `set --password`, which takes none.
    fn is_password_value(&self) -> bool {
        self.error.kind() == ErrorKind::UnknownArgument
            && self.argument().is_some_and(|word| !word.starts_with('-'))
            && self.command.get_arguments().any(|argument| argument.get_long() == Some("password"))
    }

    /// The command that was probably meant, in full.
    fn meant_command(&self) -> Option<String> {
        let typed = self.context(ContextKind::InvalidSubcommand)?;
        let name = self.name();
        if typed == "version" && name == "moat" {
            return Some("moat --version".to_owned());
        }
        let synonym = SYNONYMS.iter().find(|(_, others)| others.contains(&typed.as_str()));
        let synonym = synonym.filter(|_| name == "moat").map(|(meant, _)| *meant);
        let meant = synonym.or_else(|| self.similar(&typed))?;
        Some(format!("{name} {meant}"))
    }

    /// The command that is spelled almost like this: a third of its letters may be wrong, missing, or swapped.
    fn similar(&self, typed: &str) -> Option<&str> {
        let names = self.command.get_subcommands().map(Command::get_name);
        let distance = |name: &&str| strsim::osa_distance(typed, name);
        names.min_by_key(distance).filter(|name| distance(name) <= name.len() / 3)
    }
}

/// The innermost command that these words name. What an option takes names none.
fn innermost(words: &[OsString]) -> Command {
    let mut command = command::command();
    command.build();
    let mut words = words.iter().skip(1).take_while(|word| *word != "--");
    while let Some(word) = words.next() {
        if let Some(inner) = command.find_subcommand(word) {
            command = inner.clone();
        } else if takes_next(&command, word) {
            words.next();
        }
    }
    command
}

/// Whether this is an option whose value is the next word.
fn takes_next(command: &Command, word: &OsStr) -> bool {
    let Some(name) = word.to_str().and_then(|word| word.strip_prefix('-')) else { return false };
    let long = name.strip_prefix('-');
    let short = name.chars().next().filter(|_| long.is_none() && name.chars().count() == 1);
    let mut options = command.get_arguments();
    options.any(|option| {
        let is_named = long.is_some_and(|long| option.get_long() == Some(long))
            || short.is_some_and(|short| option.get_short() == Some(short));
        is_named && option.get_action().takes_values()
    })
}

/// The choices of a group of arguments, as a list.
fn one_of(words: &str) -> Option<String> {
    let choices = words.strip_prefix("<--")?.strip_suffix('>')?;
    Some(format!("--{}", choices.replace('|', ", ")))
}
