//! The arguments. No secret is ever one of them: other users can see the arguments of a process.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{ArgAction, ArgGroup, Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use moat::{Operation, TokenEncoding, UserId, UserIdError};

use super::duration;

const AFTER_HELP: &str = "\
The master key comes from --keyring, --master-key-file, --master-key-command, or without these from \
FOSSAWORK_MASTER_KEY, FOSSAWORK_KEYRING, FOSSAWORK_MASTER_KEY_FILE, FOSSAWORK_MASTER_KEY_COMMAND, or the systemd credential \
`fossawork-master-key`. `moat keygen --out PATH` makes one. FOSSAWORK_MASTER_KEY_PREVIOUS holds further keys, one a \
line, which only open what is under them.

Exit codes: 0 done, 1 other failure, 2 usage, 3 no such credential, 4 master key missing or unusable, \
5 can't be decrypted, 6 malformed or unsupported file, 7 needs migration, 8 conflict or locked, \
9 directory (I/O, permissions, full), 10 audit log unavailable or broken, 11 the sandbox stopped the component.";

/// Encrypted credentials whose cryptography runs in a WebAssembly sandbox
#[derive(Parser)]
#[command(name = "moat", version, after_help = AFTER_HELP, arg_required_else_help = false)]
pub(super) struct Arguments {
    #[command(flatten, next_help_heading = "For every verb")]
    pub(super) options: Options,

    #[command(subcommand)]
    pub(super) verb: Verb,
}

/// What the options of the audit log are listed under.
const AUDIT: &str = "Audit log";

/// What becomes of an operation that can't be written down.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Audit {
    /// Nothing is written down
    Off,
    /// It goes on, with a warning
    BestEffort,
    /// It is refused
    Required,
}

/// What every verb understands.
#[derive(Args)]
pub(super) struct Options {
    /// The credentials directory [env: FOSSAWORK_CREDENTIALS_DIR; else moat/credentials in the XDG data directory]
    #[arg(long, global = true, value_name = "PATH", value_hint = ValueHint::DirPath)]
    pub(super) dir: Option<PathBuf>,

    /// A file with a ring of master keys, as `moat keys` writes it; nobody else may read it
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        conflicts_with_all = ["master_key_file", "master_key_command"],
        value_hint = ValueHint::FilePath
    )]
    pub(super) keyring: Option<PathBuf>,

    /// A file that holds the master key; nobody else may read it
    #[arg(long, global = true, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(super) master_key_file: Option<PathBuf>,

    /// A shell command that prints the master key, or a ring of them
    #[arg(
        long,
        global = true,
        value_name = "COMMAND",
        conflicts_with = "master_key_file",
        value_hint = ValueHint::CommandString
    )]
    pub(super) master_key_command: Option<String>,

    /// A file of FOSSAWORK_… variables to read beside the environment
    #[arg(long, global = true, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(super) env_file: Option<PathBuf>,

    /// A component to use in place of the embedded one; it needs --component-sha256 too
    #[cfg(feature = "compiler")]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        requires = "component_sha256",
        value_hint = ValueHint::FilePath
    )]
    pub(super) component: Option<PathBuf>,

    /// The SHA-256 of that component, in hexadecimal
    #[cfg(feature = "compiler")]
    #[arg(long, global = true, value_name = "DIGEST", requires = "component")]
    pub(super) component_sha256: Option<String>,

    /// How long to wait for other writers
    #[arg(long, global = true, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(super) lock_wait: Duration,

    /// Where every operation is written down [env: FOSSAWORK_AUDIT_LOG]
    #[arg(long, global = true, value_name = "PATH", value_hint = ValueHint::FilePath, help_heading = AUDIT)]
    pub(super) audit_log: Option<PathBuf>,

    /// What becomes of an operation that can't be written down [env: FOSSAWORK_AUDIT; else `required`]
    #[arg(long, global = true, help_heading = AUDIT)]
    pub(super) audit: Option<Audit>,

    /// A file with the audit key, instead of one derived from the master key [env: FOSSAWORK_AUDIT_KEY_FILE]
    #[arg(long, global = true, value_name = "PATH", value_hint = ValueHint::FilePath, help_heading = AUDIT)]
    pub(super) audit_key_file: Option<PathBuf>,

    /// Write a keyed hash of each user id in its place [env: FOSSAWORK_AUDIT_HASH_USERS=1]
    #[arg(long, global = true, help_heading = AUDIT)]
    pub(super) audit_hash_users: bool,

    /// Set the file aside when it is this large (64M, 1G) [env: FOSSAWORK_AUDIT_MAX_SIZE]
    #[arg(long, global = true, value_name = "SIZE", value_parser = size, help_heading = AUDIT)]
    pub(super) audit_max_size: Option<u64>,

    /// Set the file aside when it is this old (30d, 12w) [env: FOSSAWORK_AUDIT_MAX_AGE]
    #[arg(long, global = true, value_name = "AGE", value_parser = duration::parse, help_heading = AUDIT)]
    pub(super) audit_max_age: Option<Duration>,

    /// Print JSON, errors too
    #[arg(long, global = true)]
    pub(super) json: bool,

    /// Print no more than was asked for: no confirmations, no warnings
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(super) quiet: bool,

    /// Tell what is done; twice: in detail
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(super) verbose: u8,
}

