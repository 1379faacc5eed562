//! The audit log: who accessed which record, when, and with what outcome. The host writes it, and the component can't
//! reach it.
//!
//! It consists of JSON Lines, two for each user that an operation is for: an intent before, an outcome after. Each entry
//! carries the SHA-256 of the one before and an HMAC over itself, so that an entry with a valid HMAC vouches for all before
//! it: none can be altered, removed or inserted undetected. Truncation can only be detected by comparing against a [`Head`]
//! that was kept elsewhere.
//!
//! Each entry is also an event of `tracing`, with the target `moat::audit`, for whatever an embedder sends those to.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use cap_std::{ambient_authority, fs::Dir};
//! use moat::audit::{self, AuditKey, AuditKeys, AuditLog, Rotation};
//! use moat::{Credential, Directory, KeyRing, MasterKey, PutOptions, UserId, Vault};
//!
//! # let (credentials, logs) = (tempfile::tempdir()?, tempfile::tempdir()?);
//! # let directory = Directory::new(Dir::open_ambient_dir(&credentials, ambient_authority())?)?;
//! let keys = KeyRing::new(MasterKey::new(moat::generate_key()?.as_bytes()));
//! let logs = Dir::open_ambient_dir(&logs, ambient_authority())?;
//! let log = AuditLog::new(
//!     logs.try_clone()?,
//!     "audit.log",
//!     AuditKey::derive(keys.primary()),
//!     Rotation { size: Some(64 << 20), age: None },
//! );
//! let vault = Vault::builder(directory, keys.clone()).audit(log).build()?;
//!
//! let anna = UserId::parse("anna@example.com")?;
//! let service = vault.on_behalf_of("the mail service");
//! service.put(&anna, &Credential::new("anna", "correct horse"), &PutOptions::default())?;
//!
//! let verification = audit::verify(&logs, "audit.log", &mut AuditKeys::new(None, Some(keys)), None)?;
//! assert!(verification.finding.is_none());
//! assert_eq!(verification.entries, 4);
//! let mut operations = vec![];
//! for operation in audit::operations(&logs, "audit.log")? {
//!     let outcome = operation?.outcome.ok_or("it was interrupted")?;
//!     assert_eq!(outcome.actor, "the mail service");
//!     operations.push(outcome.operation);
//! }
//! // The first put into an empty directory decides on its settings.
//! assert_eq!(operations, ["configure", "put"]);
//! # Ok(())
//! # }
//! ```

mod entry;
mod file;
mod history;
mod key;
mod keys;
mod operations;
mod refusals;
mod segments;
mod verify;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use cap_std::fs::Dir;

use crate::contract::{ErrorCode, KeyInfo};
use crate::effects::Effects;
use crate::error::Error;
use crate::request::Request;

pub use entry::{Entry, Phase, Takeover};
pub use file::Rotation;
pub use history::{History, Standing};
pub use key::AuditKey;
pub use keys::AuditKeys;
pub use operations::{AuditedOperation, operations};
pub use verify::{Finding, FindingKind, Head, Verification, verify};

use file::{Job, LogFile};
use refusals::Refusals;

/// The longest text in an entry that a caller chose, in bytes.
const LONGEST_TEXT: usize = 256;

/// What happens to an operation whose entries can't be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuditPolicy {
    /// It fails with [`ErrorCode::Audit`]: nothing is changed before the intent is durable, and nothing is released before
    /// the outcome is.
    #[default]
    Required,
    /// It continues, with a warning.
    BestEffort,
}

/// An audit log to append to. Clones are the same log; any number of threads and processes can write it.
#[derive(Clone)]
pub struct AuditLog {
    file: Arc<LogFile>,
    refusals: Arc<Refusals>,
    policy: AuditPolicy,
    hashes_users: bool,
}

impl AuditLog {
    /// The log of this name in a directory. Nothing is opened yet; the first entry creates the file, with mode 0600.
    pub fn new(dir: Dir, name: &str, key: AuditKey, rotation: Rotation) -> Self {
        let file = Arc::new(LogFile::new(dir, name, key, rotation));
        Self { file, refusals: Arc::default(), policy: AuditPolicy::default(), hashes_users: false }
    }

