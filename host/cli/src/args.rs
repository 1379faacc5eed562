//! The command-line arguments. A secret is never one of them, because other users can see a process's arguments.

use std::convert::Infallible;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use age::x25519::Recipient;
use clap::builder::PossibleValuesParser;
use clap::{ArgAction, ArgGroup, Args, Parser, Subcommand, ValueEnum, ValueHint, value_parser};
use clap_complete::Shell;
use moat::jiff::tz::TimeZone;
use moat::{Operation, TokenEncoding, UserId, UserIdError};

use super::age_file;
use super::duration;
use super::password::DEFAULT_LENGTH;
use crate::ambient;

/// Where the master key comes from.
pub(super) const KEY_SOURCES: &str = "\
The master key comes from --keyring, --master-key-file or --master-key-command; without these, from \
FOSSAWORK_MASTER_KEY, FOSSAWORK_KEYRING, FOSSAWORK_MASTER_KEY_FILE, FOSSAWORK_MASTER_KEY_COMMAND or the systemd credential \
`fossawork-master-key`. `moat keygen --out PATH` creates one. FOSSAWORK_MASTER_KEY_PREVIOUS holds additional decrypt-only \
keys, one per line.";

/// Encrypted credential store whose cryptography runs in a WebAssembly sandbox
#[derive(Parser)]
#[command(
    name = "moat",
    bin_name = "moat",
    version,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(super) struct Arguments {
    #[command(flatten, next_help_heading = "Global options")]
    pub(super) options: Options,

    #[command(subcommand)]
    pub(super) verb: Verb,
}

/// The help heading of the audit log's options.
const AUDIT: &str = "Audit log";

/// What happens to an operation that can't be logged.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Audit {
    /// Log nothing
    Off,
    /// Warn and continue
    BestEffort,
    /// Refuse the operation
    Required,
}

/// The options of every command.
#[derive(Args)]
pub(super) struct Options {
    /// Credentials directory [env: FOSSAWORK_CREDENTIALS_DIR; default: moat/credentials in the XDG data directory]
    #[arg(long, global = true, value_name = "PATH", value_hint = ValueHint::DirPath)]
    pub(super) dir: Option<PathBuf>,

    /// File with a key ring, as written by `moat keys`; others must not be able to read it
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        conflicts_with_all = ["master_key_file", "master_key_command"],
        value_hint = ValueHint::FilePath
    )]
    pub(super) keyring: Option<PathBuf>,

    /// File with the master key; others must not be able to read it
    #[arg(long, global = true, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(super) master_key_file: Option<PathBuf>,

    /// Shell command that prints the master key or a key ring
    #[arg(
        long,
        global = true,
        value_name = "COMMAND",
        conflicts_with = "master_key_file",
        value_hint = ValueHint::CommandString
    )]
    pub(super) master_key_command: Option<String>,

    /// File of FOSSAWORK_… variables to read in addition to the environment
    #[arg(long, global = true, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(super) env_file: Option<PathBuf>,

    /// Component to use instead of the embedded one; requires --component-sha256
    #[cfg(feature = "compiler")]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        requires = "component_sha256",
        value_hint = ValueHint::FilePath
    )]
    pub(super) component: Option<PathBuf>,

    /// SHA-256 digest of that component, in hexadecimal
    #[cfg(feature = "compiler")]
    #[arg(long, global = true, value_name = "DIGEST", requires = "component")]
    pub(super) component_sha256: Option<String>,

    /// Fail instead of warning if the kernel can't confine the process [env: FOSSAWORK_REQUIRE_CONFINEMENT=1]
    #[arg(long, global = true)]
    pub(super) require_confinement: bool,

    /// Time zone of the FossaWork application, which writes local times into its records: the machine's by default
    /// [env: FOSSAWORK_TIME_ZONE=Europe/Berlin]
    #[arg(long, global = true, value_name = "ZONE", value_parser = time_zone)]
    pub(super) time_zone: Option<TimeZone>,

    /// How long to wait for other writers
    #[arg(long, global = true, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(super) lock_wait: Duration,

    /// File in which every operation is logged [env: FOSSAWORK_AUDIT_LOG]
    #[arg(long, global = true, value_name = "PATH", value_hint = ValueHint::FilePath, help_heading = AUDIT)]
    pub(super) audit_log: Option<PathBuf>,

    /// What to do if an operation can't be logged [env: FOSSAWORK_AUDIT; default: required]
    #[arg(long, global = true, help_heading = AUDIT)]
    pub(super) audit: Option<Audit>,

    /// File with the audit key, instead of a key derived from the master key [env: FOSSAWORK_AUDIT_KEY_FILE]
    #[arg(long, global = true, value_name = "PATH", value_hint = ValueHint::FilePath, help_heading = AUDIT)]
    pub(super) audit_key_file: Option<PathBuf>,

    /// Log a keyed hash of each user id instead of the id itself [env: FOSSAWORK_AUDIT_HASH_USERS=1]
    #[arg(long, global = true, help_heading = AUDIT)]
    pub(super) audit_hash_users: bool,

    /// Rotate the log when it reaches this size (64M, 1G) [env: FOSSAWORK_AUDIT_MAX_SIZE]
    #[arg(long, global = true, value_name = "SIZE", value_parser = size, help_heading = AUDIT)]
    pub(super) audit_max_size: Option<u64>,

    /// Rotate the log when it reaches this age (30d, 12w) [env: FOSSAWORK_AUDIT_MAX_AGE]
    #[arg(long, global = true, value_name = "AGE", value_parser = duration::parse, help_heading = AUDIT)]
    pub(super) audit_max_age: Option<Duration>,

    /// Print JSON, including errors
    #[arg(long, global = true)]
    pub(super) json: bool,

    /// Print only what was asked for: no confirmations, no warnings
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(super) quiet: bool,

    /// Increase verbosity (-vv for debug)
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(super) verbose: u8,
}

