//! The vault, how it is built, and the one way of its calls into the sandbox. What it does is in `ops`, one operation per
//! file.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::tz::TimeZone;

use crate::audit::{AuditLog, Event, Outcome, bounded};
use crate::contract::{self, ErrorCode, TokenEncoding};
use crate::directory::{Directory, Lock};
use crate::effects::Effects;
use crate::error::Error;
use crate::keys::{KeyCache, KeyRing, KeySource};
use crate::request::Request;
use crate::restriction::{Admission, Restriction, Restrictions};
use crate::sandbox::{Answer, Call, Function, Grant, Limits, Sandbox, VaultBackend};

/// Credentials in a directory, encrypted with the master keys of a ring.
///
/// Cheap to clone; every clone is the same vault. All calls block.
///
/// # Errors
///
/// Besides its own errors, every call can fail with
/// - [`ErrorCode::Denied`] in a [`crate::Scope`] that doesn't cover it,
/// - [`ErrorCode::Audit`] when the audit log can't be written,
/// - [`ErrorCode::Directory`] when the directory can't be read or written, or a file is not a regular one of its owner,
/// - [`ErrorCode::Sandbox`] when the component was aborted, or its answer doesn't fit what it was asked, and
/// - [`ErrorCode::Unavailable`] when the system gives no random bytes or no thread.
#[derive(Clone)]
pub struct Vault {
    sandbox: Arc<Sandbox>,
    limits: Limits,
    token_encoding: Option<TokenEncoding>,
    allows_new_key: bool,
    time_zone: Option<TimeZone>,
    audit: Option<AuditLog>,
    actor: Arc<str>,
    restrictions: Restrictions,
    backend: Arc<VaultBackend>,
    /// Whether the existing records were examined, and new ones may be written beside them.
    knows_neighbours: Arc<AtomicBool>,
}

/// The longest name of an actor, in bytes, so that no entry of the audit log is too long.
const LONGEST_ACTOR: usize = 128;

impl Vault {
    /// Starts to build a vault over a directory, with the keys of a ring or of another source.
    pub fn builder(directory: Directory, keys: impl KeySource + 'static) -> Builder {
        Builder {
            sandbox: None,
            limits: Limits::default(),
            token_encoding: None,
            allows_new_key: false,
            time_zone: None,
            audit: None,
            backend: VaultBackend { directory, keys: Box::new(keys), cache: KeyCache::default() },
        }
    }

    /// Takes the lock of those who rewrite many records, so that two of them don't do the same work. Nobody else waits
    /// for it.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Locked`] when somebody holds it, [`ErrorCode::Denied`] in a [`crate::Scope`], and
    /// [`ErrorCode::Directory`] when the lock's file can't be opened.
    pub fn lock_batch(&self) -> Result<Lock, Error> {
        if !self.restrictions.is_empty() {
            let message = format!("{:?} may not lock the directory", self.actor);
            return Err(Error::new(ErrorCode::Denied, message));
        }
        self.backend.directory.lock_batch()
    }

    /// The same vault for somebody who is named in the audit log as the actor of what is done through it; in a
    /// [`crate::Scope`], after the scope's name. Without this, the actor is `uid:` and the number of the process's user.
    /// A name is cut to 128 bytes.
    #[must_use]
    pub fn on_behalf_of(&self, actor: &str) -> Self {
        let actor = match self.restrictions.is_empty() {
            true => actor.to_owned(),
            false => format!("{}/{actor}", self.actor),
        };
        Self { actor: bounded(&actor, LONGEST_ACTOR).into(), ..self.clone() }
    }

    /// The same vault with one more restriction.
    pub(crate) fn restricted(&self, restriction: Restriction) -> Self {
        Self { restrictions: self.restrictions.with(restriction), ..self.clone() }
    }

    /// In whose name it is used.
    pub(crate) fn actor(&self) -> &str {
        &self.actor
    }

    /// What may not be done.
    pub(crate) fn restrictions(&self) -> &Restrictions {
        &self.restrictions
    }