    /// Sets the keys that earlier entries may be under. The first entry under the log's own key says whether the one before is
    /// genuine; only with its key can that be said.
    #[must_use]
    pub fn with_former_keys(self, keys: AuditKeys) -> Self {
        self.file.set_former_keys(keys);
        self
    }

    /// Sets what happens to an operation whose entries can't be written.
    #[must_use]
    pub fn with_policy(mut self, policy: AuditPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Writes each user's [`AuditKey::user_hash`] instead of the name.
    #[must_use]
    pub fn with_hashed_users(mut self, hashed: bool) -> Self {
        self.hashes_users = hashed;
        self
    }

    /// Does the work of an operation between its intent and its outcome, with an entry of both kinds for every user.
    pub(crate) fn around<T>(
        &self,
        event: &Event<'_>,
        work: impl FnOnce() -> (Result<T, Error>, Effects),
        outcomes: impl Fn(&T) -> Vec<Outcome>,
    ) -> Result<T, Error> {
        let Request { operation, users, .. } = *event.request;
        let access = operation.access();
        let intents =
            Job { entries: self.intents(event)?, reserves: true, is_durable: access.writes() };
        self.write_overdue_refusals()?;
        let mut entries = self.write(intents, "nothing was done")?;
        let begun = Instant::now();
        let (answer, effects) = work();
        let duration = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        let outcomes = match &answer {
            Ok(answer) => outcomes(answer),
            Err(error) => vec![Outcome::failed(error); entries.len()],
        };
        for (place, (entry, outcome)) in entries.iter_mut().zip(outcomes).enumerate() {
            let user = users.get(place);
            let effect = user.and_then(|user| effects.of(user));
            let settings = effects.settings().filter(|_| place == 0);
            let is_changed = effect.is_some() || user.is_none() && settings.is_some();
            entry.phase = Phase::Outcome;
            (entry.component, entry.grant, entry.purpose) = (None, None, None);
            entry.outcome = Some(outcome.text);
            entry.changed = access.writes().then_some(is_changed);
            entry.replaces = effect.and_then(|effect| effect.replaces.clone());
            entry.revision = effect.and_then(|effect| effect.revision.clone());
            entry.settings = settings.map(str::to_owned);
            entry.key_id = outcome.key_id;
            entry.duration_us = Some(duration);
        }
        let lost = if access.writes() {
            "it was done, but its outcome is not recorded"
        } else {
            "its answer is withheld"
        };
        let is_durable = access.writes() || access.keys;
        self.write(Job { entries, reserves: false, is_durable }, lost)?;
        answer
    }

    fn intents(&self, event: &Event<'_>) -> Result<Vec<Entry>, Error> {
        let users = event.request.users;
        let user_ids = users.iter().map(|user| Some(user.as_str()));
        // An operation that is for no user has one entry of each kind, too.
        let nobody = users.is_empty().then_some(None);
        let grant: Vec<_> = event.request.access().names().into_iter().map(str::to_owned).collect();
        let intent = |user| {
            Ok(Entry {
                component: Some(event.component.to_owned()),
                grant: Some(grant.clone()),
                ..self.entry(event, user)?
            })
        };
        user_ids.chain(nobody).map(intent).collect()
    }

    /// What the entries of an operation say of it, for a user if it is for one.
    fn entry(&self, event: &Event<'_>, user: Option<&str>) -> Result<Entry, Error> {
        let hash = |user| self.file.key().user_hash(user);
        let purpose = event.request.purpose;
        Ok(Entry {
            id: entry::random_id::<8>().map_err(Error::no_randomness)?,
            operation: event.request.operation.name().to_owned(),
            user: user.filter(|_| !self.hashes_users).map(str::to_owned),
            user_hash: user.filter(|_| self.hashes_users).map(hash),
            actor: event.actor.to_owned(),
            purpose: purpose.map(|purpose| bounded(purpose, LONGEST_TEXT).to_owned()),
            ..Entry::default()
        })
    }

    /// Writes that a request was refused: one entry for all of its users, or none if the actor is refused again and again.
    pub(crate) fn refused(&self, event: &Event<'_>, refusal: &Error) -> Result<(), Error> {
        let Some(unwritten) = self.refusals.note(event.actor) else { return Ok(()) };
        let (user, users) = match event.request.users {
            [user] => (Some(user.as_str()), None),
            [] => (None, None),
            several => (None, Some(several.len() as u64)),
        };
        let entry = Entry { users, ..self.entry(event, user)? };
        self.write_refusals(vec![refusal_of(entry, refusal.code(), unwritten)])
    }

    /// Writes how many refusals got no entry, of those actors who aren't refused any more.
    fn write_overdue_refusals(&self) -> Result<(), Error> {
        let overdue = self.refusals.take_overdue().into_iter().map(|(actor, unwritten)| {
            let id = entry::random_id::<8>().map_err(Error::no_randomness)?;
            let entry = Entry { id, operation: "refusals".to_owned(), actor, ..Entry::default() };
            Ok(refusal_of(entry, ErrorCode::Denied, unwritten))
        });
        let overdue = overdue.collect::<Result<Vec<_>, _>>()?;
        if overdue.is_empty() { Ok(()) } else { self.write_refusals(overdue) }
    }

    fn write_refusals(&self, entries: Vec<Entry>) -> Result<(), Error> {
        let job = Job { entries, reserves: false, is_durable: false };
        self.write(job, "nothing was done").map(drop)
    }

    /// Writes entries, and returns them.
    fn write(&self, job: Job, lost: &str) -> Result<Vec<Entry>, Error> {
        let spare = (self.policy == AuditPolicy::BestEffort).then(|| job.entries.clone());
        match (self.file.append(job), spare) {
            (Ok(entries), _) => {
                entries.iter().for_each(emit);
                Ok(entries)
            }
            (Err(error), None) => {
                let name = self.file.name();
                let message = format!("the audit log {name:?} can't be written, {lost}: {error}");
                Err(Error::caused(ErrorCode::Audit, message, error))
            }
            (Err(error), Some(entries)) => {
                tracing::warn!("the audit log {:?} can't be written: {error}", self.file.name());
                Ok(entries)
            }
        }
    }
}

fn refusal_of(entry: Entry, code: ErrorCode, unwritten: u64) -> Entry {
    Entry {
        phase: Phase::Refusal,
        outcome: Some(code.name().to_owned()),
        unwritten: Some(unwritten).filter(|count| *count > 0),
        ..entry
    }
}

/// The text, cut to so many bytes.
pub(crate) fn bounded(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or_default()
}

/// Emits the entry as an event of `tracing`.
fn emit(entry: &Entry) {
    let user = entry.user_or_hash();
    tracing::debug!(
        target: "moat::audit",
        sequence = entry.sequence, id = entry.id, phase = ?entry.phase, operation = entry.operation,
        user, actor = entry.actor, outcome = entry.outcome, "audit"
    );
}

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditLog")
            .field("name", &self.file.name())
            .field("key", self.file.key())
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// What an operation's entries record of it beforehand.
pub(crate) struct Event<'e> {
    pub(crate) request: &'e Request<'e>,
    pub(crate) actor: &'e str,
    pub(crate) component: &'e str,
}

/// The outcome of an operation for one user.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    text: String,
    key_id: Option<String>,
}

impl Outcome {
    /// Of an operation that was done, with this master key.
    pub(crate) fn done(key: Option<&KeyInfo>) -> Self {
        let key_id =
            key.and_then(|key| key.id.as_deref()).map(|id| bounded(id, LONGEST_TEXT).to_owned());
        Self { text: entry::DONE.to_owned(), key_id }
    }

    pub(crate) fn failed(error: &Error) -> Self {
        Self { text: error.code().name().to_owned(), ..Self::default() }
    }
}
