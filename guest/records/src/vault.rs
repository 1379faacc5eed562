//! What callers ask for: the functions of the interfaces `vault` and `reveal`.
//!
//! Every rewrite names the revision that it replaces. When somebody else wrote in between, it is repeated on what they
//! wrote, unless the caller named a revision itself.

#![allow(clippy::missing_errors_doc, reason = "the contract in `wit/` says which")]

use moat_format::expiry::Expiry;
use moat_format::message::Message;
use moat_format::timestamp;
use moat_format::token::Encoding;
use moat_format::user_id::UserId;
use moat_format::version::Version;

use crate::configuration;
use crate::contract::{
    Changes, Credential, Envelope, Error, ErrorCode, KeyInfo, PutOptions, RecordKind, Revealed,
    Stored, Summary, UserPage, VersionHistory,
};
use crate::host::Host;
use crate::keys::{Ring, UserKeys};
use crate::plaintext::{self, Plaintext};
use crate::record::{self, Record, WriteFormat};
use crate::retry::until_written;
use crate::scheme::Scheme;

/// How many records are read before the keys of all of them are derived: few enough to fit into the memory.
const AT_ONCE: usize = 16;

/// The most names that one page of users is made from.
pub const MAX_PAGE: u32 = 4096;

/// Stores a credential in place of the one before.
pub fn put(
    host: &dyn Host,
    user_id: &str,
    credential: &Credential,
    options: &PutOptions,
) -> Result<Stored, Error> {
    let user = UserId::parse(user_id)?;
    plaintext::check(credential)?;
    let version = options.version.as_deref().map(Version::parse).transpose()?;
    let ring = Ring::new(host);
    ring.primary()?;
    let mut keys = ring.for_user(&user);

    let mut attempt = || {
        let old = find(host, &user)?;
        check_expectations(options, old.as_ref())?;
        let before = match &old {
            Some(record) => replaceable(record, &mut keys)?,
            None => None,
        };

        let now = now(host)?;
        let mut dropped_fields = Vec::new();
        let mut plaintext = Plaintext::default();
        if let Some((old_plaintext, old_credential)) = before {
            let wanted = configuration::history(&ring, &old_plaintext)?;
            plaintext =
                if options.keep_fields { old_plaintext } else { old_plaintext.only_earlier()? };
            plaintext.replace(credential, &now)?;
            plaintext.keep_earlier(&old_credential, &now, wanted)?;
            dropped_fields = old_credential.field_names();
        } else {
            plaintext.replace(credential, &now)?;
        }
        let new = plaintext.credential()?;
        let replaced = old.is_some();
        let encoding = options.encoding.map(Into::into);
        let format = write_format(&keys, old.as_ref(), version, encoding, false)?;
        let mut record = old.unwrap_or_default();
        record.begin(new.created_at.as_deref().unwrap_or(&now));
        let (contents, key) = seal(&mut record, &mut plaintext, &format, &mut keys)?;
        record::check_headroom(&contents)?;
        write(&mut record, &contents, &keys)?;
        dropped_fields.retain(|name| !new.fields.iter().any(|field| field.name == *name));
        Ok(Stored {
            dropped_fields,
            summary: summary(&user, &plaintext, &new, key, &record)?,
            replaced,
        })
    };
    let again = options.expected_revision.is_none() && !options.create_only;
    if again { until_written(attempt) } else { attempt() }
}

/// Changes a part of a credential and keeps everything else.
pub fn change(
    host: &dyn Host,
    user_id: &str,
    changes: &Changes,
    expected_revision: Option<&str>,
) -> Result<Summary, Error> {
    plaintext::check_changes(changes)?;
    update(host, user_id, expected_revision, record::check_headroom, |rewrite| {
        let Rewrite { record, plaintext, before, now, ring } = rewrite;
        if changes.password.is_some() {
            record.begin(now);
        }
        plaintext.change(changes, now)?;
        if changes.forget_history {
            plaintext.forget_earlier();
            return Ok(());
        }
        let wanted = configuration::history(ring, plaintext)?;
        plaintext.keep_earlier(before, now, wanted)
    })
}

