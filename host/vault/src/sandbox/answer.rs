//! What the component answers, compared with what the host knows itself.

use std::collections::HashSet;

use jiff::tz::TimeZone;

use super::call::Call;
use crate::contract::{
    self, Configured, Envelope, ErrorCode, KeyInfo, KeyWeakness, Removed, Revealed, Rewritten,
    Stored, Summary, VersionHistory,
};
use crate::error::Error;
use crate::operation::Operation;
use moat_format::message::Message;
use moat_format::user_id::UserId;

/// What an answer says that the host can check. What it says nothing of is `None`.
pub(crate) trait Answer {
    /// Everything but the secrets of a record, which says whose it is, and its key and envelope.
    fn summary(&self) -> Option<&Summary> {
        None
    }

    /// Whom it is about.
    fn user_id(&self) -> Option<&str> {
        self.summary().map(|summary| summary.user_id.as_str())
    }

    /// The key that the record is encrypted with.
    fn key(&self) -> Option<&KeyInfo> {
        self.summary().map(|summary| &summary.key)
    }

    /// The record's envelope.
    fn envelope(&self) -> Option<&Envelope> {
        self.summary().map(|summary| &summary.envelope)
    }

    /// Whether the record was written or removed, where the operation may leave it as it is.
    fn changed(&self) -> Option<bool> {
        None
    }

    /// Whether there was a record before.
    fn replaced(&self) -> Option<bool> {
        None
    }

    /// Brings the times that the FossaWork application wrote, which are of this zone, to UTC.
    fn bring_to_utc(&mut self, _zone: &TimeZone) {}
}

impl Answer for Summary {
    fn summary(&self) -> Option<&Summary> {
        Some(self)
    }

    fn bring_to_utc(&mut self, zone: &TimeZone) {
        Self::bring_to_utc(self, zone);
    }
}

impl Answer for Revealed {
    fn summary(&self) -> Option<&Summary> {
        Some(&self.summary)
    }

    fn bring_to_utc(&mut self, zone: &TimeZone) {
        Self::bring_to_utc(self, zone);
    }
}

impl Answer for Stored {
    fn summary(&self) -> Option<&Summary> {
        Some(&self.summary)
    }

    fn replaced(&self) -> Option<bool> {
        Some(self.replaced)
    }

    fn bring_to_utc(&mut self, zone: &TimeZone) {
        self.summary.bring_to_utc(zone);
    }
}

impl Answer for VersionHistory {
    fn summary(&self) -> Option<&Summary> {
        Some(&self.summary)
    }

    fn bring_to_utc(&mut self, zone: &TimeZone) {
        Self::bring_to_utc(self, zone);
    }
}

impl Answer for Rewritten {
    fn user_id(&self) -> Option<&str> {
        Some(&self.user_id)
    }

    fn key(&self) -> Option<&KeyInfo> {
        self.key.as_ref()
    }

    fn envelope(&self) -> Option<&Envelope> {
        Some(&self.before)
    }

    fn changed(&self) -> Option<bool> {
        Some(self.changed)
    }

    fn bring_to_utc(&mut self, zone: &TimeZone) {
        self.before.bring_to_utc(zone);
    }
}

impl Answer for Removed {
    fn changed(&self) -> Option<bool> {
        Some(self.existed)
    }
}

impl Answer for Envelope {
    fn envelope(&self) -> Option<&Envelope> {
        Some(self)
    }

    fn bring_to_utc(&mut self, zone: &TimeZone) {
        Self::bring_to_utc(self, zone);
    }
}

impl Answer for Configured {}

/// A page of names.
impl<T> Answer for (Vec<T>, Option<String>) {}

impl Call {
    /// The component's failure. Where it is the host's own, with the cause that only the host knows; otherwise in one of the
    /// texts that the component may say.
    pub(crate) fn explain(&mut self, error: contract::Error) -> Error {
        let contract::Error { code, message } = error;
        let is_it = |own: &&mut Error| own.code() == code && own.to_string() == message;
        if let Some(own) = self.failures.iter_mut().find(is_it) {
            return std::mem::replace(own, Error::new(code, message));
        }
        if is_the_hosts(code) {
            return Error::answer("failed in a way that only the host can");
        }
        if !Message::is_known(&message) {
            return Error::new(code, format!("the component reports {}", code.name()));
        }
        Error::new(code, message)
    }

    /// Compares an answer about this user with what the host knows itself.
    pub(crate) fn check<A: Answer>(&self, answer: A, user: Option<&UserId>) -> Result<A, Error> {
        let wrong = |what| Err(Error::answer(what));
        if answer.user_id().is_some_and(|about| Some(about) != user.map(UserId::as_str)) {
            return wrong("answered for another user");
        }
        if answer.key().is_some_and(|key| !self.knows_key(key)) {
            return wrong("named a key that it wasn't given");
        }
        let effect = user.and_then(|user| self.effects.of(user));
        let access = self.grant.access();
        let may_change = access.write || access.remove || access.remove_backups;
        if may_change && answer.changed().unwrap_or(true) != effect.is_some() {
            return wrong("answered otherwise than it did");
        }
        let replaces = effect.and_then(|effect| effect.replaces.as_deref());
        if answer.replaced().is_some_and(|replaced| replaced != replaces.is_some()) {
            return wrong("answered otherwise than it did");
        }
        if let (Some(envelope), Some(user)) = (answer.envelope(), user) {
            let seen = self.seen.get(&user.file_name()).map(|file| file.revision.as_str());
            if ![seen, replaces].contains(&Some(&envelope.revision)) {
                return wrong("answered for another file");
            }
        }
        Ok(answer)
    }

    /// Writes what the component staged for those users whose records it says it rewrote, and checks its answers, one for each
    /// user in their order.
    pub(crate) fn finish<A: Answer>(
        &mut self,
        answers: Vec<Result<A, contract::Error>>,
        users: &[UserId],
    ) -> Result<Vec<Result<A, Error>>, Error> {
        if answers.len() != users.len() {
            return Err(Error::answer("returned the wrong number of answers"));
        }
        let is_rewritten = |answer: &Result<A, _>| {
            answer.as_ref().is_ok_and(|answer| answer.changed() == Some(true))
        };
        let rewritten = users.iter().zip(&answers).filter(|(_, answer)| is_rewritten(answer));
        let rewritten: HashSet<String> = rewritten.map(|(user, _)| user.file_name()).collect();
        let mut failed = self.commit(|name| rewritten.contains(name))?;
        let checked = users.iter().zip(answers).map(|(user, answer)| {
            match (failed.remove(&user.file_name()), answer) {
                (Some(failure), _) => Err(failure),
                (None, Ok(answer)) => self.check(answer, Some(user)),
                (None, Err(error)) => Err(self.explain(error)),
            }
        });
        Ok(checked.collect())
    }

    /// Whether the component was given this key, or may know it: the default key is published.
    fn knows_key(&self, key: &KeyInfo) -> bool {
        let published =
            KeyInfo { id: None, primary: false, weakness: Some(KeyWeakness::PublishedDefault) };
        self.given.keys().contains(key)
            || self.grant.operation() == Operation::Migrate && *key == published
    }
}

/// Whether only the host can fail like this.
fn is_the_hosts(code: ErrorCode) -> bool {
    use ErrorCode::{Audit, Denied, Directory, Locked, RateLimited, Sandbox, Unavailable};
    matches!(code, Audit | Denied | Directory | Locked | RateLimited | Sandbox | Unavailable)
}
