//! A vault with less authority, for code that is trusted with less: a plugin, a tenant, a part of a service.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::contract::{Credential, Envelope, ErrorCode, Summary};
use crate::error::Error;
use crate::operation::Operation;
use crate::ops::{MigrateOptions, PutOptions, Revealed, Rewritten, Stored};
use crate::vault::Vault;
use moat_format::user_id::UserId;

/// The name of the password among a credential's secrets; no field can have it.
pub(crate) const PASSWORD: &str = "password";

/// What somebody may do with a vault: these operations, for these users, and no more.
///
/// A scope is made by [`Vault::scope`] and can only become narrower: whoever has one can restrict it further and hand it
/// on, and every call has to pass all restrictions. What it refuses fails with [`ErrorCode::Denied`]. In the audit log
/// all that is done or refused stands under the scope's name.
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
/// let once = mailer.uses(1).lasting(Duration::from_secs(60)).operations([Operation::Reveal]);
/// once.reveal(&anna)?;
/// assert_eq!(once.reveal(&anna).unwrap_err().code(), ErrorCode::Denied);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Scope {
    vault: Vault,
    /// Every call has to pass all of them.
    restrictions: Vec<Arc<Restriction>>,
}

enum Restriction {
    Users(BTreeSet<UserId>),
    Operations(HashSet<Operation>),
    Secrets(BTreeSet<String>),
    /// How many uses are left.
    Uses(AtomicU64),
    Until(Instant),
}

impl Vault {
    /// A handle for somebody of this name, to do these operations for these users.
    ///
    /// [`Operation::Configure`] and [`Operation::Leftovers`] are about no user, and so in no scope.
    pub fn scope(
        &self,
        name: &str,
        users: impl IntoIterator<Item = UserId>,
        operations: impl IntoIterator<Item = Operation>,
    ) -> Scope {
        Scope { vault: self.on_behalf_of(name), restrictions: Vec::new() }
            .users(users)
            .operations(operations)
    }
}

impl Scope {
    /// Restricts it to these of its users.
    #[must_use]
    pub fn users(&self, users: impl IntoIterator<Item = UserId>) -> Self {
        self.restricted(Restriction::Users(users.into_iter().collect()))
    }

    /// Restricts it to these of its operations.
    #[must_use]
    pub fn operations(&self, operations: impl IntoIterator<Item = Operation>) -> Self {
        self.restricted(Restriction::Operations(operations.into_iter().collect()))
    }