/// Stores the credential of another user for this one.
pub fn copy(host: &dyn Host, user_id: &str, source: &str) -> Result<Summary, Error> {
    let (user, source) = (UserId::parse(user_id)?, UserId::parse(source)?);
    let source_record = existing(host, &source)?;
    if find(host, &user)?.is_some() {
        return Err(Error::new(ErrorCode::Conflict, Message::RecordExists));
    }
    let ring = Ring::new(host);
    ring.primary()?;
    let (mut plaintext, _) = decrypt(&source_record, &mut ring.for_user(&source))?;
    let credential = plaintext.credential()?;

    let scheme = source_record.scheme();
    if let Scheme::V2(_) = scheme {
        plaintext.unbind();
    }
    let mut keys = ring.for_user(&user);
    let version = Some(scheme.version());
    let format = write_format(&keys, None, version, source_record.encoding(), false)?;
    let mut record = source_record.copied();
    let (contents, key) = seal(&mut record, &mut plaintext, &format, &mut keys)?;
    write(&mut record, &contents, &keys)?;
    summary(&user, &plaintext, &credential, key, &record)
}

/// Returns which earlier versions of a credential are kept.
pub fn history(host: &dyn Host, user_id: &str) -> Result<VersionHistory, Error> {
    open(host, user_id, |record, keys| {
        let (plaintext, key) = decrypt(record, keys)?;
        let summary = summary(keys.user(), &plaintext, &plaintext.credential()?, key, record)?;
        Ok(VersionHistory { summary, versions: plaintext.list_earlier()? })
    })
}

/// Puts an earlier version in the place of the credential, which is kept however many are to be.
pub fn restore(
    host: &dyn Host,
    user_id: &str,
    number: u32,
    expected_revision: Option<&str>,
) -> Result<Summary, Error> {
    update(host, user_id, expected_revision, record::check_headroom, |rewrite| {
        let Rewrite { plaintext, before, now, ring, .. } = rewrite;
        plaintext.restore(&plaintext.find_earlier(number)?)?;
        let wanted = configuration::history(ring, plaintext)?;
        plaintext.keep_earlier(before, now, wanted.max(1))
    })
}

/// Decrypts a record and returns all but its secrets.
pub fn describe(host: &dyn Host, user_id: &str) -> Result<Summary, Error> {
    Ok(reveal(host, user_id)?.summary)
}

/// Decrypts a record and returns all of it.
pub fn reveal(host: &dyn Host, user_id: &str) -> Result<Revealed, Error> {
    open(host, user_id, |record, keys| reveal_record(record, keys, Plaintext::credential))
}

/// Decrypts a record and returns an earlier version of its credential.
pub fn reveal_version(host: &dyn Host, user_id: &str, number: u32) -> Result<Revealed, Error> {
    open(host, user_id, |record, keys| {
        reveal_record(record, keys, |plaintext| plaintext.find_earlier(number))
    })
}

/// Reads the record of this user and does something with it.
fn open<T>(
    host: &dyn Host,
    user_id: &str,
    work: impl FnOnce(&Record, &mut UserKeys) -> Result<T, Error>,
) -> Result<T, Error> {
    let user = UserId::parse(user_id)?;
    let record = existing(host, &user)?;
    let ring = Ring::new(host);
    work(&record, &mut ring.for_user(&user))
}

/// Decrypts a record and returns the credential that is found in it.
fn reveal_record(
    record: &Record,
    keys: &mut UserKeys,
    find: impl FnOnce(&Plaintext) -> Result<Credential, Error>,
) -> Result<Revealed, Error> {
    let (plaintext, key) = decrypt(record, keys)?;
    let credential = find(&plaintext)?;
    Ok(Revealed {
        summary: summary(keys.user(), &plaintext, &credential, key, record)?,
        credential,
    })
}

