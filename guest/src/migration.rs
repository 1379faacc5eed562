//! Rewriting the records of a directory, a few at a time: from the application's legacy kinds, from one version
//! to another, from one key to the next. And what the application's own migration left behind.
//!
//! A dry run does all but the writing, so that it fails where the real run would.

use crate::contract::{
    Error, ErrorCode, KeyInfo, KeyWeakness, Leftover, LeftoverPage, MigrateOptions, RecordKind,
    Rewritten,
};
use crate::environment::Environment;
use crate::keys::UserKeys;
use crate::plaintext::Plaintext;
use crate::record::{Form, Record};
use crate::scheme::Version;
use crate::settings;
use crate::user_id::UserId;
use crate::vault::{self, each, existing, form, open, until_written};

/// Encrypts records of legacy kinds with the primary key, or brings all to another version.
pub fn migrate(
    environment: &dyn Environment,
    user_ids: &[String],
    options: &MigrateOptions,
) -> Vec<Result<Rewritten, Error>> {
    each(environment, user_ids, |keys| {
        let version = options.version.as_deref().map(Version::parse).transpose()?;
        until_written(|| {
            let record = existing(environment, keys.user())?;
            let (plaintext, key) = open_any(&record, keys, options.accept_default_key)?;
            // What isn't a credential is no better under another key or version.
            plaintext.credential()?;

            let published = Some(KeyWeakness::PublishedDefault);
            let accepted = key.as_ref().is_some_and(|key| key.weakness == published);
            let current = record.kind() == RecordKind::Current && !accepted;
            let form = form(
                environment,
                current.then_some(&record),
                version,
                options.encoding.or(record.encoding()),
                options.dry_run,
            )?;
            let change = !current || form.scheme != *record.scheme();
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

/// Opens a record of any kind, and tells its key if it is encrypted.
fn open_any(
    record: &Record,
    keys: &mut UserKeys,
    accept_default_key: bool,
) -> Result<(Plaintext, Option<KeyInfo>), Error> {
    if record.kind() == RecordKind::LegacyPlaintext {
        return Ok((record.unencrypted()?, None));
    }
    match open(record, keys) {
        Err(error) if error.code == ErrorCode::NeedsMigration && accept_default_key => {
            let (plaintext, key) = keys.open_published(record)?.ok_or(error)?;
            Ok((Plaintext::parse(&plaintext)?, Some(key)))
        }
        opened => opened.map(|(plaintext, key)| (plaintext, Some(key))),
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

/// Sets the version that new records in this directory get, and tells whether it was another.
pub fn configure(environment: &dyn Environment, version: &str) -> Result<bool, Error> {
    settings::configure(environment, Version::parse(version)?)
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
