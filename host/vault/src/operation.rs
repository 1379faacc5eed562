//! What can be asked of the component, and what each of it needs.

use std::fmt;

/// A function of the component that the host calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Store a credential.
    Put,
    /// Open a record and hand out all of it.
    Reveal,
    /// Open a record and use a secret of it for somebody who doesn't get to see it.
    Apply,
    /// Open a record and tell all but its secrets.
    Describe,
    /// Tell a record's outside.
    Inspect,
    /// Note a use.
    MarkUsed,
    /// Note the outcome of a login attempt.
    MarkValidated,
    /// Remove a record.
    Remove,
    /// List the users.
    Users,
    /// Open several records and tell all but their secrets.
    Verify,
    /// Encrypt records of legacy kinds, or bring records to another version or spelling.
    Migrate,
    /// Bring records under the primary key.
    Rewrap,
    /// Set the version and the spelling of new records.
    Configure,
    /// List the files that are neither records nor this program's own.
    Leftovers,
    /// Remove a backup that the FossaWork application made of a record.
    RemoveBackup,
}

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
    /// Be lent the master keys, and the derived keys that the host kept for these users.
    pub keys: bool,
}

impl Access {
    /// Whether it changes the directory.
    pub fn writes(self) -> bool {
        self.write || self.remove || self.remove_backups || self.settings
    }

    /// What it is, each right in a few words.
    pub fn names(self) -> Vec<&'static str> {
        let parts = [
            (self.read, "read the user's file"),
            (self.write, "write the user's file"),
            (self.remove, "remove the user's file"),
            (self.remove_backups, "remove the user's backups"),
            (self.settings, "the directory's settings"),
            (self.list, "list the directory"),
            (self.keys, "master keys"),
        ];
        parts.into_iter().filter_map(|(is_granted, name)| is_granted.then_some(name)).collect()
    }

    /// What either of the two is.
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

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 15] = [
        Self::Put,
        Self::Reveal,
        Self::Apply,
        Self::Describe,
        Self::Inspect,
        Self::MarkUsed,
        Self::MarkValidated,
        Self::Remove,
        Self::Users,
        Self::Verify,
        Self::Migrate,
        Self::Rewrap,
        Self::Configure,
        Self::Leftovers,
        Self::RemoveBackup,
    ];

    /// Whether it writes the files of several users, all at its end.
    pub(crate) fn writes_many(self) -> bool {
        matches!(self, Self::Migrate | Self::Rewrap)
    }

    /// What it is granted.
    pub fn access(self) -> Access {
        let none = Access::default();
        let open = Access { read: true, keys: true, ..none };
        let rewrite = Access { write: true, ..open };
        match self {
            Self::Put | Self::Migrate => Access { settings: true, ..rewrite },
            Self::MarkUsed | Self::MarkValidated | Self::Rewrap => rewrite,
            Self::Reveal | Self::Apply | Self::Describe | Self::Verify => open,
            Self::Inspect => Access { read: true, ..none },
            Self::Remove => Access { remove: true, ..none },
            Self::Users | Self::Leftovers => Access { list: true, ..none },
            Self::Configure => Access { settings: true, ..none },
            Self::RemoveBackup => Access { remove_backups: true, ..open },
        }
    }

    /// The name of the function in the contract; `apply` is the interface, since the component has no function for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Reveal => "reveal",
            Self::Apply => "apply",
            Self::Describe => "describe",
            Self::Inspect => "inspect",
            Self::MarkUsed => "mark-used",
            Self::MarkValidated => "mark-validated",
            Self::Remove => "remove",
            Self::Users => "users",
            Self::Verify => "verify",
            Self::Migrate => "migrate",
            Self::Rewrap => "rewrap",
            Self::Configure => "configure",
            Self::Leftovers => "leftovers",
            Self::RemoveBackup => "remove-backup",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
