//! The record, the JSON file `<user id>.cred`: its size, its members, and how it is spelled.

use serde::de::IgnoredAny;

use crate::error::FormatError;
use crate::json_object::RawObject;
use crate::kdf::Kdf;
use crate::message::{Fault, Message};
use crate::token::{Encoding, Token};
use crate::user_id::UserId;
use crate::version::Version;

/// The largest record in bytes, read or written; so is any file of the directory.
pub const MAX_BYTES: usize = 64 * 1024;

/// How much of [`MAX_BYTES`] a new record leaves free, in bytes, so that it can later be marked, encrypted with a key of
/// a longer label, and brought to version 2.0. All of these together add at most 2,000 bytes.
pub const HEADROOM: usize = 4 * 1024;

/// The longest label of a key that encrypts, in bytes: each of its records bears it.
pub const MAX_LABEL_BYTES: usize = 64;

/// Whose record it is.
pub const USER_ID: &str = "user_id";
/// The Fernet token.
pub const ENCRYPTED_DATA: &str = "encrypted_data";
/// The record's version.
pub const ENCRYPTION_VERSION: &str = "encryption_version";
/// When the credential was created.
pub const CREATED_AT: &str = "created_at";
/// The label of the master key.
pub const KEY_ID: &str = "key_id";
/// How the root key is derived; version 2.0 only.
pub const KDF: &str = "kdf";
/// How often the record was written; version 2.0 only.
pub const WRITE_COUNTER: &str = "write_counter";

/// Whether a record from before there were versions was encrypted at all.
pub const CRYPTO_AVAILABLE: &str = "crypto_available";

/// The members of a record of version 1.0.
pub const MEMBERS: [&str; 5] = [USER_ID, ENCRYPTED_DATA, ENCRYPTION_VERSION, CREATED_AT, KEY_ID];

/// The members that only version 2.0 has.
pub const MEMBERS_OF_2: [&str; 2] = [KDF, WRITE_COUNTER];

/// What the writer of a record decides. Whatever else is in a record stays as it was.
#[derive(Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Whose record it is.
    pub user: UserId,
    /// The secret, and how it is encoded.
    pub token: (Token, Encoding),
    /// When the credential was created; `None`: as the record before has it.
    pub created_at: Option<String>,
    /// The label of the master key.
    pub key_id: Option<String>,
    /// Of version 2.0: how the root key is derived, and how often the record was written.
    pub version_2: Option<(Kdf, u32)>,
}

impl Envelope {
    /// What a written record says.
    ///
    /// # Errors
    ///
    /// [`FormatError`] when it is no record of a version that is written.
    pub fn read(record: &RawObject) -> Result<Self, FormatError> {
        let version = Version::parse(&record.require::<String>(ENCRYPTION_VERSION)?)?;
        let version_2 = match version {
            Version::V1 => None,
            Version::V2 => {
                let missing = FormatError::member(KDF, Fault::Missing);
                Some((Kdf::find(record)?.ok_or(missing)?, record.require(WRITE_COUNTER)?))
            }
        };
        let user = UserId::parse(&record.require::<String>(USER_ID)?);
        let token = Token::decode(&record.require::<String>(ENCRYPTED_DATA)?);
        Ok(Self {
            user: user.map_err(|_| FormatError::Malformed(Message::AnotherUser))?,
            token: token.ok_or(FormatError::Malformed(Message::NotAToken))?,
            created_at: record.find::<Option<String>>(CREATED_AT)?.flatten(),
            key_id: record.find::<Option<String>>(KEY_ID)?.flatten(),
            version_2,
        })
    }

    /// The bytes of the record, in place of `old`, of which all that isn't known here stays as it is. There is no other way
    /// to spell it.
    ///
    /// # Errors
    ///
    /// [`FormatError::Malformed`] when a known member occurs twice, and when version 2.0 needs the name of an unknown one.
    pub fn spelled_over(&self, mut old: RawObject) -> Result<Vec<u8>, FormatError> {
        for name in MEMBERS.into_iter().chain(MEMBERS_OF_2) {
            old.find::<IgnoredAny>(name)?;
        }
        let version_of_old = old.find::<String>(ENCRYPTION_VERSION)?;
        let was_version_2 = version_of_old.as_deref() == Some(Version::V2.name());
        let is_taken = !was_version_2 && MEMBERS_OF_2.into_iter().any(|name| old.contains(name));

        let (token, encoding) = &self.token;
        old.set(USER_ID, self.user.as_str())?;
        old.set(ENCRYPTED_DATA, token.encode(*encoding))?;
        if let Some(created_at) = &self.created_at
            && old.find::<Option<String>>(CREATED_AT)?.flatten().as_ref() != Some(created_at)
        {
            old.set(CREATED_AT, created_at)?;
        }
        let version = if self.version_2.is_some() { Version::V2 } else { Version::V1 };
        old.set(ENCRYPTION_VERSION, version.name())?;
        old.remove(CRYPTO_AVAILABLE);
        match &self.key_id {
            Some(id) => old.set(KEY_ID, id)?,
            None => old.remove(KEY_ID),
        }
        match &self.version_2 {
            Some(_) if is_taken => return Err(FormatError::Malformed(Message::NameTaken)),
            Some((kdf, write_counter)) => {
                old.set(KDF, kdf)?;
                old.set(WRITE_COUNTER, write_counter)?;
            }
            None if was_version_2 => MEMBERS_OF_2.into_iter().for_each(|name| old.remove(name)),
            None => {}
        }
        serde_json::to_vec(&old).map_err(|_| FormatError::Malformed(Message::RecordNotJson))
    }
}
