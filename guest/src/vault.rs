//! What callers ask for: the functions of the interfaces `vault` and `reveal`.
//!
//! Every rewrite names the revision that it replaces. When somebody else wrote in between, it is done anew
//! on what they wrote, unless the caller named a revision itself.

use crate::contract::{
    Credential, Envelope, Error, ErrorCode, KeyInfo, PutOptions, Revealed, Stored, Summary,
    TokenEncoding, UserPage,
};
use crate::environment::Environment;
use crate::keys::{Ring, UserKeys};
use crate::legacy::VERSION_1;
use crate::plaintext::{self, Plaintext};
use crate::record::Record;
use crate::timestamp;
use crate::user_id::UserId;

/// How often a rewrite is tried while others write the same record.
const REWRITES: usize = 16;

/// The most names that one page of users is made from.
pub const MAX_PAGE: u32 = 4096;

/// Stores a credential in place of the one before.
pub fn put(
    environment: &dyn Environment,
    user_id: &str,
    credential: &Credential,
    options: &PutOptions,
) -> Result<Stored, Error> {
    let user = UserId::parse(user_id)?;
    plaintext::check_fields(&credential.fields)?;
    if let Some(version) = options.version.as_deref().filter(|version| *version != VERSION_1) {
        let message = format!("record version {version:?} can't be written");
        return Err(Error::new(ErrorCode::UnsupportedVersion, message));
    }
    let ring = Ring::load(environment)?;
    ring.primary()?;
    let mut keys = ring.for_user(&user);

    let again = options.expected_revision.is_none() && !options.create_only;
    rewrite(again, || {
        let old = find(environment, &user)?;
        check_expectations(options, old.as_ref())?;
        let old_fields = match &old {
            Some(record) => replaceable_fields(record, &mut keys)?,
            None => Vec::new(),
        };

        let now = now(environment)?;
        let plaintext = Plaintext::new(credential, &now)?;
        let new = plaintext.credential()?;
        let replaced = old.is_some();
        let mut record = old.unwrap_or_default();
        record.begin(&user, &now)?;
        let key = save(&mut record, &plaintext, options.encoding, &mut keys)?;
        let kept = |name: &String| new.fields.iter().any(|field| field.name == *name);
        Ok(Stored {
            dropped_fields: old_fields.into_iter().filter(|name| !kept(name)).collect(),
            summary: summary(&user, &new, key, &record),
            replaced,
        })
    })
}

/// Opens a record and tells all but its secrets.
pub fn describe(environment: &dyn Environment, user_id: &str) -> Result<Summary, Error> {
    Ok(reveal(environment, user_id)?.summary)
}

/// Opens a record and hands out all of it.
pub fn reveal(environment: &dyn Environment, user_id: &str) -> Result<Revealed, Error> {
    let user = UserId::parse(user_id)?;
    let record = existing(environment, &user)?;
    let ring = Ring::load(environment)?;
    let (plaintext, key) = open(&record, &mut ring.for_user(&user))?;
    let credential = plaintext.credential()?;
    Ok(Revealed { summary: summary(&user, &credential, key, &record), credential })
}

/// Tells a record's outside; needs no key.
pub fn inspect(environment: &dyn Environment, user_id: &str) -> Result<Envelope, Error> {
    Ok(existing(environment, &UserId::parse(user_id)?)?.envelope())
}

/// Sets `last_used` to now.
pub fn mark_used(environment: &dyn Environment, user_id: &str) -> Result<Summary, Error> {
    update(environment, user_id, Plaintext::set_last_used)
}

/// Counts a login attempt and notes whether it succeeded.
pub fn mark_validated(
    environment: &dyn Environment,
    user_id: &str,
    valid: bool,
) -> Result<Summary, Error> {
    update(environment, user_id, |plaintext, _| plaintext.record_attempt(valid))
}

/// Removes a record, readable or not, and tells whether there was one.
pub fn remove(
    environment: &dyn Environment,
    user_id: &str,
    expected_revision: Option<&str>,
) -> Result<bool, Error> {
    environment.remove(&UserId::parse(user_id)?.file_name(), expected_revision)
}

/// The users after `cursor`, from at most `limit` names of the directory.
pub fn users(
    environment: &dyn Environment,
    cursor: Option<&str>,
    limit: u32,
) -> Result<UserPage, Error> {
    let page = environment.names(cursor, limit.clamp(1, MAX_PAGE))?;
    let users = page.names.iter().filter_map(|name| UserId::from_file_name(name));
    Ok(UserPage { user_ids: users.map(|user| user.to_string()).collect(), next: page.next })
}

