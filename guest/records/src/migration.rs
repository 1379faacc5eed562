//! Rewriting the records of a directory, a few at a time: from the application's legacy kinds, from one version or
//! encoding to another, from one key to the next. And what the application's own migration left behind.
//!
//! A dry run does all but the writing, so that it fails where the real run would.

#![allow(clippy::missing_errors_doc, reason = "the contract in `wit/` says which")]

use std::cell::LazyCell;

use moat_format::files;
use moat_format::message::Message;
use moat_format::user_id::UserId;
use moat_format::version::Version;

use crate::configuration;
use crate::contract::{
    Error, ErrorCode, KeyInfo, KeyWeakness, Leftover, LeftoverPage, MigrateOptions, RecordKind,
    Rewritten,
};
use crate::host::Host;
use crate::keys::UserKeys;
use crate::plaintext::Plaintext;
use crate::record::{Record, WriteFormat};
use crate::scheme::Scheme;
use crate::settings::Settings;
use crate::vault::{self, decrypt, each, write_format};

/// Encrypts records of legacy kinds with the primary key, or brings all to another version or encoding.
pub fn migrate(
    host: &dyn Host,
    user_ids: &[String],
    options: &MigrateOptions,
) -> Vec<Result<Rewritten, Error>> {
    let version = match options.version.as_deref().map(Version::parse).transpose() {
        Ok(version) => version,
        Err(error) => {
            let error = Error::from(error);
            return user_ids.iter().map(|_| Err(error.clone())).collect();
        }
    };
    let directorys = LazyCell::new(|| Settings::load(host).ok().map(|settings| settings.version()));
    let writes = |record: &Record| {
        let kept = || match record.kind() {
            RecordKind::Current => Some(record.scheme().version()),
            RecordKind::LegacyPlaintext | RecordKind::LegacyEncrypted => *directorys,
        };
        version.or_else(kept) == Some(Version::V1)
    };
    each(host, user_ids, writes, |keys, record| {
        vault::until_rewritten(record, keys, |record, keys| {
            let (plaintext, key) = decrypt_any(&record, keys, options)?;
            // What isn't a credential doesn't become one with another key or version.
            plaintext.credential()?;

            let published = Some(KeyWeakness::PublishedDefault);
            let accepted = key.as_ref().is_some_and(|key| key.weakness == published);
            let current = record.kind() == RecordKind::Current && !accepted;
            let version = match version {
                None if !current => Some(configuration::settings(keys.ring())?.version()),
                asked => asked,
            };
            let encoding = options.encoding.map(Into::into);
            let format = write_format(keys, Some(&record), version, encoding, options.dry_run)?;
            let change = !current || !has_format(&record, &format);
            rewrite(record, plaintext, key, change.then_some(&format), keys, options.dry_run)
        })
    })
}

/// Encrypts records with the primary key that are encrypted with another of the ring.
pub fn rewrap(
    host: &dyn Host,
    user_ids: &[String],
    dry_run: bool,
) -> Vec<Result<Rewritten, Error>> {
    if !dry_run {
        configuration::keep_authentic(host);
    }
    let writes = |record: &Record| *record.scheme() == Scheme::V1;
    each(host, user_ids, writes, |keys, record| {
        vault::until_rewritten(record, keys, |record, keys| {
            let (plaintext, key) = decrypt(&record, keys)?;
            let format = write_format(keys, Some(&record), None, None, dry_run)?;
            let change = !key.primary;
            rewrite(record, plaintext, Some(key), change.then_some(&format), keys, dry_run)
        })
    })
}

/// Whether it has this format already. How a token of version 2.0 is encoded matters to no reader.
fn has_format(record: &Record, format: &WriteFormat) -> bool {
    format.scheme.version() == record.scheme().version()
        && (format.scheme != Scheme::V1 || record.encoding() == Some(format.encoding))
}

/// Reads a record of any kind, if what anyone could have written is accepted, and returns its key if it is encrypted.
fn decrypt_any(
    record: &Record,
    keys: &mut UserKeys,
    options: &MigrateOptions,
) -> Result<(Plaintext, Option<KeyInfo>), Error> {
    let refusal = match decrypt(record, keys) {
        Err(error) if error.code == ErrorCode::NeedsMigration => error,
        decrypted => return decrypted.map(|(plaintext, key)| (plaintext, Some(key))),
    };
    match record.kind() {
        RecordKind::LegacyPlaintext if options.accept_plaintext => {
            Ok((record.unencrypted()?, None))
        }
        RecordKind::Current | RecordKind::LegacyEncrypted if options.accept_default_key => {
            let (plaintext, key) = keys.decrypt_published(record)?.ok_or(refusal)?;
            Ok((Plaintext::parse(&plaintext)?, Some(key)))
        }
        _ => Err(refusal),
    }
}

/// Writes a record in this format; `None`: not at all.
fn rewrite(
    mut record: Record,
    mut plaintext: Plaintext,
    key: Option<KeyInfo>,
    format: Option<&WriteFormat>,
    keys: &mut UserKeys,
    dry_run: bool,
) -> Result<Rewritten, Error> {
    let before = record.envelope();
    match format {
        Some(format) if dry_run => {
            vault::seal(&mut record, &mut plaintext, format, keys).map(drop)?;
        }
        Some(format) => vault::save(&mut record, &mut plaintext, format, keys).map(drop)?,
        None => {}
    }
    Ok(Rewritten { user_id: keys.user().to_string(), before, key, changed: format.is_some() })
}

/// The files after `cursor` that are neither records nor this program's own, from at most `limit` names.
pub fn leftovers(host: &dyn Host, cursor: Option<&str>, limit: u32) -> Result<LeftoverPage, Error> {
    let page = host.names(cursor, limit.clamp(1, vault::MAX_PAGE))?;
    let foreign = |name: &String| UserId::from_file_name(name).is_none() && !files::is_own(name);
    let leftovers = page.names.into_iter().filter(foreign).map(|name| Leftover {
        backup_of: UserId::from_backup_name(&name).map(|user| user.to_string()),
        name,
    });
    Ok(LeftoverPage { leftovers: leftovers.collect(), next: page.next })
}

/// Removes a backup of this name, if the record that it is a copy of can be decrypted, and returns whether there was one.
pub fn remove_backup(host: &dyn Host, name: &str) -> Result<bool, Error> {
    let Some(user) = UserId::from_backup_name(name) else {
        return Err(Error::malformed(Message::NotABackup));
    };
    vault::describe(host, user.as_str())?;
    host.remove(name, None)
}