    /// Restricts it to these secrets: `password`, and names of fields. Without the password nothing can be revealed,
    /// but it can be applied; and nothing can be put, since that replaces them all.
    #[must_use]
    pub fn secrets<S: Into<String>>(&self, names: impl IntoIterator<Item = S>) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        self.restricted(Restriction::Secrets(names))
    }

    /// Restricts it to so many uses from now on, one for each user of a call. What is refused is none.
    #[must_use]
    pub fn uses(&self, uses: u64) -> Self {
        self.restricted(Restriction::Uses(AtomicU64::new(uses)))
    }

    /// Restricts it to so much time from now on.
    #[must_use]
    pub fn lasting(&self, time: Duration) -> Self {
        match Instant::now().checked_add(time) {
            Some(end) => self.restricted(Restriction::Until(end)),
            // Longer than the clock goes is no restriction.
            None => self.clone(),
        }
    }

    fn restricted(&self, restriction: Restriction) -> Self {
        let mut narrower = self.clone();
        narrower.restrictions.push(Arc::new(restriction));
        narrower
    }

    /// The name that it was made for.
    pub fn name(&self) -> &str {
        self.vault.actor()
    }

    /// As [`Vault::put`].
    pub fn put(
        &self,
        user: &UserId,
        credential: &Credential,
        options: &PutOptions,
    ) -> Result<Stored, Error> {
        self.admit(Operation::Put, slice::from_ref(user))?;
        self.vault.put(user, credential, options)
    }

    /// As [`Vault::reveal`], with those fields that are in scope.
    pub fn reveal(&self, user: &UserId) -> Result<Revealed, Error> {
        self.admit(Operation::Reveal, slice::from_ref(user))?;
        let mut revealed = self.vault.reveal(user)?;
        revealed.retain_fields(|name| self.has_secret(name));
        Ok(revealed)
    }

    /// HMAC-SHA256 (RFC 2104) of a message under the UTF-8 bytes of a secret, `password` or a field's name, by
    /// [`Operation::Apply`]. Fails with [`ErrorCode::NotFound`] when there is none of this name.
    pub fn hmac_sha256(
        &self,
        user: &UserId,
        secret: &str,
        message: &[u8],
    ) -> Result<[u8; 32], Error> {
        self.apply(user, secret, "hmac-sha256", |_, secret| {
            let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_err(|error| {
                Error::caused(ErrorCode::Sandbox, "the secret can't be a key", error)
            })?;
            Ok(mac.chain_update(message).finalize().into_bytes().into())
        })
    }

    /// Opens a record for a use of one of its secrets.
    pub(crate) fn apply<T>(
        &self,
        user: &UserId,
        secret: &str,
        purpose: &str,
        usage: impl FnOnce(&Credential, &str) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let vault = self.vault.for_purpose(purpose);
        self.admit_to(&vault, Operation::Apply, slice::from_ref(user), Some(secret))?;
        let revealed = vault.open(Operation::Apply, user)?;
        let credential = revealed.credential();
        let mut fields = credential.fields().iter();
        let value = match secret {
            PASSWORD => Some(credential.expose_password()),
            _ => fields.find(|field| field.name() == secret).map(|field| field.expose_value()),
        };
        let missing = || Error::new(ErrorCode::NotFound, "the credential has no such secret");
        usage(credential, value.ok_or_else(missing)?)
    }

    /// As [`Vault::describe`].
    pub fn describe(&self, user: &UserId) -> Result<Summary, Error> {
        self.admit(Operation::Describe, slice::from_ref(user))?;
        self.vault.describe(user)
    }

    /// As [`Vault::inspect`].
    pub fn inspect(&self, user: &UserId) -> Result<Envelope, Error> {
        self.admit(Operation::Inspect, slice::from_ref(user))?;
        self.vault.inspect(user)
    }

    /// As [`Vault::mark_used`].
    pub fn mark_used(&self, user: &UserId) -> Result<Summary, Error> {
        self.admit(Operation::MarkUsed, slice::from_ref(user))?;
        self.vault.mark_used(user)
    }

    /// As [`Vault::mark_validated`].
    pub fn mark_validated(&self, user: &UserId, valid: bool) -> Result<Summary, Error> {
        self.admit(Operation::MarkValidated, slice::from_ref(user))?;
        self.vault.mark_validated(user, valid)
    }

    /// As [`Vault::remove`].
    pub fn remove(&self, user: &UserId, expected_revision: Option<&str>) -> Result<bool, Error> {
        self.admit(Operation::Remove, slice::from_ref(user))?;
        self.vault.remove(user, expected_revision)
    }

    /// As [`Vault::remove_backup`].
    pub fn remove_backup(&self, name: &str) -> Result<bool, Error> {
        let user = UserId::from_backup_name(name);
        self.admit(Operation::RemoveBackup, user.as_slice())?;
        self.vault.remove_backup(name)
    }

    /// Those of the scope's users who have a record, in ascending order of their bytes.
    pub fn existing_users(&self) -> Result<Vec<UserId>, Error> {
        self.admit(Operation::Users, &[])?;
        let is_in_scope =
            |user: &Result<UserId, Error>| user.as_ref().map_or(true, |user| self.has_user(user));
        self.vault.users().filter(is_in_scope).collect()
    }

    /// As [`Vault::verify`].
    pub fn verify(&self, users: &[UserId]) -> Result<Vec<Result<Summary, Error>>, Error> {
        self.admit(Operation::Verify, users)?;
        self.vault.verify(users)
    }

    /// As [`Vault::migrate`], but in no scope is it to accept what anyone could have written.
    pub fn migrate(
        &self,
        users: &[UserId],
        options: &MigrateOptions,
    ) -> Result<Vec<Result<Rewritten, Error>>, Error> {
        if options.accept_default_key || options.accept_plaintext {
            let why = "what anyone could have written is in no scope to accept";
            return refuse(&self.vault, Operation::Migrate, users, why);
        }
        self.admit(Operation::Migrate, users)?;
        self.vault.migrate(users, options)
    }

    /// As [`Vault::rewrap`].
    pub fn rewrap(
        &self,
        users: &[UserId],
        dry_run: bool,
    ) -> Result<Vec<Result<Rewritten, Error>>, Error> {
        self.admit(Operation::Rewrap, users)?;
        self.vault.rewrap(users, dry_run)
    }

    /// Whether all restrictions let this pass; then it counts as used.
    fn admit(&self, operation: Operation, users: &[UserId]) -> Result<(), Error> {
        let secret = (operation == Operation::Reveal).then_some(PASSWORD);
        self.admit_to(&self.vault, operation, users, secret)
    }

    fn admit_to(
        &self,
        vault: &Vault,
        operation: Operation,
        users: &[UserId],
        secret: Option<&str>,
    ) -> Result<(), Error> {
        let uses = users.len().max(1) as u64;
        let refusal = self
            .refusal(operation, users, secret)
            .or_else(|| (!self.take_uses(uses)).then(|| "its uses are used up".to_owned()));
        refusal.map_or(Ok(()), |why| refuse(vault, operation, users, &why))
    }

    /// Refuses a use of one of a user's secrets.
    #[cfg(feature = "http")]
    pub(crate) fn refuse_apply<T>(
        &self,
        user: &UserId,
        purpose: &str,
        why: &str,
    ) -> Result<T, Error> {
        let vault = self.vault.for_purpose(purpose);
        refuse(&vault, Operation::Apply, slice::from_ref(user), why)
    }

    /// Refuses what is in no scope.
    pub(crate) fn refuse<T>(&self, operation: Operation) -> Result<T, Error> {
        refuse(&self.vault, operation, &[], "it is about the whole directory")
    }

    fn refusal(
        &self,
        operation: Operation,
        users: &[UserId],
        secret: Option<&str>,
    ) -> Option<String> {
        self.restrictions.iter().find_map(|restriction| match &**restriction {
            Restriction::Operations(operations) if !operations.contains(&operation) => {
                Some("the operation is not in its scope".to_owned())
            }
            Restriction::Users(all) => users
                .iter()
                .find(|user| !all.contains(*user))
                .map(|user| format!("{user} is not in its scope")),
            Restriction::Secrets(_) if operation == Operation::Put => {
                Some("some of the secrets are not in its scope".to_owned())
            }
            Restriction::Secrets(names) => secret
                .filter(|secret| !names.contains(*secret))
                .map(|_| "the secret is not in its scope".to_owned()),
            Restriction::Until(end) if Instant::now() >= *end => {
                Some("its time is over".to_owned())
            }
            _ => None,
        })
    }

    /// Takes uses from every count, or from none.
    fn take_uses(&self, uses: u64) -> bool {
        let counts: Vec<_> = self.restrictions.iter().filter_map(|r| r.count()).collect();
        let take = |count: &&&AtomicU64| {
            let taken = |left: u64| left.checked_sub(uses);
            count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok()
        };
        let taken = counts.iter().take_while(take).count();
        if taken == counts.len() {
            return true;
        }
        for count in counts.iter().take(taken) {
            count.fetch_add(uses, Ordering::Relaxed);
        }
        false
    }

    fn has_user(&self, user: &UserId) -> bool {
        self.restrictions.iter().all(|restriction| match &**restriction {
            Restriction::Users(users) => users.contains(user),
            _ => true,
        })
    }

    fn has_secret(&self, name: &str) -> bool {
        self.restrictions.iter().all(|restriction| match &**restriction {
            Restriction::Secrets(names) => names.contains(name),
            _ => true,
        })
    }
}

impl Restriction {
    fn count(&self) -> Option<&AtomicU64> {
        match self {
            Self::Uses(count) => Some(count),
            _ => None,
        }
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("name", &self.name()).finish_non_exhaustive()
    }
}

/// A refusal stands in the audit log like all that is done.
fn refuse<T>(vault: &Vault, operation: Operation, users: &[UserId], why: &str) -> Result<T, Error> {
    let message = format!("{:?} may not {operation}: {why}", vault.actor());
    let refusal = || Err(Error::new(ErrorCode::Denied, message));
    vault.audited(operation, users, refusal, |_| Vec::new())
}
