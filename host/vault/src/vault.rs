//! The vault and how it is built. What it does stands in `ops`, one operation a file.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::audit::{AuditLog, Event, Outcome, Told};
use crate::contract::TokenEncoding;
use crate::directory::{Directory, Lock};
use crate::error::Error;
use crate::keys::{KeyCache, KeySource};
use crate::operation::Operation;
use crate::sandbox::{Call, Function, Grant, Limits, Resources, Sandbox};
use moat_format::user_id::UserId;

/// Credentials in a directory, under the master keys of a ring.
///
/// Cheap to clone; every clone is the same vault. All calls block.
#[derive(Clone)]
pub struct Vault {
    sandbox: Arc<Sandbox>,
    limits: Limits,
    token_encoding: Option<TokenEncoding>,
    audit: Option<AuditLog>,
    actor: Arc<str>,
    purpose: Option<Arc<str>>,
    resources: Arc<Resources>,
    /// Whether the records that are there were looked at, and a new one may be written beside them.
    knows_neighbours: Arc<AtomicBool>,
}

/// The longest name of an actor, in bytes, so that no entry of the audit log is too long.
const LONGEST_ACTOR: usize = 128;

impl Vault {
    /// Begins a vault over a directory, with the keys of a ring or of another source.
    pub fn builder(directory: Directory, keys: impl KeySource + 'static) -> Builder {
        Builder {
            sandbox: None,
            limits: Limits::default(),
            token_encoding: None,
            audit: None,
            resources: Resources { directory, keys: Box::new(keys), cache: KeyCache::default() },
        }
    }

    /// Takes the turn of those who rewrite many records, so that two of them don't do the same work. Everybody
    /// else goes on. Fails with [`crate::ErrorCode::Locked`] when somebody has it.
    pub fn batch(&self) -> Result<Lock, Error> {
        self.resources.directory.batch()
    }

    /// The same vault for somebody, who stands in the audit log as the actor of what is done through it. Without
    /// this it is `uid:` and the number of the process's user. Of a name of more than 128 bytes the beginning counts.
    #[must_use]
    pub fn on_behalf_of(&self, actor: &str) -> Self {
        let end = actor.floor_char_boundary(LONGEST_ACTOR);
        Self { actor: actor.get(..end).unwrap_or_default().into(), ..self.clone() }
    }

    /// The same vault, with what it is used for, which stands in the audit log too.
    pub(crate) fn for_purpose(&self, purpose: &str) -> Self {
        Self { purpose: Some(purpose.into()), ..self.clone() }
    }

    /// In whose name it is used.
    pub(crate) fn actor(&self) -> &str {
        &self.actor
    }

    /// Does work that blocks on one of tokio's threads for that, from asynchronous code.
    ///
    /// ```
    /// # use moat::{Error, Revealed, UserId, Vault};
    /// async fn open(vault: &Vault, user: UserId) -> Result<Revealed, Error> {
    ///     vault.run(move |vault| vault.reveal(&user)).await
    /// }
    /// ```
    ///
    /// Fails with [`crate::ErrorCode::Sandbox`] when the runtime ends before the work has begun; a panic of the work goes
    /// on here. Work that has begun is done, even if nobody waits for it any more.
    #[cfg(feature = "tokio")]
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let vault = self.clone();
        match tokio::task::spawn_blocking(move || work(&vault)).await {
            Ok(outcome) => outcome,
            Err(failed) => match failed.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(ended) => {
                    let message = "the runtime ended before the call";
                    Err(Error::caused(crate::ErrorCode::Sandbox, message, ended))
                }
            },
        }
    }

    /// The directory of the records.
    pub(crate) fn directory(&self) -> &Directory {
        &self.resources.directory
    }

    /// Whether the records that are there were looked at, and a new one may be written beside them.
    pub(crate) fn knows_neighbours(&self) -> bool {
        self.knows_neighbours.load(Ordering::Relaxed)
    }

    /// Notes that they were.
    pub(crate) fn note_neighbours(&self) {
        self.knows_neighbours.store(true, Ordering::Relaxed);
    }

    /// How `encrypted_data` is spelled by `put`, where it doesn't say so itself.
    pub(crate) fn token_encoding(&self) -> Option<TokenEncoding> {
        self.token_encoding
    }

    /// Calls the component for these users, with what the operation is granted for them; audited, if this vault
    /// is.
    pub(crate) fn call<T: Told>(
        &self,
        operation: Operation,
        users: &[UserId],
        function: impl Function<T>,
    ) -> Result<T, Error> {
        let work = || self.enter(operation, users, function);
        self.audited(operation, users, work, |answer| vec![Outcome::done(answer)])
    }

    /// Does something between its entries in the audit log, if there is one.
    pub(crate) fn audited<T>(
        &self,
        operation: Operation,
        users: &[UserId],
        work: impl FnOnce() -> Result<T, Error>,
        outcomes: impl Fn(&T) -> Vec<Outcome>,
    ) -> Result<T, Error> {
        let Some(audit) = &self.audit else { return work() };
        let (actor, purpose) = (&*self.actor, self.purpose.as_deref());
        let event = Event { operation, users, actor, purpose, component: self.sandbox.digest() };
        audit.around(&event, work, outcomes)
    }

    /// Calls the component, which [`Self::audited`] has to be around.
    pub(crate) fn enter<T>(
        &self,
        operation: Operation,
        users: &[UserId],
        function: impl Function<T>,
    ) -> Result<T, Error> {
        let grant = Grant::new(operation, users);
        let lent = Arc::clone(&self.resources);
        self.sandbox.run(Call::new(grant, self.limits, lent), function)
    }
}

/// Builds a [`Vault`].
#[must_use]
pub struct Builder {
    sandbox: Option<Arc<Sandbox>>,
    limits: Limits,
    token_encoding: Option<TokenEncoding>,
    audit: Option<AuditLog>,
    resources: Resources,
}

impl Builder {
    /// A component other than the one that this crate carries, or one to share between vaults.
    pub fn sandbox(mut self, sandbox: Arc<Sandbox>) -> Self {
        self.sandbox = Some(sandbox);
        self
    }

    /// What one call may use up.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How new tokens are spelled; [`TokenEncoding::App`] for a directory shared with the FossaWork
    /// application. Without it a record keeps its spelling, and new ones get the documented one.
    pub fn token_encoding(mut self, encoding: TokenEncoding) -> Self {
        self.token_encoding = Some(encoding);
        self
    }

    /// Where every operation is written down.
    pub fn audit(mut self, log: AuditLog) -> Self {
        self.audit = Some(log);
        self
    }

    /// Which derived keys are kept between calls.
    pub fn key_cache(mut self, cache: KeyCache) -> Self {
        self.resources.cache = cache;
        self
    }

    /// The vault. Fails when the component can't be loaded.
    pub fn build(self) -> Result<Vault, Error> {
        let sandbox = match self.sandbox {
            Some(sandbox) => sandbox,
            None => Arc::new(Sandbox::embedded()?),
        };
        Ok(Vault {
            sandbox,
            limits: self.limits,
            token_encoding: self.token_encoding,
            audit: self.audit,
            actor: format!("uid:{}", rustix::process::getuid().as_raw()).into(),
            purpose: None,
            resources: Arc::new(self.resources),
            knows_neighbours: Arc::default(),
        })
    }
}