#[derive(Subcommand)]
pub(super) enum Verb {
    /// Set up: create the credentials directory and a master key
    Init(Init),
    /// Create a new master key: 256 random bits
    Keygen(Keygen),
    /// Print a random password
    Generate(Generate),
    /// Store a credential, or replace the password of an existing one
    Put(Put),
    /// Change parts of a credential, and keep the rest
    Set(Set),
    /// Change a credential in an editor: $VISUAL, $EDITOR or vi
    Edit(User),
    /// Show a credential with its secrets hidden, or print one of its values
    Get(Get),
    /// List the users
    List(List),
    /// Copy a credential to another user id
    Copy(CopyUser),
    /// Move a credential to another user id
    Rename(CopyUser),
    /// Show the earlier versions of a credential, or set how many are kept
    History(History),
    /// Put an earlier version of a credential in its place
    Restore(Restore),
    /// Delete a credential
    Delete(Delete),
    /// Mark a credential as used now
    Touch(User),
    /// Store the outcome of a login attempt
    Mark(Mark),
    /// Show the envelope of a record; needs no key
    Inspect(User),
    /// Check that records can be decrypted, without showing them
    Verify(Verify),
    /// Encrypt the FossaWork application's legacy records, or convert records to another version or token encoding
    Migrate(Migrate),
    /// Re-encrypt records that are not encrypted with the primary key
    Rotate(Rotate),
    /// Check that this installation is safe
    Check(Check),
    /// Show and verify the audit log
    #[command(subcommand)]
    Audit(AuditVerb),
    /// Manage the keys of a key ring
    #[command(subcommand)]
    Keys(Keys),
    /// Show the sandboxed component: its digest, imports, limits and grants
    Component(Component),
    /// Run a program with credentials in its environment
    Exec(Exec),
    /// Fill in the credentials that a template refers to
    Inject(Inject),
    /// Store the credentials that another program keeps
    #[command(subcommand)]
    Import(ImportVerb),
    /// Write credentials into one document, encrypted with age
    Export(Export),
    /// Print a shell completion script
    Completions {
        /// Shell to complete for
        shell: Shell,
    },
    /// Say what fits for a word; the completion scripts run this
    #[command(hide = true)]
    Complete {
        shell: CompletingShell,
        /// The words up to the cursor; from bash, the line up to there, and the characters that break words
        #[arg(last = true)]
        words: Vec<OsString>,
    },
    /// Print the manual page of the program or of one command, or write all pages
    Man(Man),
}

/// A shell whose completions know values.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum CompletingShell {
    Bash,
    Fish,
    Zsh,
}

