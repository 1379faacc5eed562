//! What a scope may not do. Every call of a vault passes through [`Restrictions::admit`], and only what comes out of it
//! gets into the sandbox.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::effects::Effects;
use crate::operation::Operation;
use crate::request::Request;
use moat_format::user_id::UserId;

/// A single restriction.
pub(crate) enum Restriction {
    Users(BTreeSet<UserId>),
    Operations(HashSet<Operation>),
    Secrets(BTreeSet<String>),
    /// How many uses are left.
    Uses(AtomicU64),
    Until(Instant),
}

/// All restrictions of a vault; a call has to satisfy each. Copies share what is counted.
#[derive(Clone, Default)]
pub(crate) struct Restrictions(Vec<Arc<Restriction>>);

/// The proof that a request was admitted, and what was done for it. There is no other way to one than
/// [`Restrictions::admit`].
pub(crate) struct Admission(RefCell<Effects>);

impl Admission {
    /// One for a part of the request that is an operation of its own.
    pub(crate) fn for_part(&self) -> Self {
        Self(RefCell::default())
    }

    /// Notes what was done for the request.
    pub(crate) fn note(&self, effects: Effects) {
        self.0.borrow_mut().extend(effects);
    }

    /// What was done for the request.
    pub(crate) fn into_effects(self) -> Effects {
        self.0.into_inner()
    }
}

impl Restrictions {
    /// These and one more.
    pub(crate) fn with(&self, restriction: Restriction) -> Self {
        let mut all = self.0.clone();
        all.push(Arc::new(restriction));
        Self(all)
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Admits a call that satisfies all restrictions and takes its uses, one for each user and one if it is for none;
    /// or returns why it is refused.
    pub(crate) fn admit(&self, request: &Request<'_>) -> Result<Admission, String> {
        if let Some(why) = self.refusal(request) {
            return Err(why);
        }
        if !self.take_uses(request.users.len().max(1) as u64) {
            return Err("it has no uses left".to_owned());
        }
        Ok(Admission(RefCell::default()))
    }

    fn refusal(&self, request: &Request<'_>) -> Option<String> {
        let Request { operation, users, secret, .. } = *request;
        if self.is_empty() {
            return None;
        }
        if matches!(operation, Operation::Configure | Operation::Leftovers) {
            return Some("the operation concerns the whole directory".to_owned());
        }
        if request.trusts_unauthenticated {
            return Some("no scope may accept what anyone could have written".to_owned());
        }
        self.0.iter().find_map(|restriction| match &**restriction {
            Restriction::Operations(operations) if !operations.contains(&operation) => {
                Some("the operation is not in its scope".to_owned())
            }
            Restriction::Users(all) => users
                .iter()
                .find(|user| !all.contains(*user))
                .map(|user| format!("{user} is not in its scope")),
            Restriction::Secrets(_) if operation.writes_secrets() => {
                Some("some of the secrets are not in its scope".to_owned())
            }
            Restriction::Secrets(names) => secret
                .filter(|secret| !names.contains(*secret))
                .map(|_| "the secret is not in its scope".to_owned()),
            Restriction::Until(end) if Instant::now() >= *end => Some("its time is up".to_owned()),
            _ => None,
        })
    }

    /// Takes uses from every count, or from none.
    fn take_uses(&self, uses: u64) -> bool {
        let counts: Vec<_> = self.0.iter().filter_map(|restriction| restriction.count()).collect();
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

    /// Whether calls may be for this user.
    pub(crate) fn cover_user(&self, user: &UserId) -> bool {
        self.0.iter().all(|restriction| match &**restriction {
            Restriction::Users(users) => users.contains(user),
            _ => true,
        })
    }

    /// Whether the secret of this name may leave the component.
    pub(crate) fn cover_secret(&self, name: &str) -> bool {
        self.0.iter().all(|restriction| match &**restriction {
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
