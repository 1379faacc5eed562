//! What the log says of the files of a directory: which revisions were written, and what was removed. An older record that
//! was put back is genuine for whoever has only the record; the log knows better.

use std::collections::HashMap;

use cap_std::fs::Dir;

use super::entry::Entry;
use super::keys::AuditKeys;
use super::operations::{AuditedOperation, operations};
use crate::error::Error;
use crate::operation::Operation;
use moat_format::user_id::UserId;

/// What the log says of each record and of the settings.
#[derive(Debug, Default)]
pub struct History {
    /// By the user, or by the user's hash.
    records: HashMap<String, Past>,
    settings: Past,
}

/// What the log says of a file.
#[derive(Debug, Default)]
struct Past {
    /// What was written, and when, in that order.
    written: Vec<(String, String)>,
    /// When it was removed, unless it was written since.
    removed: Option<String>,
    /// When an operation began that may have changed it since, if how that ended isn't known.
    unfinished: Option<String>,
    /// The sequence of the last entry that says something of it.
    last: u64,
}

/// How a file is, by the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// As it was last written, or removed.
    AsWritten,
    /// The log says nothing of it.
    Unknown,
    /// Maybe as an operation left it that began at this time and whose end isn't known.
    Unfinished(String),
    /// As it was written at the first of these times, although it was written again at the second.
    PutBack(String, String),
    /// As it was once written, although it was removed at this time.
    Returned(String),
    /// Otherwise than it was ever written, last at this time.
    Foreign(String),
    /// It is not there, although it was written at this time and not removed since.
    Missing(String),
}

impl History {
    /// Reads all files of the log of this name. Nothing is verified: [`super::verify`] does that.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Audit`](crate::ErrorCode::Audit) when a file can't be read.
    pub fn read(dir: &Dir, name: &str) -> Result<Self, Error> {
        let mut history = Self::default();
        for operation in operations(dir, name)? {
            history.add(&operation?);
        }
        Ok(history)
    }

    fn add(&mut self, operation: &AuditedOperation) {
        let AuditedOperation { intent, outcome } = operation;
        if let Some(outcome) = outcome {
            if let Some(revision) = &outcome.settings {
                self.settings.add_write(revision, outcome);
            }
            match (outcome.user_or_hash(), &outcome.revision) {
                (Some(user), Some(revision)) => self.past(user).add_write(revision, outcome),
                (Some(user), None) if removes(outcome) && outcome.changed == Some(true) => {
                    self.past(user).add_removal(outcome);
                }
                _ => {}
            }
        } else if let Some(intent) = intent
            && Operation::ALL.into_iter().any(|operation| {
                operation.name() == intent.operation && operation.access().writes()
            })
        {
            if let Some(user) = intent.user_or_hash() {
                self.past(user).add_unfinished(intent);
            }
            self.settings.add_unfinished(intent);
        }
    }

    fn past(&mut self, user: &str) -> &mut Past {
        self.records.entry(user.to_owned()).or_default()
    }

    /// How this user's record is; `revision` is the one that is there. The keys are those that users may be hashed with.
    pub fn standing(
        &self,
        user: &UserId,
        revision: Option<&str>,
        keys: &mut AuditKeys,
    ) -> Standing {
        let past = self.find(user, keys);
        past.map_or(Standing::Unknown, |(_, past)| past.standing(revision))
    }

    /// The name or hash under which this user stands in the log, if at all.
    pub(crate) fn name_of(&self, user: &UserId, keys: &mut AuditKeys) -> Option<&str> {
        self.find(user, keys).map(|(name, _)| name)
    }

    fn find(&self, user: &UserId, keys: &mut AuditKeys) -> Option<(&str, &Past)> {
        let known = |name: &str| self.records.get_key_value(name);
        // Only where it takes a hash are keys derived for it.
        let hashed = || keys.all().iter().find_map(|key| known(&key.user_hash(user.as_str())));
        known(user.as_str()).or_else(hashed).map(|(name, past)| (name.as_str(), past))
    }

    /// How the settings of the directory are; `revision` is the one that is there.
    pub fn standing_of_settings(&self, revision: Option<&str>) -> Standing {
        self.settings.standing(revision)
    }

    /// The users, or their hashes, whose records should be there.
    pub fn users(&self) -> impl Iterator<Item = &str> {
        let is_there = |past: &Past| past.removed.is_none() && !past.written.is_empty();
        let users = self.records.iter().filter(move |(_, past)| is_there(past));
        users.map(|(user, _)| user.as_str())
    }
}