/// Returns a record's envelope; needs no key.
pub fn inspect(host: &dyn Host, user_id: &str) -> Result<Envelope, Error> {
    Ok(existing(host, &UserId::parse(user_id)?)?.envelope())
}

/// Sets `last_used` to now.
pub fn mark_used(host: &dyn Host, user_id: &str) -> Result<Summary, Error> {
    mark(host, user_id, Plaintext::set_last_used)
}

/// Counts a login attempt and notes whether it succeeded.
pub fn mark_validated(host: &dyn Host, user_id: &str, valid: bool) -> Result<Summary, Error> {
    mark(host, user_id, |plaintext, _| plaintext.record_attempt(valid))
}

/// Records something for which every record has room.
fn mark(
    host: &dyn Host,
    user_id: &str,
    mark: impl Fn(&mut Plaintext, &str) -> Result<(), Error>,
) -> Result<Summary, Error> {
    update(host, user_id, None, |_| Ok(()), |rewrite| mark(rewrite.plaintext, rewrite.now))
}

/// Removes a record, readable or not, and returns whether there was one.
pub fn remove(
    host: &dyn Host,
    user_id: &str,
    expected_revision: Option<&str>,
) -> Result<bool, Error> {
    host.remove(&UserId::parse(user_id)?.file_name(), expected_revision)
}

/// The users after `cursor`, from at most `limit` names of the directory.
pub fn users(host: &dyn Host, cursor: Option<&str>, limit: u32) -> Result<UserPage, Error> {
    let page = host.names(cursor, limit.clamp(1, MAX_PAGE))?;
    let users = page.names.iter().filter_map(|name| UserId::from_file_name(name));
    Ok(UserPage { user_ids: users.map(|user| user.to_string()).collect(), next: page.next })
}

/// Decrypts each record and returns an answer for each, in the order asked.
pub fn verify(host: &dyn Host, user_ids: &[String]) -> Vec<Result<Summary, Error>> {
    each(
        host,
        user_ids,
        |_| false,
        |keys, record| Ok(reveal_record(&record, keys, Plaintext::credential)?.summary),
    )
}

/// Does the same for each of some users' records, all with one ring. The keys of several are derived at once, with those
/// that a record is to be written with in version 1.0.
pub(crate) fn each<T>(
    host: &dyn Host,
    user_ids: &[String],
    writes: impl Fn(&Record) -> bool,
    mut work: impl FnMut(&mut UserKeys, Record) -> Result<T, Error>,
) -> Vec<Result<T, Error>> {
    let ring = Ring::new(host);
    let find = |user_id: &String| {
        let user = UserId::parse(user_id)?;
        Ok((existing(host, &user)?, user))
    };
    let some_at_once = |some: &[String]| {
        let found: Vec<Result<(Record, UserId), Error>> = some.iter().map(find).collect();
        ring.derive_ahead(found.iter().flatten(), &writes);
        found
    };
    let found = user_ids.chunks(AT_ONCE).flat_map(some_at_once);
    found
        .map(|found| found.and_then(|(record, user)| work(&mut ring.for_user(&user), record)))
        .collect()
}

/// Works on a record until nobody else wrote in between: on this one, and then on what is there.
pub(crate) fn until_rewritten<T>(
    record: Record,
    keys: &mut UserKeys,
    mut work: impl FnMut(Record, &mut UserKeys) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut first = Some(record);
    until_written(|| {
        let record = match first.take() {
            Some(record) => record,
            None => existing(keys.host(), keys.user())?,
        };
        work(record, keys)
    })
}

/// A record that is being changed.
struct Rewrite<'r> {
    record: &'r mut Record,
    plaintext: &'r mut Plaintext,
    /// The credential as it was found.
    before: &'r Credential,
    now: &'r str,
    ring: &'r Ring<'r>,
}