#[derive(Args)]
pub(super) struct Man {
    /// Command to document, such as `keys add`
    #[arg(value_name = "COMMAND")]
    pub(super) verb: Vec<String>,

    /// Write the pages of the program and of all commands into this directory
    #[arg(long, value_name = "PATH", value_hint = ValueHint::DirPath, conflicts_with = "verb")]
    pub(super) out: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct Init {
    /// Create a key ring, whose keys can be replaced, instead of a single key
    #[arg(long)]
    pub(super) ring: bool,
}

#[derive(Args)]
pub(super) struct Generate {
    /// Number of characters
    #[arg(long, value_name = "N", default_value_t = DEFAULT_LENGTH, value_parser = value_parser!(u16).range(1..=1024))]
    pub(super) length: u16,

    /// Classes of characters; at least one of each occurs. Default: lower,upper,digits
    #[arg(long, value_enum, value_delimiter = ',', value_name = "CLASS,…")]
    pub(super) classes: Vec<CharacterClass>,

    /// A passphrase of this many words instead, of the EFF's list of 7,776 words: 12.9 bits each
    #[arg(long, value_name = "N", conflicts_with_all = ["length", "classes"], value_parser = value_parser!(u16).range(1..=128))]
    pub(super) words: Option<u16>,

    /// What stands between words
    #[arg(long, value_name = "TEXT", default_value = "-", requires = "words")]
    pub(super) separator: String,
}

/// A class of characters in a password.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum CharacterClass {
    /// a to z
    Lower,
    /// A to Z
    Upper,
    /// 0 to 9
    Digits,
    /// All other printable characters of ASCII but the space
    Symbols,
}

#[derive(Args)]
pub(super) struct Keygen {
    /// Write the key to a new file that only its owner can read, instead of printing it; never overwrites a file
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(super) out: Option<PathBuf>,
    /// The form of the key: `moat`, with a prefix and a checksum, from which version 2.0 derives fast; `token`, 43 characters,
    /// as the FossaWork application has them
    #[arg(long, value_enum, default_value_t = KeyFormat::Moat, hide_possible_values = true)]
    pub(super) format: KeyFormat,
}

/// The form of a new master key.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum KeyFormat {
    Moat,
    Token,
}

#[derive(Args)]
pub(super) struct User {
    /// User id
    #[arg(value_parser = user)]
    pub(super) user: UserId,
}

#[derive(Args)]
pub(super) struct Put {
    /// User id
    #[arg(value_parser = user)]
    pub(super) user: UserId,

    /// Login name
    #[arg(long, value_name = "NAME", required_unless_present = "json_stdin")]
    pub(super) username: Option<String>,

    #[command(flatten)]
    pub(super) values: Values,

    #[command(flatten)]
    pub(super) expiry: Expiry,

    /// Version of the record; default: that of the replaced record, or of the directory
    #[arg(long)]
    pub(super) format: Option<Format>,

    /// Encoding of the token; default: that of the replaced record, or of the directory
    #[arg(long)]
    pub(super) token_encoding: Option<Encoding>,

    /// Fail if the credential exists
    #[arg(long)]
    pub(super) create_only: bool,

    /// Remove the fields of an existing credential that are not given, and when it expires, instead of keeping them
    #[arg(long)]
    pub(super) drop_fields: bool,

    /// Don't ask before replacing the password of an existing credential
    #[arg(short, long)]
    pub(super) yes: bool,

    /// Store a new user's credential even if the master key decrypts none of the existing records
    #[arg(long)]
    pub(super) allow_new_key: bool,
}

/// Where a credential's password and fields come from.
#[derive(Args)]
pub(super) struct Values {
    /// Read the password from standard input instead of asking for it twice at the terminal; one trailing newline is
    /// removed
    #[arg(long, group = "standard_input")]
    pub(super) password_stdin: bool,

    /// Generate the password: 24 random letters and digits. `moat generate` prints others
    #[arg(long, conflicts_with_all = ["password_stdin", "json_stdin"])]
    pub(super) generate: bool,

