//! What callers ask for: the functions of the interfaces `vault` and `reveal`.
//!
//! Every rewrite names the revision that it replaces. When somebody else wrote in between, it is done anew
//! on what they wrote, unless the caller named a revision itself.

use crate::contract::{
    Credential, Envelope, Error, ErrorCode, KeyInfo, PutOptions, RecordKind, Revealed, Stored,
    Summary, TokenEncoding, UserPage,
};
use crate::environment::Environment;
use crate::keys::{Ring, UserKeys};
use crate::plaintext::{self, Plaintext};
use crate::record::{self, Form, Record};
use crate::retry::until_written;
use crate::scheme::{Scheme, Version};
use crate::settings::Settings;
use crate::timestamp;
use moat_format::user_id::UserId;

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
    let version = options.version.as_deref().map(Version::parse).transpose()?;
    let ring = Ring::new(environment);
    ring.primary()?;
    let mut keys = ring.for_user(&user);

    let mut attempt = || {
        let old = find(environment, &user)?;
        check_expectations(options, old.as_ref())?;
        let old_fields = match &old {
            Some(record) => replaceable_fields(record, &mut keys)?,
            None => Vec::new(),
        };

        let now = now(environment)?;
        let mut plaintext = Plaintext::new(credential, &now)?;
        let new = plaintext.credential()?;
        let replaced = old.is_some();
        let form = form(environment, old.as_ref(), version, options.encoding, false)?;
        let mut record = old.unwrap_or_default();
        record.begin(&user, new.created_at.as_deref().unwrap_or(&now))?;
        let (contents, key) = seal(&mut record, &mut plaintext, &form, &mut keys)?;
        record::check_headroom(&contents)?;
        write(&mut record, &contents, &keys)?;
        let kept = |name: &String| new.fields.iter().any(|field| field.name == *name);
        Ok(Stored {
            dropped_fields: old_fields.into_iter().filter(|name| !kept(name)).collect(),
            summary: summary(&user, &new, key, &record),
            replaced,
        })
    };
    let again = options.expected_revision.is_none() && !options.create_only;
    if again { until_written(attempt) } else { attempt() }
}

/// Opens a record and tells all but its secrets.
pub fn describe(environment: &dyn Environment, user_id: &str) -> Result<Summary, Error> {
    Ok(reveal(environment, user_id)?.summary)
}

/// Opens a record and hands out all of it.
pub fn reveal(environment: &dyn Environment, user_id: &str) -> Result<Revealed, Error> {
    let user = UserId::parse(user_id)?;
    let record = existing(environment, &user)?;
    let ring = Ring::new(environment);
    reveal_record(&record, &mut ring.for_user(&user))
}

fn reveal_record(record: &Record, keys: &mut UserKeys) -> Result<Revealed, Error> {
    let (plaintext, key) = open(record, keys)?;
    let credential = plaintext.credential()?;
    Ok(Revealed { summary: summary(keys.user(), &credential, key, record), credential })
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
    each(environment, user_ids, |keys| {
        let record = existing(environment, keys.user())?;
        Ok(reveal_record(&record, keys)?.summary)
    })
}

/// Does the same for each of some users, all with one ring.
pub(crate) fn each<T>(
    environment: &dyn Environment,
    user_ids: &[String],
    mut work: impl FnMut(&mut UserKeys) -> Result<T, Error>,
) -> Vec<Result<T, Error>> {
    let ring = Ring::new(environment);
    let one = |user_id: &String| work(&mut ring.for_user(&UserId::parse(user_id)?));
    user_ids.iter().map(one).collect()
}