/// Opens each record, an answer each in the order asked.
pub fn verify(environment: &dyn Environment, user_ids: &[String]) -> Vec<Result<Summary, Error>> {
    user_ids.iter().map(|user_id| describe(environment, user_id)).collect()
}

/// Opens a record, changes what is inside and writes it back, in the spelling in which it was found.
fn update(
    environment: &dyn Environment,
    user_id: &str,
    change: impl Fn(&mut Plaintext, &str) -> Result<(), Error>,
) -> Result<Summary, Error> {
    let user = UserId::parse(user_id)?;
    existing(environment, &user)?;
    let ring = Ring::load(environment)?;
    ring.primary()?;
    let mut keys = ring.for_user(&user);

    rewrite(true, || {
        let mut record = existing(environment, &user)?;
        let (mut plaintext, _) = open(&record, &mut keys)?;
        // What can't be read is not repaired in passing: a mark would overwrite the member that is wrong.
        plaintext.credential()?;
        change(&mut plaintext, &now(environment)?)?;
        let credential = plaintext.credential()?;
        let key = save(&mut record, &plaintext, None, &mut keys)?;
        Ok(summary(&user, &credential, key, &record))
    })
}

/// Runs an attempt to rewrite a record, `again` while it loses to other writers.
fn rewrite<T>(again: bool, mut attempt: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    let retries = if again { REWRITES } else { 0 };
    for _ in 0..retries {
        match attempt() {
            Err(error) if error.code == ErrorCode::Conflict => {}
            outcome => return outcome,
        }
    }
    attempt()
}

/// Encrypts with the primary key and writes the record in place of the file that it was read from.
fn save(
    record: &mut Record,
    plaintext: &Plaintext,
    encoding: Option<TokenEncoding>,
    keys: &mut UserKeys,
) -> Result<KeyInfo, Error> {
    let (token, key) = keys.seal(&plaintext.to_bytes()?)?;
    let contents = record.seal(token, encoding, key.id.as_deref())?;
    let name = keys.user().file_name();
    let revision = keys.environment().write(&name, &contents, record.revision())?;
    record.set_revision(revision);
    Ok(key)
}

fn open(record: &Record, keys: &mut UserKeys) -> Result<(Plaintext, KeyInfo), Error> {
    let (plaintext, key) = keys.open(record)?;
    Ok((Plaintext::parse(&plaintext)?, key))
}

fn find(environment: &dyn Environment, user: &UserId) -> Result<Option<Record>, Error> {
    let file = environment.read(&user.file_name())?;
    file.map(|file| Record::parse(user, file)).transpose()
}

fn existing(environment: &dyn Environment, user: &UserId) -> Result<Record, Error> {
    find(environment, user)?
        .ok_or_else(|| Error::new(ErrorCode::NotFound, "there is no credential of this user"))
}

fn check_expectations(options: &PutOptions, old: Option<&Record>) -> Result<(), Error> {
    let conflict = |message| Err(Error::new(ErrorCode::Conflict, message));
    let revision = old.and_then(Record::revision);
    if options.create_only && old.is_some() {
        return conflict("there is a credential of this user already");
    }
    match options.expected_revision.as_deref() {
        Some(expected) if revision != Some(expected) => {
            conflict("the record doesn't have the expected revision")
        }
        _ => Ok(()),
    }
}

/// The names of the fields in a record that is about to be replaced.
///
/// It has to open with a key of the ring, so that a mistyped key replaces nothing. What anyone could have
/// written, a legacy record in the clear or under the published key, may be replaced freely.
fn replaceable_fields(record: &Record, keys: &mut UserKeys) -> Result<Vec<String>, Error> {
    let credential = match open(record, keys) {
        Ok((plaintext, _)) => plaintext.credential()?,
        Err(error) if error.code == ErrorCode::NeedsMigration => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    Ok(field_names(&credential))
}

fn field_names(credential: &Credential) -> Vec<String> {
    credential.fields.iter().map(|field| field.name.clone()).collect()
}

fn summary(user: &UserId, credential: &Credential, key: KeyInfo, record: &Record) -> Summary {
    Summary {
        user_id: user.to_string(),
        username: credential.username.clone(),
        field_names: field_names(credential),
        created_at: credential.created_at.clone(),
        last_used: credential.last_used.clone(),
        is_valid: credential.is_valid,
        validation_attempts: credential.validation_attempts,
        key,
        envelope: record.envelope(),
    }
}

fn now(environment: &dyn Environment) -> Result<String, Error> {
    timestamp::format(environment.now())
        .ok_or_else(|| Error::new(ErrorCode::InvalidCredential, "the clock is past the year 9999"))
}