    /// Additional value, asked for at the terminal if VALUE is missing; other users of this machine can see VALUE in the
    /// process list. May be repeated
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = field)]
    pub(super) field: Vec<(String, Option<String>)>,

    /// Read an additional value from standard input; one trailing newline is removed
    #[arg(long, value_name = "NAME", group = "standard_input")]
    pub(super) field_stdin: Option<String>,

    /// Read an additional value from a file; one trailing newline is removed. May be repeated
    #[arg(long, value_name = "NAME=PATH", value_parser = field_file)]
    pub(super) field_file: Vec<(String, PathBuf)>,

    /// Read an additional value from an open file descriptor; one trailing newline is removed. May be repeated
    #[arg(long, value_name = "NAME=N", value_parser = field_fd)]
    pub(super) field_fd: Vec<(String, u32)>,

    /// Encode the values of --field-stdin, --field-file and --field-fd in base64, whole, for what is not text
    #[arg(long)]
    pub(super) base64: bool,

    /// Read the credential from standard input, as JSON: {"username": …, "password": …, "fields": {NAME: VALUE, …}}
    #[arg(long, group = "standard_input")]
    pub(super) json_stdin: bool,
}

#[derive(Args)]
#[command(group = ArgGroup::new("change").required(true).multiple(true).args([
    "username", "password", "password_stdin", "generate", "field", "field_stdin", "field_file", "field_fd", "json_stdin", "unset",
    "expires", "forget_history",
]))]
pub(super) struct Set {
    /// User id
    #[arg(value_parser = user)]
    pub(super) user: UserId,

    /// Login name
    #[arg(long, value_name = "NAME")]
    pub(super) username: Option<String>,

    /// Ask for a new password at the terminal, twice
    #[arg(long, conflicts_with_all = ["password_stdin", "generate", "json_stdin"])]
    pub(super) password: bool,

    #[command(flatten)]
    pub(super) values: Values,

    /// Remove an additional value. May be repeated
    #[arg(long, value_name = "NAME")]
    pub(super) unset: Vec<String>,

    #[command(flatten)]
    pub(super) expiry: Expiry,

    /// Remove all earlier versions, and keep none of what is replaced now
    #[arg(long)]
    pub(super) forget_history: bool,
}

/// When a credential expires.
#[derive(Args)]
pub(super) struct Expiry {
    /// When it expires: a date (2027-01-31), an age from which on the password is to be replaced (90d, 12w), or never
    #[arg(long, value_name = "WHEN", value_parser = duration::expiry)]
    pub(super) expires: Option<String>,
}

#[derive(Args)]
#[command(group = ArgGroup::new("what").required(true))]
pub(super) struct History {
    /// User id
    #[arg(value_parser = user, group = "what")]
    pub(super) user: Option<UserId>,

    /// Keep this many earlier versions of each credential from now on, at most 100; 0, the default, keeps none
    #[arg(long, value_name = "N", group = "what", value_parser = value_parser!(u32).range(0..=100))]
    pub(super) keep: Option<u32>,
}

#[derive(Args)]
pub(super) struct Restore {
    /// User id
    #[arg(value_parser = user)]
    pub(super) user: UserId,

    /// Number of the version, as `moat history` shows it; default: the latest
    #[arg(value_name = "VERSION")]
    pub(super) version: Option<u32>,
}

#[derive(Args)]
pub(super) struct CopyUser {
    /// User id
    #[arg(value_parser = user)]
    pub(super) user: UserId,

    /// User id of the copy, which must not exist
    #[arg(value_parser = user)]
    pub(super) new: UserId,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Encoding {
    /// The token itself
    Documented,
    /// The token in base64 once more, as the FossaWork application reads it
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
    /// User id
    #[arg(value_parser = user)]
    pub(super) user: UserId,

    /// Print only this value and a newline: username, password, created_at, …, or the name of a field. May be repeated: a
    /// line for each, in this order
    #[arg(long, value_name = "NAME", group = "shown")]
    pub(super) field: Vec<String>,

    /// Print no newline after the value
    #[arg(short = 'n', long, requires = "field")]
    pub(super) no_newline: bool,

    /// Decode the value from base64, and print it without a newline
    #[arg(long, requires = "field", conflicts_with = "json")]
    pub(super) base64: bool,

    /// Show the secrets too
    #[arg(long, conflicts_with = "field", group = "shown")]
    pub(super) reveal: bool,

    /// Show an earlier version, of the number that `moat history` shows
    #[arg(long, value_name = "VERSION", requires = "shown")]
    pub(super) earlier: Option<u32>,
}

#[derive(Args)]
pub(super) struct List {
    /// Only user ids that contain this text
    #[arg(value_name = "TEXT")]
    pub(super) containing: Option<String>,