    /// Runs work that blocks on one of tokio's threads for such work, from asynchronous code. Work that has begun is
    /// completed even if nobody waits for it any more. A panic of the work continues here.
    ///
    /// ```
    /// # use moat::{Error, Revealed, UserId, Vault};
    /// async fn open(vault: &Vault, user: UserId) -> Result<Revealed, Error> {
    ///     vault.spawn_blocking(move |vault| vault.reveal(&user)).await
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the work, and [`ErrorCode::Unavailable`] when the runtime shuts down before the work has begun.
    #[cfg(feature = "tokio")]
    pub async fn spawn_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let vault = self.clone();
        match tokio::task::spawn_blocking(move || work(&vault)).await {
            Ok(outcome) => outcome,
            Err(failed) => match failed.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(ended) => {
                    let message = "the runtime shut down before the call";
                    Err(Error::caused(ErrorCode::Unavailable, message, ended))
                }
            },
        }
    }

    /// The directory of the records.
    pub(crate) fn directory(&self) -> &Directory {
        &self.backend.directory
    }

    /// The master keys.
    pub(crate) fn keys(&self) -> Result<KeyRing, Error> {
        self.backend.keys.ring()
    }

    /// Whether the existing records were examined, and new ones may be written beside them.
    pub(crate) fn knows_neighbours(&self) -> bool {
        self.knows_neighbours.load(Ordering::Relaxed)
    }

    /// Notes that the existing records were examined.
    pub(crate) fn note_neighbours(&self) {
        self.knows_neighbours.store(true, Ordering::Relaxed);
    }

    /// Whether a new user's credential may be stored with a key that decrypts no existing record.
    pub(crate) fn allows_new_key(&self) -> bool {
        self.allows_new_key
    }

    /// The encoding of tokens, where a call doesn't name one itself.
    pub(crate) fn token_encoding(&self) -> Option<TokenEncoding> {
        self.token_encoding
    }

    /// Calls the component once for a request. [`Self::perform`] for what needs more than that.
    pub(crate) fn call<A: Answer>(
        &self,
        request: &Request<'_>,
        function: impl Function<Result<A, contract::Error>>,
    ) -> Result<A, Error> {
        let work = |admission: &Admission| self.enter(admission, request, function);
        self.perform(request, work, |answer| vec![Outcome::done(answer.key())])
    }

    /// Does what is requested, if this vault's restrictions admit it, between its entries in the audit log, if there is
    /// one. A refusal stands there too.
    pub(crate) fn perform<T>(
        &self,
        request: &Request<'_>,
        work: impl FnOnce(&Admission) -> Result<T, Error>,
        outcomes: impl Fn(&T) -> Vec<Outcome>,
    ) -> Result<T, Error> {
        let admission = match self.restrictions.admit(request) {
            Ok(admission) => admission,
            Err(why) => return self.refuse(request, &why),
        };
        self.audited(request, || (work(&admission), admission.into_effects()), outcomes)
    }

    /// Refuses what is requested. It takes no use of a scope.
    pub(crate) fn refuse<T>(&self, request: &Request<'_>, why: &str) -> Result<T, Error> {
        let message = format!("{:?} may not {}: {why}", self.actor, request.operation);
        let refusal = Error::new(ErrorCode::Denied, message);
        if let Some(audit) = &self.audit {
            audit.refused(&self.event(request), &refusal)?;
        }
        Err(refusal)
    }

    fn event<'e>(&'e self, request: &'e Request<'e>) -> Event<'e> {
        Event { request, actor: &self.actor, component: self.sandbox.digest() }
    }

    /// Does a part of a request that is an operation of its own in the audit log.
    pub(crate) fn perform_part<A: Answer>(
        &self,
        admission: &Admission,
        part: &Request<'_>,
        function: impl Function<Result<A, contract::Error>>,
    ) -> Result<A, Error> {
        let admission = admission.for_part();
        let work = || (self.enter(&admission, part, function), admission.into_effects());
        self.audited(part, work, |answer| vec![Outcome::done(answer.key())])
    }

    fn audited<T>(
        &self,
        request: &Request<'_>,
        work: impl FnOnce() -> (Result<T, Error>, Effects),
        outcomes: impl Fn(&T) -> Vec<Outcome>,
    ) -> Result<T, Error> {
        let Some(audit) = &self.audit else { return work().0 };
        audit.around(&self.event(request), work, outcomes)
    }

    /// Calls the component with what a request is granted, which was admitted or is a part of one that was, and checks its
    /// answer.
    pub(crate) fn enter<A: Answer>(
        &self,
        admission: &Admission,
        request: &Request<'_>,
        function: impl Function<Result<A, contract::Error>>,
    ) -> Result<A, Error> {
        let (outcome, mut call) = self.sandbox.run(self.call_for(request), function)?;
        let answer = outcome.and_then(|answer| match answer {
            Ok(answer) => call.check(answer, request.users.first()),
            Err(error) => Err(call.explain(error)),
        });
        admission.note(call.into_effects());
        answer.map(|answer| self.in_utc(answer))
    }

    /// As [`Self::enter`], where the component answers for each user, in the order asked.
    pub(crate) fn enter_for_each<A: Answer>(
        &self,
        admission: &Admission,
        request: &Request<'_>,
        function: impl Function<Vec<Result<A, contract::Error>>>,
    ) -> Result<Vec<Result<A, Error>>, Error> {
        let (outcome, mut call) = self.sandbox.run(self.call_for(request), function)?;
        let answers = outcome.and_then(|answers| call.finish(answers, request.users));
        admission.note(call.into_effects());
        let in_utc = |answer: Result<A, Error>| answer.map(|answer| self.in_utc(answer));
        Ok(answers?.into_iter().map(in_utc).collect())
    }

    fn in_utc<A: Answer>(&self, mut answer: A) -> A {
        if let Some(zone) = &self.time_zone {
            answer.bring_to_utc(zone);
        }
        answer
    }

    fn call_for(&self, request: &Request<'_>) -> Call {
        let backend = Arc::clone(&self.backend);
        Call::new(Grant::new(request), self.limits, backend)
    }
}