#[derive(Subcommand)]
pub(super) enum Verb {
    /// Make a new master key: 32 random bytes, URL-safe
    Keygen(Keygen),
    /// Store a credential in place of the one before
    Put(Put),
    /// Show a credential, its secrets hidden, or print one of its values
    Get(Get),
    /// List the users
    List(List),
    /// Remove a credential
    Delete(Delete),
    /// Note that a credential was used now
    Touch(User),
    /// Note the outcome of a login attempt
    Mark(Mark),
    /// Show the outside of a record; needs no key
    Inspect(User),
    /// Check that records open, without showing them
    Verify(Verify),
    /// Encrypt the FossaWork application's legacy records, or bring records to another version or spelling
    Migrate(Migrate),
    /// Encrypt records with the primary key that are under another
    Rotate(Rotate),
    /// Check that this installation is safe
    Check(Check),
    /// Look into the audit log
    #[command(subcommand)]
    Audit(AuditVerb),
    /// Look after the keys of a ring
    #[command(subcommand)]
    Keys(Keys),
    /// Show the sandboxed component: its digest, imports, limits and grants
    Component(Component),
    /// Run a program with a credential in its environment
    Exec(Exec),
    /// Print a completion script
    Completions {
        /// For this shell
        shell: Shell,
    },
    /// Print the manual page, of the program or of one verb
    Man {
        /// Of this verb
        verb: Option<String>,
    },
}

#[derive(Args)]
pub(super) struct Keygen {
    /// Write it to a new file that only its owner can read, in place of printing it; nothing is ever overwritten
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(super) out: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct User {
    /// Whose credential
    #[arg(value_parser = user)]
    pub(super) user: UserId,
}

#[derive(Args)]
pub(super) struct Put {
    /// Whose credential
    #[arg(value_parser = user)]
    pub(super) user: UserId,

    /// The name to log in with
    #[arg(long, value_name = "NAME")]
    pub(super) username: String,

    /// Read the password from standard input instead of asking for it twice at the terminal; one trailing newline is dropped
    #[arg(long)]
    pub(super) password_stdin: bool,

    /// A further value that is no secret towards this machine's users; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = field)]
    pub(super) field: Vec<(String, String)>,

    /// Read a further value from standard input; one trailing newline is dropped
    #[arg(long, value_name = "NAME", conflicts_with = "password_stdin")]
    pub(super) field_stdin: Option<String>,

    /// The version of the record; without this that of the record that is replaced, or of the directory
    #[arg(long)]
    pub(super) format: Option<Format>,

    /// How to spell the token; without this as in the record that is replaced, or as the directory is set
    #[arg(long)]
    pub(super) token_encoding: Option<Encoding>,

    /// Fail when the credential exists
    #[arg(long)]
    pub(super) create_only: bool,

    /// Store a new user's credential even if the master key decrypts no record that is there
    #[arg(long)]
    pub(super) allow_new_key: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Encoding {
    /// The token itself
    Documented,
    /// In base64 once more, as the FossaWork application reads it
    App,
}

impl From<Encoding> for TokenEncoding {
    fn from(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Documented => Self::Documented,
            Encoding::App => Self::App,
        }
    }
}

#[derive(Args)]
pub(super) struct Get {
    /// Whose credential
    #[arg(value_parser = user)]
    pub(super) user: UserId,

    /// Print just this value and a newline: username, password, created_at, …, or the name of a field
    #[arg(long, value_name = "NAME")]
    pub(super) field: Option<String>,

    /// Show the secrets too
    #[arg(long, conflicts_with = "field")]
    pub(super) reveal: bool,
}

#[derive(Args)]
pub(super) struct List {
    /// Only those whose credential was made longer ago than this (90d, 12w, 36h)
    #[arg(long, value_name = "AGE", value_parser = duration::parse)]
    pub(super) older_than: Option<Duration>,
}

#[derive(Args)]
pub(super) struct Delete {
    /// Whose credential
    #[arg(value_parser = user)]
    pub(super) user: UserId,