    /// Also show when each credential was created, its version, and the label of its key
    #[arg(short, long)]
    pub(super) long: bool,

    /// Only credentials with this field; decrypts each of them
    #[arg(long, value_name = "NAME")]
    pub(super) with_field: Option<String>,

    /// Only users whose credential was created longer ago than this (90d, 12w, 36h); decrypts those that the FossaWork
    /// application can read, which has the time inside
    #[arg(long, value_name = "AGE", value_parser = duration::parse)]
    pub(super) older_than: Option<Duration>,

    /// Only credentials that have expired, or will within this time; decrypts each of them
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(super) expires_within: Option<Duration>,
}

impl List {
    /// Whether each record has to be decrypted for it.
    pub(super) fn decrypts(&self) -> bool {
        self.with_field.is_some() || self.expires_within.is_some()
    }
}

#[derive(Args)]
pub(super) struct Delete {
    /// User id
    #[arg(value_parser = user)]
    pub(super) user: UserId,

    /// Don't ask for confirmation
    #[arg(short, long)]
    pub(super) yes: bool,
}

#[derive(Args)]
#[command(group = ArgGroup::new("outcome").required(true))]
pub(super) struct Mark {
    /// User id
    #[arg(value_parser = user)]
    pub(super) user: UserId,

    /// The login succeeded
    #[arg(long, group = "outcome")]
    pub(super) valid: bool,

    /// The login failed
    #[arg(long, group = "outcome")]
    pub(super) invalid: bool,
}

/// A record version.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Format {
    /// The FossaWork application's
    #[value(name = "1.0")]
    V1,
    /// Moat's own: no slow derivation with a strong key, one for all users with any other
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
    /// Show what would be done without writing anything
    #[arg(long)]
    pub(super) dry_run: bool,

    /// Accept records encrypted with the application's published default key as genuine, and re-encrypt them; anyone
    /// who could write to the directory could have put them there
    #[arg(long)]
    pub(super) accept_default_key: bool,

    /// Accept records that are not encrypted as genuine, and encrypt them; anyone who could write to the directory
    /// could have put them there
    #[arg(long)]
    pub(super) accept_plaintext: bool,

    /// Remove the unencrypted copies that the application's old migration left, if their credential can be decrypted
    #[arg(long)]
    pub(super) remove_plaintext_backups: bool,

    /// Convert all records to this version, and use it for new records
    #[arg(long, value_name = "VERSION")]
    pub(super) to: Option<Format>,

    /// Convert the tokens of all version 1.0 records to this encoding, and use it for new records
    #[arg(long)]
    pub(super) token_encoding: Option<Encoding>,

    /// Only this user's record; may be repeated
    #[arg(long, value_name = "USER", value_parser = user)]
    pub(super) user: Vec<UserId>,
}

#[derive(Args)]
pub(super) struct Rotate {
    /// Show what would be done without writing anything
    #[arg(long)]
    pub(super) dry_run: bool,

    /// Show how many records are encrypted with each key, without writing anything
    #[arg(long, conflicts_with = "dry_run")]
    pub(super) status: bool,

    /// Only records encrypted longer ago than this (90d, 12w, 36h)
    #[arg(long, value_name = "AGE", value_parser = duration::parse)]
    pub(super) older_than: Option<Duration>,

    /// Only if the ring's primary key is at least this old (90d, 12w, 36h), or an older key isn't retired yet; then
    /// retires the older keys that no record needs any more
    #[arg(long, value_name = "AGE", value_parser = duration::parse, conflicts_with_all = ["dry_run", "status", "user", "older_than"])]
    pub(super) if_older_than: Option<Duration>,

    /// Create a new primary key if the current one is due
    #[arg(long, requires = "if_older_than")]
    pub(super) new_key: bool,

    /// Only this user's record; may be repeated
    #[arg(long, value_name = "USER", value_parser = user)]
    pub(super) user: Vec<UserId>,
}

#[derive(Args)]
pub(super) struct Check {
    /// Fix the modes of files and directories, and remove what interrupted writes left; nothing else
    #[arg(long)]
    pub(super) fix: bool,