/// Decrypts a record, changes its plaintext and writes it back in the format in which it was found.
fn update(
    host: &dyn Host,
    user_id: &str,
    expected_revision: Option<&str>,
    check: fn(&[u8]) -> Result<(), Error>,
    change: impl Fn(Rewrite<'_>) -> Result<(), Error>,
) -> Result<Summary, Error> {
    let user = UserId::parse(user_id)?;
    existing(host, &user)?;
    let ring = Ring::new(host);
    ring.primary()?;
    let mut keys = ring.for_user(&user);

    let mut attempt = || {
        let mut record = existing(host, &user)?;
        check_revision(expected_revision, Some(&record))?;
        let (mut plaintext, _) = decrypt(&record, &mut keys)?;
        // What can't be read is not repaired in passing: a mark would overwrite the member that is wrong.
        let before = plaintext.credential()?;
        change(Rewrite {
            record: &mut record,
            plaintext: &mut plaintext,
            before: &before,
            now: &now(host)?,
            ring: &ring,
        })?;
        let credential = plaintext.credential()?;
        let format = write_format(&keys, Some(&record), None, None, false)?;
        let (contents, key) = seal(&mut record, &mut plaintext, &format, &mut keys)?;
        check(&contents)?;
        write(&mut record, &contents, &keys)?;
        summary(&user, &plaintext, &credential, key, &record)
    };
    if expected_revision.is_none() { until_written(attempt) } else { attempt() }
}

/// How a record is to be written: as it was, unless something else is asked for or it is new. What the application left
/// unencrypted it must be able to read again, unless the directory is set otherwise.
pub(crate) fn write_format(
    keys: &UserKeys,
    old: Option<&Record>,
    version: Option<Version>,
    encoding: Option<Encoding>,
    dry_run: bool,
) -> Result<WriteFormat, Error> {
    let is_plaintext = old.is_some_and(|old| old.kind() == RecordKind::LegacyPlaintext);
    let ring = keys.ring();
    let old_scheme = old.filter(|_| !is_plaintext).map(Record::scheme);
    let version = version.or(old_scheme.map(Scheme::version));
    let is_strong = ring.primary_is_strong()?;
    let kept = old_scheme
        .filter(|scheme| version == Some(scheme.version()))
        .and_then(|scheme| scheme.with_key(is_strong));
    match (kept, encoding.or(old.and_then(Record::encoding))) {
        (Some(scheme), Some(encoding)) => Ok(WriteFormat { scheme, encoding }),
        (_, encoding) => {
            let settings = configuration::settings(ring)?;
            let default = if is_plaintext { Encoding::App } else { Encoding::Documented };
            let encoding = encoding.or(settings.token_encoding()).unwrap_or(default);
            let version = version.unwrap_or(settings.version());
            let scheme = configuration::scheme(ring, &settings, version, dry_run)?;
            Ok(WriteFormat { scheme, encoding })
        }
    }
}

/// Encrypts with the primary key, and returns the bytes of the record and the key.
pub(crate) fn seal(
    record: &mut Record,
    plaintext: &mut Plaintext,
    format: &WriteFormat,
    keys: &mut UserKeys,
) -> Result<(Vec<u8>, KeyInfo), Error> {
    let key = keys.primary()?;
    let binding = record.next_binding(keys.user(), key.id.clone())?;
    match (record.scheme(), &format.scheme) {
        (Scheme::V1, Scheme::V1) => {}
        (Scheme::V2(_), Scheme::V1) => plaintext.unbind(),
        (Scheme::V1, Scheme::V2(_)) if plaintext.binding()?.is_some() => {
            return Err(Error::malformed(Message::NameTaken));
        }
        (_, Scheme::V2(_)) => plaintext.bind(&binding)?,
    }
    let token = keys.encrypt(&plaintext.to_bytes()?, &format.scheme)?;
    Ok((record.seal(keys.user(), token, format, &binding)?, key))
}

/// Encrypts with the primary key and writes the record in place of the file that it was read from.
pub(crate) fn save(
    record: &mut Record,
    plaintext: &mut Plaintext,
    format: &WriteFormat,
    keys: &mut UserKeys,
) -> Result<KeyInfo, Error> {
    let (contents, key) = seal(record, plaintext, format, keys)?;
    write(record, &contents, keys)?;
    Ok(key)
}

fn write(record: &mut Record, contents: &[u8], keys: &UserKeys) -> Result<(), Error> {
    let name = keys.user().file_name();
    let revision = keys.host().write(&name, contents, record.revision())?;
    record.set_revision(revision);
    Ok(())
}

pub(crate) fn decrypt(record: &Record, keys: &mut UserKeys) -> Result<(Plaintext, KeyInfo), Error> {
    let (plaintext, key) = keys.decrypt(record)?;
    let plaintext = Plaintext::parse(&plaintext)?;
    record.check_binding(keys.user(), &plaintext)?;
    Ok((plaintext, key))
}

fn find(host: &dyn Host, user: &UserId) -> Result<Option<Record>, Error> {
    let file = host.read(&user.file_name())?;
    file.map(|file| Record::parse(user, file)).transpose()
}

pub(crate) fn existing(host: &dyn Host, user: &UserId) -> Result<Record, Error> {
    find(host, user)?.ok_or_else(|| Error::new(ErrorCode::NotFound, Message::NoRecord))
}

fn check_expectations(options: &PutOptions, old: Option<&Record>) -> Result<(), Error> {
    if options.create_only && old.is_some() {
        return Err(Error::new(ErrorCode::Conflict, Message::RecordExists));
    }
    check_revision(options.expected_revision.as_deref(), old)
}

fn check_revision(expected: Option<&str>, old: Option<&Record>) -> Result<(), Error> {
    match expected {
        Some(expected) if old.and_then(Record::revision) != Some(expected) => {
            Err(Error::new(ErrorCode::Conflict, Message::OtherRevision))
        }
        _ => Ok(()),
    }
}

/// What is in a record that is about to be replaced.
///
/// A key of the ring has to decrypt it, so that a mistyped key replaces nothing. What anyone could have written, a legacy
/// record that is not encrypted or only with the published key, may be replaced freely, and nothing of it is kept.
fn replaceable(
    record: &Record,
    keys: &mut UserKeys,
) -> Result<Option<(Plaintext, Credential)>, Error> {
    match decrypt(record, keys) {
        Ok((plaintext, _)) => {
            let credential = plaintext.credential()?;
            Ok(Some((plaintext, credential)))
        }
        Err(error) if error.code == ErrorCode::NeedsMigration => Ok(None),
        Err(error) => Err(error),
    }
}

fn summary(
    user: &UserId,
    plaintext: &Plaintext,
    credential: &Credential,
    key: KeyInfo,
    record: &Record,
) -> Result<Summary, Error> {
    let expiry = credential.expires.as_deref().and_then(Expiry::parse);
    let created_at = credential.created_at.as_deref().unwrap_or_default();
    Ok(Summary {
        user_id: user.to_string(),
        username: credential.username.clone(),
        field_names: credential.field_names(),
        created_at: credential.created_at.clone(),
        last_used: credential.last_used.clone(),
        is_valid: credential.is_valid,
        validation_attempts: credential.validation_attempts,
        expires: credential.expires.clone(),
        expires_at: expiry.and_then(|expiry| expiry.at(created_at)),
        earlier_versions: plaintext.count_earlier()?,
        key,
        envelope: record.envelope(),
    })
}

fn now(host: &dyn Host) -> Result<String, Error> {
    timestamp::format(host.now())
        .ok_or_else(|| Error::new(ErrorCode::InvalidCredential, Message::ClockTooLate))
}
