//! What was done to files, by what the host itself did: neither an answer of the component nor its failure changes it.

use std::collections::HashMap;

use moat_format::user_id::UserId;

/// What a call, or the calls of an operation, did.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    users: HashMap<UserId, Effect>,
    settings: bool,
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

    /// Notes that the settings of the directory were written.
    pub(crate) fn note_settings(&mut self) {
        self.settings = true;
    }

    /// What was done to this user's files.
    pub(crate) fn of(&self, user: &UserId) -> Option<&Effect> {
        self.users.get(user)
    }

    /// Whether the settings of the directory were written.
    pub(crate) fn wrote_settings(&self) -> bool {
        self.settings
    }

    /// Adds what a later call did.
    pub(crate) fn extend(&mut self, later: Self) {
        later.users.into_iter().for_each(|(user, effect)| self.note(&user, effect));
        self.settings |= later.settings;
    }
}