/// Opens a record, changes what is inside and writes it back, in the spelling in which it was found.
fn update(
    environment: &dyn Environment,
    user_id: &str,
    change: impl Fn(&mut Plaintext, &str) -> Result<(), Error>,
) -> Result<Summary, Error> {
    let user = UserId::parse(user_id)?;
    existing(environment, &user)?;
    let ring = Ring::new(environment);
    ring.primary()?;
    let mut keys = ring.for_user(&user);

    until_written(|| {
        let mut record = existing(environment, &user)?;
        let (mut plaintext, _) = open(&record, &mut keys)?;
        // What can't be read is not repaired in passing: a mark would overwrite the member that is wrong.
        plaintext.credential()?;
        change(&mut plaintext, &now(environment)?)?;
        let credential = plaintext.credential()?;
        let form = form(environment, Some(&record), None, None, false)?;
        let key = save(&mut record, &mut plaintext, &form, &mut keys)?;
        Ok(summary(&user, &credential, key, &record))
    })
}

/// How a record is to be written: as it was, unless something else is asked for or it is new. What the
/// application left in the clear it must be able to read again, unless the directory is set otherwise.
pub(crate) fn form(
    environment: &dyn Environment,
    old: Option<&Record>,
    version: Option<Version>,
    encoding: Option<TokenEncoding>,
    dry_run: bool,
) -> Result<Form, Error> {
    let is_plaintext = old.is_some_and(|old| old.kind() == RecordKind::LegacyPlaintext);
    let kept = old
        .filter(|_| !is_plaintext)
        .map(Record::scheme)
        .filter(|scheme| version.is_none_or(|version| version == scheme.version()));
    match (kept, encoding.or(old.and_then(Record::encoding))) {
        (Some(scheme), Some(encoding)) => Ok(Form { scheme: scheme.clone(), encoding }),
        (_, encoding) => {
            let settings = Settings::load(environment)?;
            let default = if is_plaintext { TokenEncoding::App } else { TokenEncoding::Documented };
            Ok(Form {
                scheme: settings.scheme(environment, version, dry_run)?,
                encoding: encoding.or(settings.token_encoding()).unwrap_or(default),
            })
        }
    }
}

/// Encrypts with the primary key, and returns the bytes of the record and the key.
pub(crate) fn seal(
    record: &mut Record,
    plaintext: &mut Plaintext,
    form: &Form,
    keys: &mut UserKeys,
) -> Result<(Vec<u8>, KeyInfo), Error> {
    let key = keys.primary()?;
    let binding = record.next_binding(keys.user(), key.id.clone());
    match (record.scheme(), &form.scheme) {
        (Scheme::V1, Scheme::V1) => {}
        (Scheme::V2(_), Scheme::V1) => plaintext.unbind(),
        (Scheme::V1, Scheme::V2(_)) if plaintext.binding()?.is_some() => {
            return Err(record::name_taken());
        }
        (_, Scheme::V2(_)) => plaintext.bind(&binding)?,
    }
    let token = keys.seal(&plaintext.to_bytes()?, &form.scheme)?;
    Ok((record.seal(token, form, &binding)?, key))
}

/// Encrypts with the primary key and writes the record in place of the file that it was read from.
pub(crate) fn save(
    record: &mut Record,
    plaintext: &mut Plaintext,
    form: &Form,
    keys: &mut UserKeys,
) -> Result<KeyInfo, Error> {
    let (contents, key) = seal(record, plaintext, form, keys)?;
    write(record, &contents, keys)?;
    Ok(key)
}

fn write(record: &mut Record, contents: &[u8], keys: &UserKeys) -> Result<(), Error> {
    let name = keys.user().file_name();
    let revision = keys.environment().write(&name, contents, record.revision())?;
    record.set_revision(revision);
    Ok(())
}

pub(crate) fn open(record: &Record, keys: &mut UserKeys) -> Result<(Plaintext, KeyInfo), Error> {
    let (plaintext, key) = keys.open(record)?;
    let plaintext = Plaintext::parse(&plaintext)?;
    record.check_binding(keys.user(), &plaintext)?;
    Ok((plaintext, key))
}

fn find(environment: &dyn Environment, user: &UserId) -> Result<Option<Record>, Error> {
    let file = environment.read(&user.file_name())?;
    file.map(|file| Record::parse(user, file)).transpose()
}

pub(crate) fn existing(environment: &dyn Environment, user: &UserId) -> Result<Record, Error> {
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
