//! Failures as the user sees them: an exit code, what is wrong, and what to do.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use moat::{Error, ErrorCode, KeyMismatch, RefusedDirectory, RefusedFile, UserId};
use serde_json::json;

use crate::confinement::Part;
use crate::{ambient, style};

/// A failure without a specific code.
const OTHER: u8 = 1;
pub(super) const USAGE: u8 = 2;
/// `verify` found a record that can't be decrypted.
pub(super) const NOT_DECRYPTED: u8 = 5;
/// `migrate` failed for a record, or for a backup for a reason other than the directory.
pub(super) const NEEDS_MIGRATION: u8 = 7;

/// The audit log can't be used, or was altered.
pub(super) const AUDIT: u8 = 10;

/// The exit codes and what they mean.
pub(super) const EXIT_CODES: [(u8, &str); 12] = [
    (0, "success"),
    (OTHER, "other failure"),
    (USAGE, "usage"),
    (3, "no such credential"),
    (4, "master key missing or unusable"),
    (NOT_DECRYPTED, "decryption failed"),
    (6, "malformed or unsupported file"),
    (NEEDS_MIGRATION, "needs migration"),
    (8, "conflict or locked"),
    (9, "directory (I/O, permissions, full)"),
    (AUDIT, "audit log unavailable or broken"),
    (11, "the sandbox aborted the component"),
];

/// What to do about an error; attached to it as its source.
#[derive(Debug)]
pub(super) struct Remedy(pub(super) String);

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Remedy {}

/// A failure of the program.
#[derive(Debug)]
pub(super) struct Failure {
    exit: u8,
    code: &'static str,
    message: String,
    hint: String,
}

impl Failure {
    /// The arguments are wrong.
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

    /// The request would destroy something that is still needed.
    pub(super) fn in_use(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            exit: exit_code(ErrorCode::Conflict),
            code: "in-use",
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// The credential that was to be created exists.
    pub(super) fn conflict(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code: ErrorCode::Conflict.name(), ..Self::in_use(message, hint) }
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

    /// A program that couldn't be run: 127 if it doesn't exist, otherwise 126, as in shells.
    pub(super) fn program(program: &str, error: &io::Error) -> Self {
        let missing = error.kind() == io::ErrorKind::NotFound;
        Self {
            exit: if missing { 127 } else { 126 },
            ..Self::other(format!("running {program}: {error}"), "check the command after `--`")
        }
    }

    /// A failure of the library.
    pub(super) fn library(error: &Error, hint: impl Into<String>) -> Self {
        Self {
            exit: exit_code(error.code()),
            code: error.code().name(),
            message: error.to_string(),
            hint: hint.into(),
        }
    }

    /// A failure of the vault over this directory.
    pub(super) fn in_directory(error: &Error, path: &Path) -> Self {
        Self::library(error, hint(error, path))
    }

    /// A new file that can't be written.
    pub(super) fn unwritable(path: &Path, error: &io::Error) -> Self {
        let shown = path.display();
        match error.kind() {
            io::ErrorKind::AlreadyExists => Self::in_use(
                format!("{shown} already exists"),
                "nothing was changed; choose another name, because the existing file may be in use",
            ),
            io::ErrorKind::NotFound => Self::other(
                format!("writing {shown}: {error}"),
                "create the directory first: mkdir -m 700 DIRECTORY",
            ),
            _ => Self::other(
                format!("writing {shown}: {error}"),
                "choose a new file in a directory that you can write to",
            ),
        }
    }

    /// One that is about the credential of this user.
    pub(super) fn for_user(mut self, user: &UserId) -> Self {
        self.message = format!("{user}: {}", self.message);
        self
    }

    /// One that ended work on so many of all credentials, and what to do then.
    pub(super) fn after(mut self, done: usize, all: usize, then: &str) -> Self {
        if done > 0 {
            self.message = format!("{} (after {done} of {all} credentials)", self.message);
            self.hint = format!("{}; then {then}", self.hint);
        }
        self
    }

    /// A signal ended the work. It takes its usual effect after this is reported, and decides over the exit code.
    pub(super) fn interrupted(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code: "interrupted", ..Self::other(message, hint) }
    }

    /// The system can't start a process.
    pub(super) fn no_process(error: &io::Error) -> Self {
        Self::other(format!("starting a process: {error}"), THREADS_HINT)
    }

    /// The process could not be confined, although the system supports it.
    pub(super) fn confinement(error: &dyn std::error::Error) -> Self {
        Self::other(format!("the process can't confine itself: {error}"), "report this as a bug")
    }

    /// The kernel doesn't support a part of the confinement that is required.
    pub(super) fn not_confined(part: &Part) -> Self {
        Self::other(
            format!("the process is not confined as required: {part}"),
            "run this on a kernel that supports it and where no filter forbids it, or accept the risk: without --require-confinement and FOSSAWORK_REQUIRE_CONFINEMENT",
        )
    }