    /// Age from which a ring's primary key is overdue
    #[arg(long, value_name = "AGE", default_value = "365d", value_parser = duration::parse)]
    pub(super) key_age: Duration,

    /// Age from which a credential is overdue
    #[arg(long, value_name = "AGE", default_value = "365d", value_parser = duration::parse)]
    pub(super) credential_age: Duration,
}

/// The subcommands of `audit`.
#[derive(Subcommand)]
pub(super) enum AuditVerb {
    /// List the operations
    Show(Show),
    /// Check that no entry was altered, removed or inserted
    Verify {
        /// File with a head that `audit head` printed earlier: truncation can only be detected by comparing against one
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        head: Option<PathBuf>,
    },
    /// Verify the log and print its signed head, to be stored elsewhere
    Head,
    /// Report suspicious activity
    Report {
        /// Examine operations since then, and compare them with those before: an age (7d) or a time (2026-01-31)
        #[arg(long, value_name = "TIME", default_value = "7d", value_parser = duration::time)]
        since: String,

        /// Working hours, in UTC
        #[arg(long, value_name = "FROM-TO", default_value = "7-19", value_parser = hours)]
        hours: (u8, u8),
    },
    /// Print the hash that stands for a user in a log with hashed user ids
    Hash(User),
}

#[derive(Args)]
pub(super) struct Show {
    /// Only operations on this user's record
    #[arg(long, value_name = "USER", value_parser = user)]
    pub(super) user: Option<UserId>,

    /// Only this operation
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(Operation::ALL.map(Operation::name)))]
    pub(super) operation: Option<String>,

    /// Only this outcome: done, failed, unfinished, or an error code
    #[arg(long, value_name = "OUTCOME")]
    pub(super) outcome: Option<String>,

    /// Only operations since then: an age (7d, 36h) or a time (2026-01-31, 2026-01-31T12:00:00Z)
    #[arg(long, value_name = "TIME", value_parser = duration::time)]
    pub(super) since: Option<String>,

    /// Only operations before then
    #[arg(long, value_name = "TIME", value_parser = duration::time)]
    pub(super) until: Option<String>,
}

/// The subcommands of `keys`.
#[derive(Subcommand)]
pub(super) enum Keys {
    /// List the keys, and how many records are encrypted with each
    List {
        /// Don't decrypt the records to count them
        #[arg(long)]
        no_records: bool,
    },
    /// Add a new key; the first one creates the file and is the primary key
    Add(AddKey),
    /// Make a key the primary one, which encrypts from now on
    Promote(KeyId),
    /// Retire a key that no record needs; it stays in the file
    Retire(KeyId),
    /// Put a retired key back into use
    Restore(KeyId),
    /// Write a key into a file of its own, for a program that reads no key ring
    Export {
        /// Id of the key
        id: String,

        /// The file, which must not exist yet; only its owner can read it
        #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
        out: PathBuf,
    },
    /// Permanently remove a retired key
    Erase {
        /// Id of the key
        id: String,

        /// Don't ask for confirmation
        #[arg(short, long)]
        yes: bool,
    },
}

#[derive(Args)]
pub(super) struct AddKey {
    /// Id of the key; default: a random one. Records show it in the clear
    #[arg(long)]
    pub(super) id: Option<String>,

    /// Make it the primary key, which encrypts from now on
    #[arg(long)]
    pub(super) primary: bool,

    /// Read the key from standard input instead of generating one; one trailing newline is removed
    #[arg(long)]
    pub(super) key_stdin: bool,
}

#[derive(Args)]
pub(super) struct KeyId {
    /// Id of the key
    pub(super) id: String,
}

#[derive(Args)]
pub(super) struct Verify {
    /// User ids; default: all
    #[arg(value_parser = user)]
    pub(super) users: Vec<UserId>,

    /// Compare the records with the audit log: find those that were restored to an older state, removed, or written by
    /// another program
    #[arg(long)]
    pub(super) against_log: bool,
}

#[derive(Args)]
pub(super) struct Component {
    /// Print the WIT contract
    #[arg(long, conflicts_with = "out")]
    pub(super) wit: bool,

