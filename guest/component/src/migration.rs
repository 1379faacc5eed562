//! Rewriting the records of a directory, a few at a time: from the application's legacy kinds, from one version
//! or spelling to another, from one key to the next. And what the application's own migration left behind.
//!
//! A dry run does all but the writing, so that it fails where the real run would.

use crate::contract::{
    Error, ErrorCode, KeyInfo, KeyWeakness, Leftover, LeftoverPage, MigrateOptions, RecordKind,
    Rewritten, TokenEncoding,
};
use crate::environment::Environment;
use crate::keys::UserKeys;
use crate::plaintext::Plaintext;
use crate::record::{Form, Record};
use crate::retry::until_written;
use crate::scheme::{Scheme, Version};
use crate::settings::{self, Settings};
use crate::vault::{self, each, existing, form, open};
use moat_format::user_id::UserId;

/// Encrypts records of legacy kinds with the primary key, or brings all to another version or spelling.
pub fn migrate(
    environment: &dyn Environment,
    user_ids: &[String],
    options: &MigrateOptions,
) -> Vec<Result<Rewritten, Error>> {
    each(environment, user_ids, |keys| {
        let version = options.version.as_deref().map(Version::parse).transpose()?;
        until_written(|| {
            let record = existing(environment, keys.user())?;
            let (plaintext, key) = open_any(&record, keys, options)?;
            // What isn't a credential is no better under another key or version.
            plaintext.credential()?;

            let published = Some(KeyWeakness::PublishedDefault);
            let accepted = key.as_ref().is_some_and(|key| key.weakness == published);
            let current = record.kind() == RecordKind::Current && !accepted;
            let version = match version {
                None if !current => Some(Settings::load(environment)?.version()),
                asked => asked,
            };
            let form =
                form(environment, Some(&record), version, options.encoding, options.dry_run)?;
            let change = !current || !is_written_so(&record, &form);
            rewrite(record, plaintext, key, change.then_some(&form), keys, options.dry_run)
        })
    })
}

/// Encrypts records with the primary key that are under another of the ring.
pub fn rewrap(
    environment: &dyn Environment,
    user_ids: &[String],
    dry_run: bool,
) -> Vec<Result<Rewritten, Error>> {
    each(environment, user_ids, |keys| {
        until_written(|| {
            let record = existing(environment, keys.user())?;
            let (plaintext, key) = open(&record, keys)?;
            let form = form(environment, Some(&record), None, None, dry_run)?;
            let change = !key.primary;
            rewrite(record, plaintext, Some(key), change.then_some(&form), keys, dry_run)
        })
    })
}

/// Whether it is written in this form already. How a token of version 2.0 is spelled matters to no reader.
fn is_written_so(record: &Record, form: &Form) -> bool {
    form.scheme == *record.scheme()
        && (form.scheme != Scheme::V1 || record.encoding() == Some(form.encoding))
}

/// Opens a record of any kind, if what anyone could have written is accepted, and tells its key if it is
/// encrypted.
fn open_any(
    record: &Record,
    keys: &mut UserKeys,
    options: &MigrateOptions,
) -> Result<(Plaintext, Option<KeyInfo>), Error> {
    let refusal = match open(record, keys) {
        Err(error) if error.code == ErrorCode::NeedsMigration => error,
        opened => return opened.map(|(plaintext, key)| (plaintext, Some(key))),
    };
    match record.kind() {
        RecordKind::LegacyPlaintext if options.accept_plaintext => {
            Ok((record.unencrypted()?, None))
        }
        RecordKind::Current | RecordKind::LegacyEncrypted if options.accept_default_key => {
            let (plaintext, key) = keys.open_published(record)?.ok_or(refusal)?;
            Ok((Plaintext::parse(&plaintext)?, Some(key)))
        }
        _ => Err(refusal),
    }
}

/// Writes a record in this form, if in any.
fn rewrite(
    mut record: Record,
    mut plaintext: Plaintext,
    key: Option<KeyInfo>,
    form: Option<&Form>,
    keys: &mut UserKeys,
    dry_run: bool,
) -> Result<Rewritten, Error> {
    let before = record.envelope();
    match form {
        Some(form) if dry_run => vault::seal(&mut record, &mut plaintext, form, keys).map(drop)?,
        Some(form) => vault::save(&mut record, &mut plaintext, form, keys).map(drop)?,
        None => {}
    }
    Ok(Rewritten { user_id: keys.user().to_string(), before, key, changed: form.is_some() })
}

/// Sets the version and the spelling of tokens that new records in this directory get, each if it is given, and
/// tells whether something changed.
pub fn configure(
    environment: &dyn Environment,
    version: Option<&str>,
    encoding: Option<TokenEncoding>,
) -> Result<bool, Error> {
    settings::configure(environment, version.map(Version::parse).transpose()?, encoding)
}

/// The files after `cursor` that are neither records nor this program's own, from at most `limit` names.
pub fn leftovers(
    environment: &dyn Environment,
    cursor: Option<&str>,
    limit: u32,
) -> Result<LeftoverPage, Error> {
    let page = environment.names(cursor, limit.clamp(1, vault::MAX_PAGE))?;
    let own = |name: &String| name.starts_with(".moat.") || name == settings::FILE;
    let foreign = |name: &String| UserId::from_file_name(name).is_none() && !own(name);
    let leftovers = page.names.into_iter().filter(foreign).map(|name| Leftover {
        backup_of: UserId::from_backup_name(&name).map(|user| user.to_string()),
        name,
    });
    Ok(LeftoverPage { leftovers: leftovers.collect(), next: page.next })
}

/// Removes a backup of this name, if the credential that it is of opens, and tells whether there was one.
pub fn remove_backup(environment: &dyn Environment, name: &str) -> Result<bool, Error> {
    let Some(user) = UserId::from_backup_name(name) else {
        return Err(Error::malformed("this is not the name of a backup"));
    };
    vault::describe(environment, user.as_str())?;
    environment.remove(name, None)
}
