//! Checks the records, through the sandbox: whether each is encrypted, can be decrypted, and is encrypted with a
//! current key.

use std::collections::BTreeMap;

use moat::{
    Envelope, Error, ErrorCode, KeyInfo, KeyState, KeyWeakness, MigrateOptions, Operation,
    RecordKind, Summary, TokenEncoding, UserId, Vault,
};

use super::directory::Settings;
use super::key::Keys;
use super::{Checks, Names, audit};
use crate::args::Check;
use crate::batch::{self, Selection};
use crate::confinement::{self, Part};
use crate::context::Context;
use crate::duration;
use crate::failure::Failure;
use crate::style;

const NAME: &str = "records";

/// Checks the records, if there are keys and a directory. Returns what confines the process now.
pub(super) fn check(
    context: &Context,
    arguments: &Check,
    keys: Option<Keys>,
    settings: Option<Settings>,
    checks: &mut Checks<'_>,
) -> Result<[Part; 2], Failure> {
    let remedy = "fix what is reported above, then run this again";
    let Some(settings) = settings else { return confine_without_directory() };
    let opened = match &keys {
        Some(keys) => {
            let access = [Operation::Inspect, Operation::Leftovers, Operation::Verify]
                .into_iter()
                .fold(Operation::Users.access(), |access, operation| access.or(operation.access()));
            context.vault_and_confinement(keys.ring.clone(), access)
        }
        None => {
            checks.warn(
                NAME,
                "not examined: there is no master key to decrypt them with",
                remedy,
            )?;
            return confine_without_directory();
        }
    };
    let (vault, confinement) = match opened {
        Ok(opened) => opened,
        Err(failure) => {
            checks.fail(NAME, format!("not examined: {}", failure.text().0), remedy)?;
            return confine_without_directory();
        }
    };
    // Every call is logged first, so the first call shows whether logging works.
    if let Some(Err(error)) = vault.users().next()
        && error.code() == ErrorCode::Audit
    {
        let failure = context.explain(&error);
        let (message, hint) = failure.text();
        checks.fail(audit::NAME, message, hint)?;
        checks.warn(NAME, "not examined: that can't be logged", remedy)?;
        return Ok(confinement);
    }
    let mut found = Found { is_for_app: settings.is_for_app, ..Found::default() };
    examine(context, arguments, &vault, &mut found)?;
    found.report(keys.as_ref(), checks)?;
    Ok(confinement)
}

/// Confines the process if there is no directory to examine.
fn confine_without_directory() -> Result<[Part; 2], Failure> {
    confinement::confine(&[]).map_err(|error| Failure::confinement(&*error))
}

#[derive(Default)]
struct Found {
    decryptable: usize,
    plaintext: Names,
    unversioned: Names,
    published: Names,
    undecryptable: Names,
    why: Option<String>,
    /// Whether the settings or any record indicate that the FossaWork application uses this directory.
    is_for_app: bool,
    /// What the application can't read: tokens with the documented encoding, and records of version 2.0.
    documented: Names,
    version_2: Names,
    overdue: Names,
    /// The number of records encrypted with each key.
    keys: BTreeMap<String, usize>,
    backups: Names,
    /// Records and backups whose names are not UTF-8.
    misnamed: Names,
    foreign: Names,
}

fn examine(
    context: &Context,
    arguments: &Check,
    vault: &Vault,
    found: &mut Found,
) -> Result<(), Failure> {
    let ask = |users: &[UserId]| vault.verify(users);
    batch::for_each(context, vault, Selection::of(&[]), ask, |(user, answer)| {
        match answer {
            Ok(summary) => found.decrypted(&user, &summary, arguments),
            Err(error) if error.code() == ErrorCode::NeedsMigration => found.legacy(vault, &user),
            Err(error) => found.undecryptable(&user, &error),
        }
        Ok(())
    })?;
    for leftover in vault.leftovers() {
        let leftover = leftover.map_err(|error| context.explain(&error))?;
        let names = if leftover.needs_another_name() {
            &mut found.misnamed
        } else if leftover.backup_of.is_some() {
            &mut found.backups
        } else {
            &mut found.foreign
        };
        names.add(style::file_name(&leftover.name));
    }
    Ok(())
}

impl Found {
    fn decrypted(&mut self, user: &UserId, summary: &Summary, arguments: &Check) {
        self.decryptable += 1;
        if is_published(Some(&summary.key)) {
            self.published.add(user);
        } else if summary.envelope.kind == RecordKind::LegacyEncrypted {
            self.unversioned.add(user);
        }
        self.note_readers(user, &summary.envelope);
        if duration::is_older_than(arguments.credential_age, summary.created_at.as_deref()) {
            self.overdue.add(user);
        }
        if let Some(id) = &summary.key.id {
            *self.keys.entry(id.clone()).or_default() += 1;
        }
    }