/// Builds a [`Vault`].
#[must_use]
pub struct Builder {
    sandbox: Option<Arc<Sandbox>>,
    limits: Limits,
    token_encoding: Option<TokenEncoding>,
    allows_new_key: bool,
    time_zone: Option<TimeZone>,
    audit: Option<AuditLog>,
    backend: VaultBackend,
}

impl Builder {
    /// Uses another component than the embedded one, or one that several vaults share.
    pub fn sandbox(mut self, sandbox: Arc<Sandbox>) -> Self {
        self.sandbox = Some(sandbox);
        self
    }

    /// Limits what one call may use.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how new tokens are encoded; [`TokenEncoding::App`] for a directory shared with the FossaWork application.
    /// Without this a record keeps its encoding, and new ones get the documented one.
    pub fn token_encoding(mut self, encoding: TokenEncoding) -> Self {
        self.token_encoding = Some(encoding);
        self
    }

    /// Allows storing a new user's credential even if no key of the ring decrypts any existing record.
    pub fn allow_new_key(mut self, allowed: bool) -> Self {
        self.allows_new_key = allowed;
        self
    }

    /// Sets the zone of the times that the FossaWork application has written into its records, which are brought to UTC.
    /// Without this they stay as they are.
    pub fn time_zone(mut self, zone: TimeZone) -> Self {
        self.time_zone = Some(zone);
        self
    }

    /// Writes every operation to this log.
    pub fn audit(mut self, log: AuditLog) -> Self {
        self.audit = Some(log);
        self
    }

    /// Sets which derived keys are kept between calls.
    pub fn key_cache(mut self, cache: KeyCache) -> Self {
        self.backend.cache = cache;
        self
    }

    /// Builds the vault.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::embedded`], unless a sandbox was given.
    pub fn build(self) -> Result<Vault, Error> {
        let sandbox = match self.sandbox {
            Some(sandbox) => sandbox,
            None => Arc::new(Sandbox::embedded()?),
        };
        Ok(Vault {
            sandbox,
            limits: self.limits,
            token_encoding: self.token_encoding,
            allows_new_key: self.allows_new_key,
            time_zone: self.time_zone,
            audit: self.audit,
            actor: format!("uid:{}", rustix::process::getuid().as_raw()).into(),
            restrictions: Restrictions::default(),
            backend: Arc::new(self.backend),
            knows_neighbours: Arc::default(),
        })
    }
}