    /// Write the component to a new file, for use in other hosts
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) out: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct Exec {
    /// User ids. All values of a credential become variables: MOAT_USERNAME, MOAT_PASSWORD, and MOAT_ with the name of
    /// each field in upper case; of several credentials, MOAT_USER_PASSWORD
    #[arg(value_parser = user, required_unless_present = "env")]
    pub(super) users: Vec<UserId>,

    /// Prefix of the variables' names
    #[arg(long, default_value = "MOAT_", value_parser = prefix)]
    pub(super) prefix: String,

    /// Set this variable to one value of a credential: username, password, or the name of a field. May be repeated
    #[arg(long, value_name = "VARIABLE=USER:FIELD", value_parser = env_variable)]
    pub(super) env: Vec<EnvVariable>,

    /// Also set variables that loaders, shells or interpreters obey, such as PATH or LD_PRELOAD
    #[arg(long)]
    pub(super) allow_special_variables: bool,

    /// Program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND", value_hint = ValueHint::CommandWithArguments)]
    pub(super) command: Vec<OsString>,
}

/// A variable with one value of a credential.
#[derive(Clone)]
pub(super) struct EnvVariable {
    pub(super) variable: String,
    pub(super) user: UserId,
    pub(super) field: String,
}

#[derive(Args)]
pub(super) struct Inject {
    /// Template, with a reference {{ moat://USER/FIELD }} for each value; default: standard input
    #[arg(short, long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(super) in_file: Option<PathBuf>,

    /// File to write, which only its owner can read; default: standard output
    #[arg(short, long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(super) out_file: Option<PathBuf>,

    /// Replace the file if it exists
    #[arg(short, long, requires = "out_file")]
    pub(super) force: bool,
}

/// The sources of `import`.
#[derive(Subcommand)]
pub(super) enum ImportVerb {
    /// The password store of pass
    Pass(ImportStore),
    /// The password store of gopass
    Gopass(ImportStore),
    /// An export of Bitwarden or Vaultwarden: JSON, not encrypted
    Bitwarden(ImportFile),
    /// An export of KeePassXC or KeePass: CSV
    Keepass(ImportFile),
    /// A file of variables, NAME=value, which become the fields of one credential
    Env(ImportEnv),
    /// What `moat export` has written
    Moat(ImportFile),
}

impl ImportVerb {
    pub(super) fn options(&self) -> &ImportOptions {
        match self {
            Self::Pass(from) | Self::Gopass(from) => &from.options,
            Self::Bitwarden(from) | Self::Keepass(from) | Self::Moat(from) => &from.options,
            Self::Env(from) => &from.options,
        }
    }
}

#[derive(Args)]
pub(super) struct ImportStore {
    /// Directory of the store, or a part of it; default: PASSWORD_STORE_DIR or ~/.password-store; for gopass
    /// ~/.local/share/gopass/stores/root
    #[arg(value_hint = ValueHint::DirPath)]
    pub(super) store: Option<PathBuf>,

    #[command(flatten)]
    pub(super) options: ImportOptions,
}

#[derive(Args)]
pub(super) struct ImportFile {
    /// File, perhaps encrypted with age; `-` is standard input
    #[arg(value_hint = ValueHint::FilePath)]
    pub(super) file: PathBuf,

    #[command(flatten)]
    pub(super) options: ImportOptions,
}

#[derive(Args)]
pub(super) struct ImportEnv {
    /// File, perhaps encrypted with age; `-` is standard input
    #[arg(value_hint = ValueHint::FilePath)]
    pub(super) file: PathBuf,

    /// User id of the credential
    #[arg(long, value_name = "USER", value_parser = user)]
    pub(super) user: UserId,

    /// Variable with the user name; default: USERNAME, if there is one
    #[arg(long, value_name = "NAME")]
    pub(super) username_from: Option<String>,

    /// Variable with the password; default: PASSWORD, if there is one
    #[arg(long, value_name = "NAME")]
    pub(super) password_from: Option<String>,

    #[command(flatten)]
    pub(super) options: ImportOptions,
}

/// How to import, whatever the source.
#[derive(Args)]
pub(super) struct ImportOptions {
    /// Show what would become of each entry, without writing anything
    #[arg(long)]
    pub(super) dry_run: bool,

    /// Text before each user id
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(super) prefix: String,

    /// What to do if users of some entries have a credential already
    #[arg(long, value_enum, default_value_t = Existing::Fail)]
    pub(super) existing: Existing,