    /// The message and the hint.
    pub(super) fn text(&self) -> (&str, &str) {
        (&self.message, &self.hint)
    }

    /// Prints the failure, and returns the exit code.
    pub(super) fn report(self, json: bool) -> ExitCode {
        let Self { exit, code, message, hint } = self;
        if json {
            let error = json!({ "code": code, "message": message, "hint": hint });
            style::print_json(&json!({ "error": error }));
        } else {
            style::print_message(style::RED, "error", &message);
            style::print_message(style::BOLD, "hint", &hint);
        }
        ExitCode::from(exit)
    }
}

pub(super) fn exit_code(code: ErrorCode) -> u8 {
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
        ErrorCode::Sandbox | ErrorCode::Denied | ErrorCode::Unavailable => 11,
        _ => OTHER,
    }
}

/// Whether it is about the record that was asked for, and not about the directory, its other records or the master key.
pub(super) fn concerns_the_record(error: &Error) -> bool {
    use ErrorCode::{
        Conflict, InvalidCredential, Malformed, NeedsMigration, NotFound, TooLarge,
        UnsupportedVersion, WrongKeyOrTampered,
    };
    let is_its_own = matches!(
        error.code(),
        NotFound
            | Malformed
            | UnsupportedVersion
            | NeedsMigration
            | TooLarge
            | Conflict
            | InvalidCredential
            | WrongKeyOrTampered
    );
    is_its_own && cause::<KeyMismatch>(error).is_none()
}

fn hint(error: &Error, path: &Path) -> String {
    let shown = path.display();
    match error.code() {
        ErrorCode::NotFound => format!("run `moat list` to see the users in {shown}"),
        ErrorCode::InvalidUserId => USER_ID_HINT.to_owned(),
        ErrorCode::InvalidCredential => {
            "nothing was changed; `moat get USER` shows the names of the fields; those of new ones must be unique, not reserved and not empty".to_owned()
        }
        ErrorCode::MasterKeyMissing => match cause::<Remedy>(error) {
            Some(remedy) => remedy.to_string(),
            // No source is specified. If there are records, a key exists already: with a new one, no single key would
            // decrypt all of them.
            None if ambient::holds_records(path) => {
                format!("provide the master key that the records in {shown} are encrypted with: --master-key-file PATH or --keyring PATH")
            }
            None => "create a key with `moat keygen --out PATH`, then pass it with --master-key-file PATH".to_owned(),
        },
        ErrorCode::MasterKeyRefused if let Some(remedy) = cause::<Remedy>(error) => remedy.to_string(),
        ErrorCode::MasterKeyRefused => format!("if this is the right key and it is complete: {REPLACE_KEY}"),
        ErrorCode::WrongKeyOrTampered if cause(error) == Some(&KeyMismatch::Settings) => {
            format!("provide the master key that the records in {shown} are encrypted with, or restore moat.json from a backup; to use this key as well, pass --allow-new-key")
        }
        ErrorCode::WrongKeyOrTampered if cause(error) == Some(&KeyMismatch::Records) => {
            format!("provide the master key that the records in {shown} are encrypted with; to use this one as well, pass --allow-new-key")
        }
        ErrorCode::WrongKeyOrTampered => {
            format!("nothing was changed; provide the master key that the records in {shown} are encrypted with")
        }
        ErrorCode::Malformed => {
            format!("nothing was changed; restore the file in {shown} from a backup")
        }
        ErrorCode::UnsupportedVersion => {
            "nothing was changed; a newer release of moat may support this version".to_owned()
        }
        ErrorCode::NeedsMigration => {
            "first compare it with a backup, or change the password with `moat put USER`: anyone who could write to the directory could have put it there; `moat migrate --dry-run` names the flag that accepts it".to_owned()
        }
        ErrorCode::Conflict if error.io_kind() == Some(io::ErrorKind::AlreadyExists) => {
            format!("nothing was changed; choose another user id, or move {shown} to a file system that distinguishes such names")
        }
        ErrorCode::Conflict => "nothing was changed; check the current credential with `moat get USER`, then run this again".to_owned(),
        ErrorCode::Locked => "run this again when the other process has finished, or wait longer with --lock-wait SECONDS".to_owned(),
        ErrorCode::TooLarge => format!("a record has at most 65536 bytes, a new one 61440: store less in one credential; restore a larger file in {shown} from a backup"),
        ErrorCode::Audit => audit_hint(error),
        ErrorCode::Unavailable if error.io_kind() == Some(io::ErrorKind::WouldBlock) => {
            THREADS_HINT.to_owned()
        }
        ErrorCode::Unavailable if error.io_kind() == Some(io::ErrorKind::PermissionDenied) => {
            "allow it for this program (MemoryDenyWriteExecute= of the unit, execmem of SELinux)".to_owned()
        }
        ErrorCode::Unavailable if error.io_kind() == Some(io::ErrorKind::OutOfMemory) => {
            "allow this process or container more memory (ulimit -v, the memory limit), then run this again".to_owned()
        }
        ErrorCode::Directory => directory_hint(error, path),
        _ => "compare the digest shown by `moat component` with that of the release, and report this as a bug".to_owned(),
    }
}