    /// Don't ask at a terminal
    #[arg(short, long)]
    pub(super) yes: bool,
}

#[derive(Args)]
#[command(group = ArgGroup::new("outcome").required(true))]
pub(super) struct Mark {
    /// Whose credential
    #[arg(value_parser = user)]
    pub(super) user: UserId,

    /// The login succeeded
    #[arg(long, group = "outcome")]
    pub(super) valid: bool,

    /// The login failed
    #[arg(long, group = "outcome")]
    pub(super) invalid: bool,
}

/// A version of the record.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Format {
    /// The FossaWork application's
    #[value(name = "1.0")]
    V1,
    /// With one slow key derivation for all users
    #[value(name = "2.0")]
    V2,
}

impl Format {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::V1 => "1.0",
            Self::V2 => "2.0",
        }
    }
}

#[derive(Args)]
pub(super) struct Migrate {
    /// Show what would be done, and write nothing
    #[arg(long)]
    pub(super) dry_run: bool,

    /// Take records under the application's published default key for genuine, and encrypt them anew; anyone who
    /// could write to the directory could have put them there
    #[arg(long)]
    pub(super) accept_default_key: bool,

    /// Take records that are not encrypted for genuine, and encrypt them; anyone who could write to the directory
    /// could have put them there
    #[arg(long)]
    pub(super) accept_plaintext: bool,

    /// Remove the copies that the application's old migration left in the clear, where their credential opens
    #[arg(long)]
    pub(super) remove_plaintext_backups: bool,

    /// Bring all records to this version, and set the directory to it
    #[arg(long, value_name = "VERSION")]
    pub(super) to: Option<Format>,

    /// Bring the tokens of all records of version 1.0 to this spelling, and set the directory to it
    #[arg(long)]
    pub(super) token_encoding: Option<Encoding>,

    /// Only this user's record; may be repeated
    #[arg(long, value_name = "USER", value_parser = user)]
    pub(super) user: Vec<UserId>,
}

#[derive(Args)]
pub(super) struct Rotate {
    /// Show what would be done, and write nothing
    #[arg(long)]
    pub(super) dry_run: bool,

    /// Show how many records are under which key, and write nothing
    #[arg(long, conflicts_with = "dry_run")]
    pub(super) status: bool,

    /// Only records that were encrypted longer ago than this (90d, 12w, 36h)
    #[arg(long, value_name = "AGE", value_parser = duration::parse)]
    pub(super) older_than: Option<Duration>,

    /// Only when the ring's primary key is this old (90d, 12w, 36h), or an older one isn't retired yet; retires
    /// what no record is under any more
    #[arg(long, value_name = "AGE", value_parser = duration::parse, conflicts_with_all = ["dry_run", "status", "user", "older_than"])]
    pub(super) if_older_than: Option<Duration>,

    /// Make a new primary key when it is due
    #[arg(long, requires = "if_older_than")]
    pub(super) new_key: bool,

    /// Only this user's record; may be repeated
    #[arg(long, value_name = "USER", value_parser = user)]
    pub(super) user: Vec<UserId>,
}

#[derive(Args)]
pub(super) struct Check {
    /// Mend the modes of files and directories, and remove what ended writers left; nothing else
    #[arg(long)]
    pub(super) fix: bool,

    /// The age at which a ring's primary key is overdue
    #[arg(long, value_name = "AGE", default_value = "365d", value_parser = duration::parse)]
    pub(super) key_age: Duration,

    /// The age at which a credential is overdue
    #[arg(long, value_name = "AGE", default_value = "365d", value_parser = duration::parse)]
    pub(super) credential_age: Duration,
}

/// What `audit` does.
#[derive(Subcommand)]
pub(super) enum AuditVerb {
    /// List the operations
    Show(Show),
    /// Check that no entry was altered, removed or put in
    Verify {
        /// A head that `audit head` printed earlier: what was cut off since is seen only against it
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        head: Option<PathBuf>,
    },
    /// Check the log and print its end, signed, to be kept elsewhere
    Head,
    /// Show what is worth a look
    Report {
        /// In the time since then; what was before is what it is compared with
        #[arg(long, value_name = "TIME", default_value = "7d", value_parser = duration::time)]
        since: String,

        /// The working hours, in UTC
        #[arg(long, value_name = "FROM-TO", default_value = "7-19", value_parser = hours)]
        hours: (u8, u8),
    },
    /// Print what stands for a user in a log that hashes user ids
    Hash(User),
}

