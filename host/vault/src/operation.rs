//! The operations of a vault, each declared once: its name and what it needs.

use std::fmt;

/// What an operation needs, for the users that it is called for. Everything else is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Access {
    /// Read these users' files.
    pub read: bool,
    /// Write these users' files.
    pub write: bool,
    /// Remove these users' files.
    pub remove: bool,
    /// Remove the backups that the FossaWork application made of these users' files.
    pub remove_backups: bool,
    /// Read and write the settings of the directory.
    pub settings: bool,
    /// See the names of all files.
    pub list: bool,
    /// Get the master keys, and the derived keys that the host kept for these users.
    pub keys: bool,
}

impl Access {
    /// Whether it covers reading the settings of the directory: they say what may be derived to decrypt a file.
    pub(crate) fn reads_settings(self) -> bool {
        self.settings || self.read && self.keys
    }

    /// Whether it changes the directory.
    pub fn writes(self) -> bool {
        self.write || self.remove || self.remove_backups || self.settings
    }

    /// What of it leaves the directory as it is.
    pub(crate) fn without_writes(self) -> Self {
        Self { write: false, remove: false, remove_backups: false, settings: false, ..self }
    }

    /// What it covers, each right in a few words.
    pub fn names(self) -> Vec<&'static str> {
        let parts = [
            (self.read, "read the user's file"),
            (self.write, "write the user's file"),
            (self.remove, "remove the user's file"),
            (self.remove_backups, "remove the user's backups"),
            (self.reads_settings() && !self.settings, "read the directory's settings"),
            (self.settings, "the directory's settings"),
            (self.list, "list the directory"),
            (self.keys, "master keys"),
        ];
        parts.into_iter().filter_map(|(is_granted, name)| is_granted.then_some(name)).collect()
    }

    /// What either of the two covers.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            read: self.read || other.read,
            write: self.write || other.write,
            remove: self.remove || other.remove,
            remove_backups: self.remove_backups || other.remove_backups,
            settings: self.settings || other.settings,
            list: self.list || other.list,
            keys: self.keys || other.keys,
        }
    }
}

/// Declares the operations: `/// what it does`, `Case = "name" [access]`.
macro_rules! operations {
    ($($(#[$doc:meta])+ $case:ident = $name:literal [$($access:ident)+],)+) => {
        /// What can be asked of a vault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Operation {
            $($(#[$doc])+ $case,)+
        }

        impl Operation {
            /// Every operation.
            pub const ALL: [Self; [$(Self::$case,)+].len()] = [$(Self::$case,)+];

            /// The name in the contract and in the audit log.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$case => $name,)+
                }
            }

            /// What it is granted.
            pub fn access(self) -> Access {
                match self {
                    $(Self::$case => Access { $($access: true,)+ ..Access::default() },)+
                }
            }
        }
    };
}

operations! {
    /// Store a credential.
    Put = "put" [read write settings keys],
    /// Change a part of a credential.
    Change = "change" [read write keys],
    /// Store the credential of another user.
    Copy = "copy" [read write settings keys],
    /// Return which earlier versions of a credential are kept.
    History = "history" [read keys],
    /// Put an earlier version in the place of a credential.
    Restore = "restore" [read write keys],
    /// Decrypt a record and return all of it.
    Reveal = "reveal" [read keys],
    /// Decrypt a record and return an earlier version of its credential.
    RevealVersion = "reveal-version" [read keys],
    /// Decrypt a record and use a secret of it on behalf of somebody who doesn't get to see it. The contract's interface
    /// of this name is the host's; the component has no such function.
    Apply = "apply" [read keys],
    /// Decrypt a record and return all but its secrets.
    Describe = "describe" [read keys],
    /// Return a record's envelope.
    Inspect = "inspect" [read],
    /// Record a use.
    MarkUsed = "mark-used" [read write keys],
    /// Record the outcome of a login attempt.
    MarkValidated = "mark-validated" [read write keys],
    /// Remove a record.
    Remove = "remove" [remove],
    /// List the users.
    Users = "users" [list],
    /// Decrypt several records and return all but their secrets.
    Verify = "verify" [read keys],
    /// Encrypt records of legacy kinds, or bring records to another version or token encoding.
    Migrate = "migrate" [read write settings keys],
    /// Encrypt records with the primary key that are encrypted with another.
    Rewrap = "rewrap" [read write settings keys],
    /// Set the version and the token encoding of new records, and how many earlier versions are kept.
    Configure = "configure" [settings keys],
    /// List the files that are neither records nor the program's own.
    Leftovers = "leftovers" [list],
    /// Remove a backup that the FossaWork application made of a record.
    RemoveBackup = "remove-backup" [read remove_backups keys],
}

impl Operation {
    /// Whether it replaces secrets of a credential.
    pub(crate) fn writes_secrets(self) -> bool {
        matches!(self, Self::Put | Self::Change | Self::Copy | Self::Restore)
    }

    /// Whether it writes the files of several users, all at its end.
    pub(crate) fn writes_many(self) -> bool {
        matches!(self, Self::Migrate | Self::Rewrap)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
