//! What was done to files, by what the host itself did: neither an answer of the component nor its failure changes it.

use std::collections::HashMap;

use moat_format::user_id::UserId;

/// What a call, or the calls of an operation, did.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    users: HashMap<UserId, Effect>,
    settings: Option<String>,
}

/// What became of a user's record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effect {
    /// The revision that was replaced, or had to be there to be removed; `None`: none was, or any.
    pub(crate) replaces: Option<String>,
    /// The revision that was written; `None`: something was removed.
    pub(crate) revision: Option<String>,
}

impl Effects {
    /// Notes what was done to this user's files.
    pub(crate) fn note(&mut self, user: &UserId, effect: Effect) {
        match self.users.get_mut(user) {
            // What was there before all of it stays noted.
            Some(known) => known.revision = effect.revision,
            None => drop(self.users.insert(user.clone(), effect)),
        }
    }

    /// Notes the revision of the directory's settings that was written.
    pub(crate) fn note_settings(&mut self, revision: &str) {
        self.settings = Some(revision.to_owned());
    }

    /// What was done to this user's files.
    pub(crate) fn of(&self, user: &UserId) -> Option<&Effect> {
        self.users.get(user)
    }

    /// The revision of the directory's settings that was written.
    pub(crate) fn settings(&self) -> Option<&str> {
        self.settings.as_deref()
    }

    /// Adds what a later call did.
    pub(crate) fn extend(&mut self, later: Self) {
        later.users.into_iter().for_each(|(user, effect)| self.note(&user, effect));
        self.settings = later.settings.or(self.settings.take());
    }
}