#[derive(Args)]
pub(super) struct Show {
    /// Only on this user's record
    #[arg(long, value_name = "USER", value_parser = user)]
    pub(super) user: Option<UserId>,

    /// Only this operation
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(Operation::ALL.map(Operation::name)))]
    pub(super) operation: Option<String>,

    /// Only with this outcome: done, failed, unfinished, or the code of an error
    #[arg(long, value_name = "OUTCOME")]
    pub(super) outcome: Option<String>,

    /// Only since then: an age (7d, 36h), or a time (2026-01-31, 2026-01-31T12:00:00Z)
    #[arg(long, value_name = "TIME", value_parser = duration::time)]
    pub(super) since: Option<String>,

    /// Only before then
    #[arg(long, value_name = "TIME", value_parser = duration::time)]
    pub(super) until: Option<String>,
}

/// What `keys` does.
#[derive(Subcommand)]
pub(super) enum Keys {
    /// List the keys, with the number of records that are under each
    List {
        /// Don't open the records to count them
        #[arg(long)]
        no_records: bool,
    },
    /// Add a new key; the first one makes the file, and is the primary key
    Add(AddKey),
    /// Encrypt with this key from now on
    Promote(KeyId),
    /// Take a key out of use that no record is under; it stays in the file
    Retire(KeyId),
    /// Take a retired key into use again
    Restore(KeyId),
    /// Remove a retired key for ever
    Erase {
        /// The key's id
        id: String,

        /// Don't ask at a terminal
        #[arg(short, long)]
        yes: bool,
    },
}

#[derive(Args)]
pub(super) struct AddKey {
    /// What to call the key; without this it gets a name at random. Records show it in the clear
    #[arg(long)]
    pub(super) id: Option<String>,

    /// Encrypt with this key from now on
    #[arg(long)]
    pub(super) primary: bool,

    /// Read the key from standard input instead of making one; one trailing newline is dropped
    #[arg(long)]
    pub(super) key_stdin: bool,
}

#[derive(Args)]
pub(super) struct KeyId {
    /// The key's id
    pub(super) id: String,
}

#[derive(Args)]
pub(super) struct Verify {
    /// Whose credentials; all if none is named
    #[arg(value_parser = user)]
    pub(super) users: Vec<UserId>,
}

#[derive(Args)]
pub(super) struct Component {
    /// Print the contract in WIT
    #[arg(long, conflicts_with = "out")]
    pub(super) wit: bool,

    /// Write the component to a new file, for hosts of your own
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) out: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct Exec {
    /// Whose credential
    #[arg(value_parser = user)]
    pub(super) user: UserId,

    /// What the names of the variables begin with
    #[arg(long, default_value = "MOAT_", value_parser = prefix)]
    pub(super) prefix: String,

    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND", value_hint = ValueHint::CommandWithArguments)]
    pub(super) command: Vec<OsString>,
}

fn user(text: &str) -> Result<UserId, UserIdError> {
    UserId::parse(text)
}

fn field(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err("it has no `=`"),
    }
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds = text.parse().map_err(|_| "it is not a number of seconds")?;
    Duration::try_from_secs_f64(seconds).map_err(|_| "it is not a number of seconds")
}

/// Bytes, or KiB, MiB, GiB: `64M`.
pub(super) fn size(text: &str) -> Result<u64, &'static str> {
    let wrong = "it is not a size such as 500K, 64M or 1G";
    let units = [("K", 10), ("M", 20), ("G", 30)];
    let found = units.iter().find_map(|(unit, bits)| Some((text.strip_suffix(unit)?, *bits)));
    let (number, bits) = found.unwrap_or((text, 0));
    let number: u64 = number.parse().map_err(|_| wrong)?;
    number.checked_mul(1 << bits).filter(|size| *size > 0).ok_or(wrong)
}

fn hours(text: &str) -> Result<(u8, u8), &'static str> {
    let wrong = "it is not a span of hours such as 7-19";
    let (from, to) = text.split_once('-').ok_or(wrong)?;
    let hour = |text: &str| text.parse().ok().filter(|hour| *hour <= 24).ok_or(wrong);
    let (from, to) = (hour(from)?, hour(to)?);
    if from < to { Ok((from, to)) } else { Err(wrong) }
}

fn prefix(text: &str) -> Result<String, &'static str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.chars().all(is_name) && !text.starts_with(|c: char| c.is_ascii_digit()) {
        Ok(text.to_owned())
    } else {
        Err("a variable's name has only letters, digits and `_`, and doesn't begin with a digit")
    }
}