/// The source of an error, if it has this type.
fn cause<T: std::error::Error + 'static>(error: &Error) -> Option<&T> {
    std::error::Error::source(error)?.downcast_ref()
}

/// How to replace a master key that is too weak to encrypt with, without losing the records encrypted with it.
pub(super) const REPLACE_KEY: &str = "create a new one with `moat keygen --out PATH`, set FOSSAWORK_MASTER_KEY_PREVIOUS to this one, and run `moat rotate`";

/// What to do about a directory of another user. Taking it would lock out the programs that use it.
pub(super) fn as_owner(owner: u32, path: impl fmt::Display) -> String {
    format!(
        "run this as its owner, by whom other programs may use it: sudo -u '#{owner}' moat … --dir {path}"
    )
}

/// What to do about a failure of the credentials directory or another directory.
pub(super) fn directory_hint(error: &Error, path: &Path) -> String {
    let path = path.display();
    if let Some(refused) = cause::<RefusedFile>(error) {
        let remedy = match refused {
            RefusedFile::SymbolicLink => {
                "check where it leads (ls -l FILE), then replace it with the file itself: cp -p FILE FILE.new && mv FILE.new FILE"
            }
            RefusedFile::HardLink => {
                "make it a separate file: cp -p FILE FILE.new && mv FILE.new FILE"
            }
            RefusedFile::OtherOwner => {
                "if you know where it comes from, take ownership: chown $(id -u) FILE"
            }
            _ => "check what it is (ls -l FILE), then move it elsewhere",
        };
        return format!("nothing was changed; in {path}, {remedy}");
    }
    match cause::<RefusedDirectory>(error) {
        Some(RefusedDirectory::OtherOwner { owner, .. }) => return as_owner(*owner, &path),
        Some(RefusedDirectory::WritableByOthers { .. }) => {
            return format!(
                "make sure that nobody has put anything there, then run: chmod 700 {path}"
            );
        }
        None => {}
    }
    match error.io_kind() {
        Some(io::ErrorKind::NotFound) => {
            "check --dir and FOSSAWORK_CREDENTIALS_DIR; if the directory is gone, restore it from a backup; `moat init` or `moat put` creates a new one".to_owned()
        }
        Some(io::ErrorKind::NotADirectory) => {
            format!(
                "{path} is not a directory, or its path leads through a file: choose another with --dir"
            )
        }
        Some(
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge,
        ) => {
            format!(
                "free some space on the disk of {path} and run this again; the old record is intact"
            )
        }
        Some(io::ErrorKind::ReadOnlyFilesystem) => format!("{path} is mounted read-only"),
        Some(io::ErrorKind::PermissionDenied) => format!(
"run this as the owner of {path}, for whom it must have mode 0700, in directories that they can enter (ls -ld)"
        ),
        _ => format!(
            "check the disk of {path}; the record there is intact, either the old or the new one"
        ),
    }
}

/// Where the log is to be, there is something else.
const IN_PLACE_OF_LOG: &str = "move what is in its place aside (mv)";

fn audit_hint(error: &Error) -> String {
    let remedy = match error.io_kind() {
        Some(
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge,
        ) => "free some space on the disk of the audit log",
        Some(io::ErrorKind::PermissionDenied) => {
            "make the user who runs this the owner of the audit log, with mode 0600 (ls -l, chown, chmod)"
        }
        Some(io::ErrorKind::InvalidData) => "move the file aside (mv) and keep it",
        Some(io::ErrorKind::IsADirectory) => IN_PLACE_OF_LOG,
        _ if cause::<RefusedFile>(error).is_some() => IN_PLACE_OF_LOG,
        _ => "run `moat check` to see what is wrong with the audit log",
    };
    format!("{remedy}, then run this again; --audit=best-effort continues without it")
}

pub(super) const THREADS_HINT: &str = "allow this user or container more processes and threads (ulimit -u, the pids limit), then run this again";

pub(super) const MISTYPED_HINT: &str = "copy the whole key once more from where it is kept";

pub(super) const USER_ID_HINT: &str = "a user id is a plain file name: at most 250 bytes, no leading dot, no `/`, no control characters";

/// A reader that stops early, such as `head`, is not a failure.
pub(super) fn printed(outcome: io::Result<()>) -> Result<(), Failure> {
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(unprintable(error)),
        _ => Ok(()),
    }
}

/// Standard output can't be written to.
#[allow(clippy::needless_pass_by_value, reason = "it is mapped from an error")]
pub(super) fn unprintable(error: io::Error) -> Failure {
    Failure::other(
        format!("writing to standard output: {error}"),
        "check where standard output goes",
    )
}