    /// A dry run of `migrate` shows what a record needs that only `migrate` can decrypt.
    fn legacy(&mut self, vault: &Vault, user: &UserId) {
        let options = MigrateOptions::default().dry_run().accept_default_key().accept_plaintext();
        let answers = vault.migrate(std::slice::from_ref(user), &options);
        match answers.and_then(|mut answers| answers.pop().transpose()) {
            Ok(Some(record)) => {
                self.note_readers(user, &record.before);
                match record.before.kind {
                    RecordKind::LegacyPlaintext => self.plaintext.add(user),
                    _ if is_published(record.key.as_ref()) => self.published.add(user),
                    _ => self.unversioned.add(user),
                }
            }
            Ok(None) => {}
            Err(error) => self.undecryptable(user, &error),
        }
    }

    /// Notes whether the FossaWork application can read the record too.
    fn note_readers(&mut self, user: &UserId, record: &Envelope) {
        match (record.version.as_deref(), record.encoding) {
            (Some("2.0"), _) => self.version_2.add(user),
            (_, Some(TokenEncoding::Documented)) => self.documented.add(user),
            (_, Some(TokenEncoding::App) | None) => self.is_for_app = true,
        }
    }

    fn undecryptable(&mut self, user: &UserId, error: &Error) {
        self.why.get_or_insert_with(|| format!("{user}: {error}"));
        self.undecryptable.add(user);
    }

    fn report(self, keys: Option<&Keys>, checks: &mut Checks<'_>) -> Result<(), Failure> {
        let before = checks.fail;
        if !self.plaintext.is_empty() {
            let finding = format!("not encrypted: {}", self.plaintext);
            checks.fail(NAME, finding, how_to_accept("--accept-plaintext"))?;
        }
        if !self.published.is_empty() {
            let finding =
                format!("encrypted with the application's published key: {}", self.published);
            checks.fail(NAME, finding, how_to_accept("--accept-default-key"))?;
        }
        if !self.unversioned.is_empty() {
            checks.warn(
                NAME,
                format!("in a legacy format: {}", self.unversioned),
                "moat migrate",
            )?;
        }
        if !self.undecryptable.is_empty() {
            let why = self.why.unwrap_or_default();
            checks.fail(
                NAME,
                format!("can't be decrypted: {} ({why})", self.undecryptable),
                "moat verify    shows why for each; restore them from a backup, or provide the key that they are encrypted with",
            )?;
        }
        let document = keys.and_then(|keys| keys.document.as_ref());
        let state = |id: &str| document?.key(id).ok().map(moat::RingKey::state);
        for (id, records) in &self.keys {
            match state(id) {
                Some(KeyState::Retired) => checks.fail(
                    NAME,
                    format!("{records} encrypted with the retired key {id:?}"),
                    format!("moat keys restore {id}; moat rotate; moat keys retire {id}"),
                )?,
                Some(KeyState::Secondary) => checks.warn(
                    NAME,
                    format!("{records} encrypted with {id:?} instead of the primary key"),
                    "moat rotate",
                )?,
                _ => {}
            }
        }
        if self.is_for_app {
            for (names, why, remedy) in [
                (
                    &self.documented,
                    "their tokens have the documented encoding",
                    "moat migrate --token-encoding app",
                ),
                (
                    &self.version_2,
                    "they are version 2.0",
                    "moat migrate --to 1.0 --token-encoding app",
                ),
            ] {
                if !names.is_empty() {
                    let finding = format!("the FossaWork application can't read {names}: {why}");
                    checks.warn(NAME, finding, remedy)?;
                }
            }
        }
        if !self.overdue.is_empty() {
            let finding = format!("not changed for a long time: {}", self.overdue);
            checks.warn(
                NAME,
                finding,
                "change the passwords where they are used, then store them with `moat put USER`",
            )?;
        }
        if !self.backups.is_empty() {
            let finding = format!("copies with a password in the clear: {}", self.backups);
            checks.fail("backups", finding, "moat migrate --remove-plaintext-backups")?;
        }
        if !self.misnamed.is_empty() {
            let finding = format!(
                "records without a user, because their names are not UTF-8: {}",
                self.misnamed
            );
            checks.fail("files", finding, "rename each: mv $'OLD' NEW.cred; then moat migrate")?;
        }
        if !self.foreign.is_empty() {
            let finding = format!("files that are not credentials: {}", self.foreign);
            checks.warn("files", finding, "move them elsewhere")?;
        }
        if checks.fail == before {
            checks.ok(NAME, format!("{} can be decrypted", self.decryptable))?;
        }
        Ok(())
    }
}

/// What to do about records that anyone could have written.
fn how_to_accept(flag: &str) -> String {
    format!(
        "first compare them with a backup, or change the passwords with `moat put USER`: anyone who could write to \
         the directory could have put them there; moat migrate {flag} --user USER    accepts them as genuine"
    )
}

fn is_published(key: Option<&KeyInfo>) -> bool {
    key.is_some_and(|key| key.weakness == Some(KeyWeakness::PublishedDefault))
}
