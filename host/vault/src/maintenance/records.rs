//! Examining all records: whether each is encrypted, can be decrypted, and with which key.

use std::collections::BTreeMap;
use std::slice;
use std::time::Duration;

use super::batch::{Selection, for_each};
use super::names::Names;
use crate::age::{is_in_the_future, is_older_than};
use crate::contract::{
    Envelope, ErrorCode, KeyInfo, KeyWeakness, MigrateOptions, RecordKind, Summary, TokenEncoding,
};
use crate::error::Error;
use crate::vault::Vault;
use moat_format::user_id::UserId;
use moat_format::version::Version;

/// How long before it expires a credential is reported.
pub const SOON: Duration = Duration::from_hours(14 * 24);

/// What there is to know of a directory's records. The names are user ids, or of files where that is said.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RecordsReport {
    /// The number of records that can be decrypted.
    pub decryptable: usize,
    /// Records that are not encrypted.
    pub plaintext: Names,
    /// Records of a legacy kind, encrypted with a key of the ring.
    pub unversioned: Names,
    /// Records that are encrypted with the application's published default key.
    pub published: Names,
    /// Records that can't be decrypted.
    pub undecryptable: Names,
    /// Why the first of those can't.
    pub first_failure: Option<String>,
    /// Whether any record is as the FossaWork application writes it.
    pub has_application_records: bool,
    /// Records that the application can't read because their tokens have the documented encoding.
    pub documented: Names,
    /// Records that the application can't read because they are of version 2.0.
    pub version_2: Names,
    /// Records whose credential was created longer ago than was asked for.
    pub overdue: Names,
    /// Records whose credential has expired.
    pub expired: Names,
    /// Records whose credential expires within [`SOON`].
    pub expiring: Names,
    /// Records that were created or encrypted in the future, by a clock that was wrong.
    pub ahead: Names,
    /// The number of records encrypted with each key that has a label.
    pub keys: BTreeMap<String, usize>,
    /// Files that are unencrypted backups of the application's old migration.
    pub backups: Names,
    /// Files that look like records or backups, but have names that are not UTF-8.
    pub misnamed: Names,
    /// Other files that don't belong in the directory.
    pub foreign: Names,
}

impl RecordsReport {
    /// Examines all records and leftovers of a vault. A credential is overdue when it was created longer ago than
    /// `credential_age`.
    ///
    /// # Errors
    ///
    /// As [`for_each`], and when the directory can't be listed.
    pub fn examine<E: From<Error>>(
        vault: &Vault,
        credential_age: Duration,
        mut each: impl FnMut() -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut report = Self::default();
        let ask = |users: &[UserId]| vault.verify(users);
        for_each(vault, Selection::default(), ask, |user, answer| {
            match answer {
                Ok(summary) => report.add(user, summary, credential_age),
                Err(error) if error.code() == ErrorCode::NeedsMigration => {
                    report.add_unprotected(vault, user);
                }
                Err(error) => report.add_undecryptable(user, error),
            }
            each()
        })?;
        for leftover in vault.leftovers() {
            let leftover = leftover?;
            let names = if leftover.needs_another_name() {
                &mut report.misnamed
            } else if leftover.backup_of.is_some() {
                &mut report.backups
            } else {
                &mut report.foreign
            };
            names.add(leftover.name);
        }
        Ok(report)
    }

    fn add(&mut self, user: &UserId, summary: &Summary, credential_age: Duration) {
        self.decryptable += 1;
        if is_published(Some(&summary.key)) {
            self.published.add(user.as_str());
        } else if summary.envelope.kind == RecordKind::LegacyEncrypted {
            self.unversioned.add(user.as_str());
        }
        self.add_readers(user, &summary.envelope);
        let times = [&summary.created_at, &summary.envelope.encrypted_at];
        if times.into_iter().any(|time| is_in_the_future(time.as_deref())) {
            self.ahead.add(user.as_str());
        } else if is_older_than(summary.created_at.as_deref(), credential_age) {
            self.overdue.add(user.as_str());
        }
        if summary.expires_within(Duration::ZERO) {
            self.expired.add(user.as_str());
        } else if summary.expires_within(SOON) {
            self.expiring.add(user.as_str());
        }
        if let Some(id) = &summary.key.id {
            *self.keys.entry(id.clone()).or_default() += 1;
        }
    }

    /// A dry run of `migrate` shows what a record needs that only `migrate` can decrypt.
    fn add_unprotected(&mut self, vault: &Vault, user: &UserId) {
        let options = MigrateOptions::default().dry_run().accept_default_key().accept_plaintext();
        let answers = vault.migrate(slice::from_ref(user), &options);
        match answers.and_then(|mut answers| answers.pop().transpose()) {
            Ok(Some(record)) => {
                self.add_readers(user, &record.before);
                let names = match record.before.kind {
                    RecordKind::LegacyPlaintext => &mut self.plaintext,
                    _ if is_published(record.key.as_ref()) => &mut self.published,
                    _ => &mut self.unversioned,
                };
                names.add(user.as_str());
            }
            Ok(None) => {}
            Err(error) => self.add_undecryptable(user, &error),
        }
    }

    /// Notes who can read a record: only this program, or the application too.
    fn add_readers(&mut self, user: &UserId, record: &Envelope) {
        if record.version.as_deref() == Some(Version::V2.name()) {
            self.version_2.add(user.as_str());
            return;
        }
        match record.encoding {
            Some(TokenEncoding::Documented) => self.documented.add(user.as_str()),
            Some(TokenEncoding::App) | None => self.has_application_records = true,
        }
    }

    fn add_undecryptable(&mut self, user: &UserId, error: &Error) {
        self.first_failure.get_or_insert_with(|| format!("{user}: {error}"));
        self.undecryptable.add(user.as_str());
    }
}

fn is_published(key: Option<&KeyInfo>) -> bool {
    key.is_some_and(|key| key.weakness == Some(KeyWeakness::PublishedDefault))
}
