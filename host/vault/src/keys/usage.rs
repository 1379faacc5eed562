//! Which keys the records of a directory are encrypted with, so that no key goes that one of them still needs.

use std::collections::BTreeMap;

use crate::contract::{ErrorCode, KeyInfo};
use crate::error::Error;
use moat_format::user_id::UserId;

/// How many names of records are kept of those that couldn't be examined.
const NAMES: usize = 8;

/// What was found out about the keys of a directory's records: the evidence that
/// [`crate::RingDocument::retire`] and [`crate::RingDocument::erase`] decide by.
///
/// It starts with no records; [`Self::note`] adds what a dry run of [`crate::Vault::rewrap`] has shown of each of them.
#[derive(Clone, Debug, Default)]
pub struct KeyUsage {
    keys: BTreeMap<Key, usize>,
    /// The label of the key that authenticates the directory's settings.
    settings: Option<String>,
    unexamined: usize,
    names: Vec<UserId>,
}

/// A key of the ring: whether it is the primary one, and its label.
type Key = (bool, Option<String>);

impl KeyUsage {
    /// Adds a record, with the key that it is encrypted with, if it is, or the error that kept it from being decrypted.
    ///
    /// One that is gone, not encrypted at all, or encrypted with the application's published default key needs none of
    /// the ring's keys. Any other failure leaves the record unexamined: a file that can't be read now, or is damaged,
    /// may be whole again tomorrow and need any of them.
    pub fn note(&mut self, user: &UserId, key: Result<Option<&KeyInfo>, &Error>) {
        match key {
            Ok(Some(key)) => *self.keys.entry((key.primary, key.id.clone())).or_default() += 1,
            Ok(None) => {}
            Err(error) => match error.code() {
                ErrorCode::NotFound | ErrorCode::NeedsMigration => {}
                _ => {
                    self.unexamined += 1;
                    if self.names.len() < NAMES {
                        self.names.push(user.clone());
                    }
                }
            },
        }
    }

    /// Adds the directory's settings, which say that the key of this label authenticates them.
    pub(crate) fn note_settings(&mut self, key_id: Option<String>) {
        self.settings = key_id;
    }

    /// Whether the key of this label authenticates the directory's settings.
    pub(crate) fn authenticates_settings(&self, id: &str) -> bool {
        self.settings.as_deref() == Some(id)
    }

    /// How many records each key encrypts: the key's label, whether it is the primary one, and the number.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = (Option<&str>, bool, usize)> {
        self.keys.iter().map(|((primary, id), records)| (id.as_deref(), *primary, *records))
    }

    /// How many records are encrypted with the key of this label.
    pub fn encrypted_with(&self, id: &str) -> usize {
        self.keys().filter(|(other, ..)| *other == Some(id)).map(|(.., records)| records).sum()
    }

    /// How many records couldn't be examined.
    pub fn unexamined(&self) -> usize {
        self.unexamined
    }

    /// The records that couldn't be examined, for people: the first few by name.
    pub fn unexamined_names(&self) -> String {
        let names: Vec<_> = self.names.iter().map(UserId::as_str).collect();
        match self.unexamined - names.len() {
            0 => names.join(", "),
            more => format!("{} and {more} more", names.join(", ")),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn error(code: ErrorCode) -> Error {
        Error::new(code, "it failed")
    }

    #[test]
    fn only_what_certainly_needs_no_key_is_left_out() {
        let anna = UserId::parse("anna").unwrap();
        for (code, unexamined) in [
            (ErrorCode::NotFound, 0),
            (ErrorCode::NeedsMigration, 0),
            (ErrorCode::WrongKeyOrTampered, 1),
            (ErrorCode::Malformed, 1),
            (ErrorCode::UnsupportedVersion, 1),
            (ErrorCode::TooLarge, 1),
            (ErrorCode::Directory, 1),
            (ErrorCode::Locked, 1),
            (ErrorCode::Sandbox, 1),
        ] {
            let mut usage = KeyUsage::default();
            usage.note(&anna, Err(&error(code)));
            assert_eq!(usage.unexamined(), unexamined, "{code:?}");
        }
    }

    #[test]
    fn of_many_only_the_first_are_named() {
        let mut usage = KeyUsage::default();
        for number in 1..=NAMES + 2 {
            let user = UserId::parse(&format!("user{number}")).unwrap();
            usage.note(&user, Err(&error(ErrorCode::Directory)));
        }
        assert_eq!(usage.unexamined(), NAMES + 2);
        assert!(usage.unexamined_names().ends_with("user8 and 2 more"));
    }
}
