//! Encrypting all records with the primary key, and what that shows of the other keys.

use super::batch::{Selection, for_each};
use crate::contract::Rewritten;
use crate::error::Error;
use crate::keys::KeyUsage;
use crate::operation::{Access, Operation};
use crate::vault::Vault;
use moat_format::user_id::UserId;

/// How often a directory is scanned until nothing is encrypted with old keys any more, while others write.
const PASSES: usize = 4;

/// What a pass over the records found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Rotation {
    /// The number of records that were already encrypted with the primary key.
    pub current: usize,
    /// The number of records that were encrypted with another key.
    pub stale: usize,
    /// The number of records that couldn't be examined or rewritten.
    pub failed: usize,
    /// Which keys the records were encrypted with: the evidence for [`crate::RingDocument::retire`].
    pub usage: KeyUsage,
}

impl Rotation {
    /// What [`Self::run`] needs.
    pub fn access(dry_run: bool) -> Access {
        let access = Operation::Rewrap.access().or(Operation::Users.access());
        Access { write: !dry_run, settings: !dry_run, ..access }
    }

    /// Encrypts the records of a selection with the primary key, or only looks at them in a dry run, and reports each.
    ///
    /// # Errors
    ///
    /// As [`for_each`]. What was found so far is returned beside the error.
    pub fn run<E: From<Error>>(
        vault: &Vault,
        selection: Selection<'_>,
        dry_run: bool,
        mut report: impl FnMut(&UserId, &Result<Rewritten, Error>) -> Result<(), E>,
    ) -> (Self, Result<(), E>) {
        let mut found = Self::default();
        let ask = |users: &[_]| vault.rewrap(users, dry_run);
        let outcome = for_each(vault, selection, ask, |user, answer| {
            found.note(user, answer);
            report(user, answer)
        });
        let settings = || {
            if !dry_run && found.current + found.stale + found.failed == 0 {
                // Settings are authenticated with the primary key as well, even where there is no record yet.
                vault.rewrap(&[], false)?;
            }
            Ok(vault.settings()?.unwrap_or_default().mac.and_then(|mac| mac.key_id))
        };
        match outcome.and_then(|()| settings().map_err(Error::into)) {
            Ok(key_id) => {
                found.usage.note_settings(key_id);
                (found, Ok(()))
            }
            Err(error) => (found, Err(error)),
        }
    }

    fn note(&mut self, user: &UserId, answer: &Result<Rewritten, Error>) {
        match answer {
            Ok(rewritten) if rewritten.changed => self.stale += 1,
            Ok(_) => self.current += 1,
            Err(_) => self.failed += 1,
        }
        self.usage.note(user, answer.as_ref().map(|rewritten| rewritten.key.as_ref()));
    }
}

/// Encrypts all records with the primary key until a pass finds no stale ones: while it works, a process that hasn't
/// loaded the new key may encrypt a record with an old one. Returns how many records were stale, and the last pass.
///
/// # Errors
///
/// As [`for_each`].
pub fn rewrap_until_current<E: From<Error>>(
    vault: &Vault,
    mut report: impl FnMut(&UserId, &Result<Rewritten, Error>) -> Result<(), E>,
) -> Result<(usize, Rotation), E> {
    let mut rotated = 0;
    let mut last = Rotation::default();
    for _ in 0..PASSES {
        let (found, outcome) = Rotation::run(vault, Selection::default(), false, &mut report);
        outcome?;
        rotated += found.stale;
        last = found;
        if last.stale == 0 {
            break;
        }
    }
    Ok((rotated, last))
}
