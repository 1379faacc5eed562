//! Failures as the user meets them: an exit code, what is wrong, and the way out.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use moat::{Error, ErrorCode, KeyMismatch};
use serde_json::json;

use super::output;

/// Done.
const DONE: u8 = 0;
/// A failure without a code of its own.
const OTHER: u8 = 1;
const USAGE: u8 = 2;
/// `verify` found a record that doesn't open.
pub(super) const NOT_DECRYPTED: u8 = 5;
/// `migrate` found a record that it couldn't migrate.
pub(super) const NEEDS_MIGRATION: u8 = 7;

/// The audit log can't be used, or isn't as it was written.
pub(super) const AUDIT: u8 = 10;

/// A failure of the program.
#[derive(Debug)]
pub(super) struct Failure {
    exit: u8,
    code: &'static str,
    message: String,
    hint: String,
}

impl Failure {
    /// The arguments can't be followed.
    pub(super) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { exit: USAGE, code: "usage", message: message.into(), hint: hint.into() }
    }

    /// The master key is missing or can't be used.
    pub(super) fn master_key(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            exit: exit_code(ErrorCode::MasterKeyMissing),
            code: ErrorCode::MasterKeyMissing.name(),
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// What is asked for would lose something that is still needed.
    pub(super) fn in_use(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            exit: exit_code(ErrorCode::Conflict),
            code: "in-use",
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// The audit log can't be used.
    pub(super) fn audit(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            exit: AUDIT,
            code: ErrorCode::Audit.name(),
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// Anything else.
    pub(super) fn other(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { exit: OTHER, code: "other", message: message.into(), hint: hint.into() }
    }

    /// A program that couldn't be run: 127 when there is none, else 126, as shells have it.
    pub(super) fn program(program: &str, error: &io::Error) -> Self {
        let missing = error.kind() == io::ErrorKind::NotFound;
        Self {
            exit: if missing { 127 } else { 126 },
            ..Self::other(format!("running {program}: {error}"), "check the command after `--`")
        }
    }

    /// A failure of the vault over this directory.
    pub(super) fn in_directory(error: &Error, path: &Path) -> Self {
        Self {
            exit: exit_code(error.code()),
            code: error.code().name(),
            message: error.to_string(),
            hint: hint(error, path),
        }
    }

    /// The system gives no thread.
    pub(super) fn no_thread(error: &io::Error) -> Self {
        Self::other(format!("starting a thread: {error}"), THREADS_HINT)
    }

    /// The process could not be confined, on a kernel that has what it takes.
    pub(super) fn confinement(error: &dyn std::error::Error) -> Self {
        Self::other(
            format!("the process can't confine itself: {error}"),
            "run this again; `moat component` shows what is in force",
        )
    }

    /// What is wrong, and the way out.
    pub(super) fn text(&self) -> (&str, &str) {
        (&self.message, &self.hint)
    }

    /// Says it, and gives the exit code.
    pub(super) fn report(self, json: bool) -> ExitCode {
        let message = output::printable(&self.message);
        let hint = output::printable(&self.hint);
        let mut stderr = anstream::stderr().lock();
        // With standard error gone, the exit code is all that is left to say.
        let _ = if json {
            let error = json!({ "code": self.code, "message": message, "hint": hint });
            writeln!(stderr, "{}", json!({ "error": error }))
        } else {
            let (red, bold) = (output::RED, output::BOLD);
            writeln!(stderr, "{red}error:{red:#} {message}\n{bold}hint:{bold:#} {hint}")
        };
        ExitCode::from(self.exit)
    }
}

fn exit_code(code: ErrorCode) -> u8 {
    match code {
        ErrorCode::InvalidUserId | ErrorCode::InvalidCredential => USAGE,
        ErrorCode::NotFound => 3,
        ErrorCode::MasterKeyMissing | ErrorCode::MasterKeyRefused => 4,
        ErrorCode::WrongKeyOrTampered => NOT_DECRYPTED,
        ErrorCode::Malformed | ErrorCode::UnsupportedVersion | ErrorCode::TooLarge => 6,
        ErrorCode::NeedsMigration => NEEDS_MIGRATION,
        ErrorCode::Conflict | ErrorCode::Locked => 8,
        ErrorCode::Directory => 9,
        ErrorCode::Audit => AUDIT,
        ErrorCode::Sandbox | ErrorCode::Denied => 11,
        _ => OTHER,
    }
}

fn hint(error: &Error, path: &Path) -> String {
    let path = path.display();
    match error.code() {
        ErrorCode::NotFound => format!("`moat list` shows whose credentials are in {path}"),
        ErrorCode::InvalidUserId => USER_ID_HINT.to_owned(),
        ErrorCode::InvalidCredential => "give each --field another name of its own".to_owned(),
        ErrorCode::MasterKeyMissing => {
            "set FOSSAWORK_MASTER_KEY or give --master-key-file PATH; `moat keygen` makes a new key".to_owned()
        }
        ErrorCode::MasterKeyRefused => {
            "make a key with `moat keygen`; this one still opens what is under it".to_owned()
        }
        ErrorCode::WrongKeyOrTampered
            if std::error::Error::source(error).is_some_and(|source| source.is::<KeyMismatch>()) =>
        {
            format!(
                "give the master key that the records in {path} are encrypted with; if this one is to be used beside it, say so with --allow-new-key"
            )
        }
        ErrorCode::WrongKeyOrTampered => {
            format!("give the master key that {path} was written with; nothing was changed")
        }
        ErrorCode::Malformed => format!(
            "nothing was changed; restore the file in {path} from a backup, or remove it with `moat delete USER`"
        ),
        ErrorCode::UnsupportedVersion => {
            "nothing was changed; a newer moat may know this version".to_owned()
        }
        ErrorCode::NeedsMigration => {
            "`moat migrate --dry-run` shows what `moat migrate` would encrypt; or store it anew with `moat put USER`".to_owned()
        }
        ErrorCode::Conflict => "look at what is there with `moat get USER`, then run this again".to_owned(),
        ErrorCode::Locked => "wait for the other process, or longer with --lock-wait SECONDS".to_owned(),
        ErrorCode::TooLarge => "store less in one credential: a record has at most 65536 bytes".to_owned(),
        ErrorCode::Audit => audit_hint(error),
        ErrorCode::Sandbox if error.io_kind() == Some(io::ErrorKind::WouldBlock) => {
            THREADS_HINT.to_owned()
        }
        ErrorCode::Directory => directory_hint(error, &path.to_string()),
        _ => "compare the digest of `moat component` with the release's; please report this".to_owned(),
    }
}

fn directory_hint(error: &Error, path: &str) -> String {
    match error.io_kind() {
        Some(io::ErrorKind::NotFound) => {
            "check --dir and FOSSAWORK_CREDENTIALS_DIR; `moat put` makes the directory".to_owned()
        }
        Some(
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge,
        ) => {
            format!("make room on the disk of {path} and run this again; the old record is whole")
        }
        Some(io::ErrorKind::ReadOnlyFilesystem) => format!("{path} is mounted read-only"),
        Some(io::ErrorKind::PermissionDenied) => format!(
            "{path} has to belong to the user who runs this, with mode 0700 (ls -ld, chown, chmod)"
        ),
        _ => format!(
            "check the disk of {path}; the record there is whole, the old one or the new one"
        ),
    }
}

fn audit_hint(error: &Error) -> String {
    let way_out = match error.io_kind() {
        Some(
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge,
        ) => "make room on the disk of the audit log",
        Some(io::ErrorKind::PermissionDenied) => {
            "the audit log has to belong to the user who runs this, with mode 0600 (ls -l, chown, chmod)"
        }
        Some(io::ErrorKind::InvalidData) => "set the file aside (mv) and keep it",
        _ => "`moat check` tells what is wrong with the audit log",
    };
    format!("{way_out}, and run this again; --audit=best-effort goes on without it")
}

pub(super) const THREADS_HINT: &str = "allow this user or container more processes and threads (ulimit -u, the pids limit), then run this again";

const USER_ID_HINT: &str = "a user id is one plain file name: at most 250 bytes, no leading dot, no `/`, no control characters";

/// Prints help and version; makes a failure of everything else that clap refuses.
pub(super) fn from_clap(error: &clap::Error) -> Result<ExitCode, Failure> {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            return match error.print() {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                    Err(Failure::other(format!("printing: {error}"), "check standard output"))
                }
                _ => Ok(ExitCode::from(DONE)),
            };
        }
        _ => {}
    }
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
        _ => None,
    };
    let argument = context(ContextKind::InvalidArg);
    let message = match (error.kind(), &argument) {
        // What stands in a wrong place may be a secret; only what looks like an option is repeated, of `-xyz` just `-x`.
        // But clap gives the whole of a word that is not UTF-8.
        (ErrorKind::UnknownArgument, Some(word))
            if word.starts_with('-') && !word.contains(char::REPLACEMENT_CHARACTER) =>
        {
            format!("there is no option {}", word.split('=').next().unwrap_or_default())
        }
        (ErrorKind::UnknownArgument, _) => "there is one argument too many".to_owned(),
        (ErrorKind::InvalidSubcommand, _) => "there is no such verb".to_owned(),
        (ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand, _) => {
            "no verb is given".to_owned()
        }
        (ErrorKind::MissingRequiredArgument, Some(words)) => format!("{words} is missing"),
        (ErrorKind::ArgumentConflict, Some(word)) => {
            let mut message = format!("{word} can't be used");
            if let Some(other) = context(ContextKind::PriorArg) {
                let _ = write!(message, " with {other}");
            }
            message
        }
        (ErrorKind::ValueValidation | ErrorKind::InvalidValue, Some(word)) => {
            let reason = std::error::Error::source(error).map_or_else(
                || "it is not one of the possible values".to_owned(),
                ToString::to_string,
            );
            format!("{word}: {reason}")
        }
        (_, Some(word)) => format!("{word} can't be used like this"),
        (kind, None) => kind.to_string(),
    };
    let hint = if argument.as_deref() == Some("--password") {
        "a password is no argument, since other users see those: leave it out to be asked, or use --password-stdin"
    } else if matches!(argument.as_deref(), Some("<USER>" | "<USER>..." | "[USERS]..."))
        && error.kind() == ErrorKind::ValueValidation
    {
        USER_ID_HINT
    } else {
        "`moat help` shows the verbs, `moat VERB --help` the options"
    };
    Err(Failure::usage(message, hint))
}