    /// File with age identities, for what is encrypted with age; others must not be able to read it
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) identity: Option<PathBuf>,

    /// Store new users' credentials even if the master key decrypts none of the existing records
    #[arg(long)]
    pub(super) allow_new_key: bool,
}

/// What becomes of credentials that exist.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Existing {
    /// Write nothing at all
    Fail,
    /// Leave them as they are
    Skip,
    /// Replace them, with their fields
    Replace,
}

#[derive(Args)]
#[command(group = ArgGroup::new("protection").required(true).multiple(true).args([
    "recipient", "recipients_file", "plaintext",
]))]
pub(super) struct Export {
    /// User ids; default: all
    #[arg(value_parser = user)]
    pub(super) users: Vec<UserId>,

    /// Encrypt to this age recipient (age1…). May be repeated: each of them can decrypt
    #[arg(short, long, value_name = "RECIPIENT", value_parser = age_file::recipient)]
    pub(super) recipient: Vec<Recipient>,

    /// Encrypt to the age recipients in this file, one a line. May be repeated
    #[arg(short = 'R', long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) recipients_file: Vec<PathBuf>,

    /// Encode the encrypted document as text
    #[arg(short, long)]
    pub(super) armor: bool,

    /// Don't encrypt: whoever can read the document has all passwords
    #[arg(long, conflicts_with_all = ["recipient", "recipients_file", "armor"])]
    pub(super) plaintext: bool,

    /// File to write, which only its owner can read; default: standard output
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) output: Option<PathBuf>,

    /// Replace the file if it exists
    #[arg(short, long, requires = "output")]
    pub(super) force: bool,
}

fn user(text: &str) -> Result<UserId, UserIdError> {
    UserId::parse(text)
}

fn field(text: &str) -> Result<(String, Option<String>), Infallible> {
    Ok(match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (text.to_owned(), None),
    })
}

fn field_file(text: &str) -> Result<(String, PathBuf), &'static str> {
    let (name, path) = text.split_once('=').ok_or("missing `=`")?;
    Ok((name.to_owned(), path.into()))
}

fn field_fd(text: &str) -> Result<(String, u32), &'static str> {
    let (name, number) = text.split_once('=').ok_or("missing `=`")?;
    let number = number.parse().map_err(|_| "not the number of a file descriptor")?;
    Ok((name.to_owned(), number))
}

fn env_variable(text: &str) -> Result<EnvVariable, String> {
    let wrong =
        || "not of the form VARIABLE=USER:FIELD, such as DB_PASSWORD=db:password".to_owned();
    let (variable, value) = text.split_once('=').ok_or_else(wrong)?;
    let (user, field) = value.rsplit_once(':').ok_or_else(wrong)?;
    if variable.is_empty() {
        return Err(wrong());
    }
    Ok(EnvVariable {
        variable: prefix(variable)?,
        user: UserId::parse(user).map_err(|error| error.to_string())?,
        field: field.to_owned(),
    })
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds = text.parse().map_err(|_| "not a number of seconds")?;
    Duration::try_from_secs_f64(seconds).map_err(|_| "not a number of seconds")
}

/// A name of the system's database, or a rule as the variable `TZ` takes it (POSIX, 8.3).
pub(super) fn time_zone(text: &str) -> Result<TimeZone, &'static str> {
    ambient::time_zone(text).ok_or(
        "there is no such time zone; name one of /usr/share/zoneinfo (Europe/Berlin), or give the rule (CET-1CEST,M3.5.0,M10.5.0/3)",
    )
}

/// Bytes, or KiB, MiB, GiB: `64M`.
pub(super) fn size(text: &str) -> Result<u64, &'static str> {
    let wrong = "not a size such as 500K, 64M or 1G";
    let units = [("K", 10), ("M", 20), ("G", 30)];
    let found = units.iter().find_map(|(unit, bits)| Some((text.strip_suffix(unit)?, *bits)));
    let (number, bits) = found.unwrap_or((text, 0));
    let number: u64 = number.parse().map_err(|_| wrong)?;
    number.checked_mul(1 << bits).filter(|size| *size > 0).ok_or(wrong)
}

fn hours(text: &str) -> Result<(u8, u8), &'static str> {
    let wrong = "not a range of hours such as 7-19";
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
        Err(
            "a variable's name may contain only letters, digits and `_`, and must not begin with a digit",
        )
    }
}
