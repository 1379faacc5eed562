//! What the component may write, checked before it replaces a file.
//!
//! The host has no key and can't tell whether a token can be decrypted. But it can tell that the bytes are one record of
//! the user that the call is for, that a Fernet token of now is where the secret belongs, with another IV than in the
//! record before, and that there is no member that the record before didn't have. So a component that is broken can't
//! write an unencrypted credential under the name of a record, nor anything else.

use std::fmt;
use std::time::Duration;

use moat_format::error::FormatError;
use moat_format::json_object::RawObject;
use moat_format::kdf::{DirectoryKdf, Kdf};
use moat_format::record::{
    ENCRYPTED_DATA, ENCRYPTION_VERSION, KDF, MEMBERS, MEMBERS_OF_2, USER_ID, WRITE_COUNTER,
};
use moat_format::settings::{MAC, RECORD_VERSION, Settings, TOKEN_ENCODING};
use moat_format::token::Token;
use moat_format::user_id::UserId;
use moat_format::version::Version;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// How far a token's time may be from the clock that the component was given: as long as a call can take.
const MAX_AGE: Duration = Duration::from_secs(60 * 60);

/// Why the bytes are not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteRejected {
    NotARecord,
    NewMember,
    Kdf,
    Counter,
    NotSettings,
    AnotherUser,
    Version,
    NotAToken,
    Time,
    RepeatedIv,
    Unread,
}

impl fmt::Display for WriteRejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotARecord => "it is not one JSON object with the members of a record",
            Self::NewMember => "it has a member that no record has",
            Self::Kdf => "its `kdf` is neither the directory's nor that of the record before",
            Self::Counter => "its `write_counter` is not higher than before",
            Self::NotSettings => "it is not the settings of a directory",
            Self::AnotherUser => "it names another user",
            Self::Version => "its version may not be written",
            Self::NotAToken => "what should be encrypted is not a Fernet token",
            Self::Time => "its token's time is not now",
            Self::RepeatedIv => "its token repeats the IV of the record before",
            Self::Unread => "it replaces a record that was not read",
        })
    }
}

/// Checks a record that is to replace `old`, the file before it, in a directory with these settings, at this
/// time since 1970.
pub(crate) fn check(
    contents: &[u8],
    old: Option<&[u8]>,
    settings: Option<&[u8]>,
    user: &UserId,
    now: Duration,
) -> Result<(), WriteRejected> {
    let record = parse(contents).ok_or(WriteRejected::NotARecord)?;
    let old = old.and_then(parse).unwrap_or_default();
    let version = Version::parse(&record.require::<String>(ENCRYPTION_VERSION)?);
    for (name, value) in record.iter() {
        let is_known =
            MEMBERS.contains(&name) || version == Ok(Version::V2) && MEMBERS_OF_2.contains(&name);
        if !is_known && !has(&old, name, value) {
            return Err(WriteRejected::NewMember);
        }
    }
    for name in MEMBERS.into_iter().chain(MEMBERS_OF_2) {
        record.find::<IgnoredAny>(name)?; // Not twice: readers differ in which of them they take.
    }
    if record.require::<String>(USER_ID)? != user.as_str() {
        return Err(WriteRejected::AnotherUser);
    }
    match version {
        Err(_) => return Err(WriteRejected::Version),
        Ok(Version::V1) => {}
        Ok(Version::V2) => check_version_2(&record, &old, settings)?,
    }
    let encrypted_data: String = record.require(ENCRYPTED_DATA)?;
    let (token, _) = Token::decode(&encrypted_data).ok_or(WriteRejected::NotAToken)?;
    if token.time().abs_diff(now.as_secs()) > MAX_AGE.as_secs() {
        return Err(WriteRejected::Time);
    }
    let old_token = old.find::<String>(ENCRYPTED_DATA).ok().flatten();
    let old_token = old_token.and_then(|text| Token::decode(&text));
    if old_token.is_some_and(|(old, _)| old.iv() == token.iv()) {
        return Err(WriteRejected::RepeatedIv);
    }
    Ok(())
}

fn check_version_2(
    record: &RawObject,
    old: &RawObject,
    settings: Option<&[u8]>,
) -> Result<(), WriteRejected> {
    // Other parameters than those that are there already could carry out 16 bytes as a salt.
    let settings = settings.and_then(parse).unwrap_or_default();
    let kdf = Kdf::find(record).ok().flatten().ok_or(WriteRejected::NotARecord)?;
    let olds = Kdf::find(old).ok().flatten();
    let directorys = DirectoryKdf::find(&settings).ok().flatten();
    let slow = directorys.map(|directorys| directorys.with_key(false));
    // The fast derivation has no parameter but the salt.
    let has_its_parameters = |known: &Kdf| {
        known.salt == kdf.salt && (kdf.rounds.is_none() || kdf.rounds == known.rounds)
    };
    if !olds.iter().chain(&slow).any(has_its_parameters) {
        return Err(WriteRejected::Kdf);
    }
    let counter: u32 = record.require(WRITE_COUNTER)?;
    if old.find(WRITE_COUNTER).ok().flatten().unwrap_or(0u32) >= counter {
        return Err(WriteRejected::Counter);
    }
    Ok(())
}

/// Checks the settings that are to replace `old`. The parameters of the derivation can be set once.
pub(crate) fn check_settings(contents: &[u8], old: Option<&[u8]>) -> Result<(), WriteRejected> {
    let settings = parse(contents).ok_or(WriteRejected::NotSettings)?;
    let old = old.and_then(parse).unwrap_or_default();
    Settings::read(&settings).map_err(|_| WriteRejected::NotSettings)?;
    for (name, value) in settings.iter() {
        let may_change = match name {
            RECORD_VERSION | TOKEN_ENCODING | MAC => true,
            KDF => !old.contains(KDF),
            _ => false,
        };
        if !may_change && !has(&old, name, value) {
            return Err(WriteRejected::NotSettings);
        }
    }
    Ok(())
}

/// Whether the object has this very member.
fn has(object: &RawObject, name: &str, value: &RawValue) -> bool {
    object.iter().any(|(other, old)| other == name && old.get() == value.get())
}

/// Reads an object with the same parser as the component: what the component keeps, this must accept.
fn parse(contents: &[u8]) -> Option<RawObject> {
    serde_json::from_slice(contents).ok()
}

impl From<FormatError> for WriteRejected {
    fn from(_: FormatError) -> Self {
        Self::NotARecord
    }
}