impl Past {
    fn add_write(&mut self, revision: &str, outcome: &Entry) {
        self.written.push((revision.to_owned(), outcome.time.clone()));
        self.removed = None;
        self.last = outcome.sequence;
    }

    fn add_removal(&mut self, outcome: &Entry) {
        self.removed = Some(outcome.time.clone());
        self.last = outcome.sequence;
    }

    fn add_unfinished(&mut self, intent: &Entry) {
        if intent.sequence > self.last {
            self.unfinished = Some(intent.time.clone());
        }
    }

    fn standing(&self, revision: Option<&str>) -> Standing {
        let last = self.written.last();
        let found = revision.and_then(|revision| {
            self.written.iter().rev().find(|(written, _)| written == revision)
        });
        let unfinished = |otherwise| match &self.unfinished {
            Some(begun) => Standing::Unfinished(begun.clone()),
            None => otherwise,
        };
        match (revision, &self.removed, found, last) {
            (None, Some(_), ..) | (None, None, _, None) => Standing::AsWritten,
            (None, None, _, Some((_, time))) => unfinished(Standing::Missing(time.clone())),
            (Some(_), Some(time), Some(_), _) => Standing::Returned(time.clone()),
            (Some(_), None, Some((written, _)), Some((current, _))) if written == current => {
                Standing::AsWritten
            }
            (Some(_), None, Some((_, written)), Some((_, last))) => {
                Standing::PutBack(written.clone(), last.clone())
            }
            (Some(_), _, None, Some((_, time))) => unfinished(Standing::Foreign(time.clone())),
            (Some(_), _, _, None) => unfinished(Standing::Unknown),
        }
    }
}

fn removes(outcome: &Entry) -> bool {
    outcome.operation == Operation::Remove.name()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Phase;

    fn outcome(operation: &str, revision: Option<&str>, time: &str) -> AuditedOperation {
        let outcome = Entry {
            phase: Phase::Outcome,
            operation: operation.to_owned(),
            user: Some("anna".to_owned()),
            changed: Some(true),
            revision: revision.map(str::to_owned),
            time: time.to_owned(),
            ..Entry::default()
        };
        AuditedOperation { intent: None, outcome: Some(outcome) }
    }

    fn interrupted(operation: &str) -> AuditedOperation {
        let outcome = outcome(operation, None, "later").outcome;
        AuditedOperation { intent: outcome, outcome: None }
    }

    fn numbered((sequence, mut operation): (u64, AuditedOperation)) -> AuditedOperation {
        let entries = operation.intent.iter_mut().chain(&mut operation.outcome);
        entries.for_each(|entry| entry.sequence = sequence);
        operation
    }

    #[test]
    fn tells_what_became_of_a_record() {
        let put = |revision, time| outcome("put", Some(revision), time);
        let removed = || outcome("remove", None, "3");
        let s = str::to_owned;
        for (operations, revision, expected) in [
            (vec![], Some("a"), Standing::Unknown),
            (vec![put("a", "1")], Some("a"), Standing::AsWritten),
            (vec![put("a", "1")], None, Standing::Missing(s("1"))),
            (vec![put("a", "1")], Some("x"), Standing::Foreign(s("1"))),
            (vec![put("a", "1"), put("b", "2")], Some("b"), Standing::AsWritten),
            (vec![put("a", "1"), put("b", "2")], Some("a"), Standing::PutBack(s("1"), s("2"))),
            (vec![put("a", "1"), removed()], None, Standing::AsWritten),
            (vec![put("a", "1"), removed()], Some("a"), Standing::Returned(s("3"))),
            (vec![put("a", "1"), removed()], Some("x"), Standing::Foreign(s("1"))),
            (vec![put("a", "1"), removed(), put("b", "4")], Some("b"), Standing::AsWritten),
            (vec![put("a", "1"), interrupted("put")], Some("x"), Standing::Unfinished(s("later"))),
            (vec![put("a", "1"), interrupted("remove")], None, Standing::Unfinished(s("later"))),
            (vec![interrupted("put"), put("a", "1")], Some("x"), Standing::Foreign(s("1"))),
            (vec![put("a", "1"), interrupted("reveal")], Some("x"), Standing::Foreign(s("1"))),
        ] {
            let mut history = History::default();
            // As the log lists them: those without an outcome at the end.
            let mut operations: Vec<_> = (1..).zip(operations).map(numbered).collect();
            operations.sort_by_key(|operation| operation.outcome.is_none());
            operations.iter().for_each(|operation| history.add(operation));
            let anna = UserId::parse("anna").unwrap();
            let standing = history.standing(&anna, revision, &mut AuditKeys::default());
            assert_eq!(standing, expected, "{operations:?} {revision:?}");
        }
    }
}
