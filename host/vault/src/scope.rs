//! A vault with less authority, for code that is trusted with less: a plugin, a tenant, a part of a service.

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use crate::operation::Operation;
use crate::restriction::Restriction;
use crate::vault::Vault;
use moat_format::user_id::UserId;

/// A vault that is restricted to some operations for some users.
///
/// A scope is made by [`Vault::scope`] and can only become narrower: anyone who has one can restrict it further and pass it
/// on, and every call has to satisfy all restrictions. It has all methods of [`Vault`]; what it may not do fails with
/// [`ErrorCode::Denied`](crate::ErrorCode::Denied). In the audit log all that is done or refused bears the scope's name.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use cap_std::{ambient_authority, fs::Dir};
/// use std::time::Duration;
/// use moat::{Credential, Directory, ErrorCode, KeyRing, MasterKey, Operation, PutOptions, UserId, Vault};
///
/// # let path = tempfile::tempdir()?;
/// # let directory = Directory::new(Dir::open_ambient_dir(&path, ambient_authority())?)?;
/// # let keys = KeyRing::new(MasterKey::new(moat::generate_key()?.as_bytes()));
/// # let vault = Vault::builder(directory, keys).build()?;
/// let [anna, bob] = [UserId::parse("anna")?, UserId::parse("bob")?];
/// vault.put(&anna, &Credential::new("anna", "correct horse"), &PutOptions::default())?;
///
/// let mailer = vault.scope("mailer", [anna.clone()], [Operation::Reveal, Operation::MarkUsed]);
/// assert_eq!(mailer.reveal(&anna)?.credential().expose_password(), "correct horse");
/// assert_eq!(mailer.reveal(&bob).unwrap_err().code(), ErrorCode::Denied);
/// assert_eq!(mailer.describe(&anna).unwrap_err().code(), ErrorCode::Denied);
///
/// let once = mailer.uses(1).lasting(Duration::from_secs(60)).only_operations([Operation::Reveal]);
/// once.reveal(&anna)?;
/// assert_eq!(once.reveal(&anna).unwrap_err().code(), ErrorCode::Denied);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Scope(Vault);

impl Vault {
    /// A handle for somebody of this name, for these operations and these users.
    ///
    /// [`Operation::Configure`] and [`Operation::Leftovers`] concern the whole directory and so are in no scope. Nor does
    /// any scope accept what anyone could have written ([`MigrateOptions`](crate::MigrateOptions)).
    pub fn scope(
        &self,
        name: &str,
        users: impl IntoIterator<Item = UserId>,
        operations: impl IntoIterator<Item = Operation>,
    ) -> Scope {
        Scope(self.on_behalf_of(name)).only_users(users).only_operations(operations)
    }
}

impl Scope {
    /// Restricts it to these of its users.
    #[must_use]
    pub fn only_users(&self, users: impl IntoIterator<Item = UserId>) -> Self {
        self.with(Restriction::Users(users.into_iter().collect()))
    }

    /// Restricts it to these of its operations.
    #[must_use]
    pub fn only_operations(&self, operations: impl IntoIterator<Item = Operation>) -> Self {
        self.with(Restriction::Operations(operations.into_iter().collect()))
    }

    /// Restricts it to these secrets: `password`, and names of fields. Without the password nothing can be revealed,
    /// but it can be applied; and nothing can be put, changed, copied or restored, since that concerns all of them.
    #[must_use]
    pub fn only_secrets<S: Into<String>>(&self, names: impl IntoIterator<Item = S>) -> Self {
        self.with(Restriction::Secrets(names.into_iter().map(Into::into).collect()))
    }

    /// Restricts it to this number of uses from now on: each call takes one for every user that it is for, and a list one
    /// for every 4,096 names in the directory. What is refused takes none.
    #[must_use]
    pub fn uses(&self, uses: u64) -> Self {
        self.with(Restriction::Uses(AtomicU64::new(uses)))
    }

    /// Restricts it to this much time from now on.
    #[must_use]
    pub fn lasting(&self, time: Duration) -> Self {
        match Instant::now().checked_add(time) {
            Some(end) => self.with(Restriction::Until(end)),
            // Longer than the clock goes is no restriction.
            None => self.clone(),
        }
    }

    fn with(&self, restriction: Restriction) -> Self {
        Self(self.0.restricted(restriction))
    }

    /// The name that it was made for.
    pub fn name(&self) -> &str {
        self.0.actor()
    }
}

impl Deref for Scope {
    type Target = Vault;

    fn deref(&self) -> &Vault {
        &self.0
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("name", &self.name()).finish_non_exhaustive()
    }
}
