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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE;

    use super::*;

    fn object(text: &str) -> RawObject {
        serde_json::from_str(text).unwrap()
    }

    fn token(byte: u8) -> String {
        URL_SAFE.encode([&[0x80][..], &[0; 8], &[byte; 16], &[7; 16 + 32]].concat())
    }

    fn envelope(version_2: Option<(Kdf, u32)>) -> Envelope {
        Envelope {
            user: UserId::parse("anna").unwrap(),
            token: (Token::parse(&token(1)).unwrap(), Encoding::Documented),
            created_at: Some("2025-01-14T10:00:00".to_owned()),
            key_id: Some("main".to_owned()),
            version_2,
        }
    }

    fn kdf() -> Kdf {
        Kdf { salt: *b"salted by chance", rounds: None }
    }

    fn spelled(envelope: &Envelope, old: &str) -> Result<String, FormatError> {
        envelope.spelled_over(object(old)).map(|text| String::from_utf8(text).unwrap())
    }

    #[test]
    fn a_new_record_is_spelled_in_one_way() {
        let head = format!(
            r#"{{"user_id":"anna","encrypted_data":"{}","created_at":"2025-01-14T10:00:00""#,
            token(1)
        );
        let first = spelled(&envelope(None), "{}").unwrap();
        assert_eq!(first, format!(r#"{head},"encryption_version":"1.0","key_id":"main"}}"#));
        let kdf_text = r#"{"name":"hkdf-sha256","salt":"c2FsdGVkIGJ5IGNoYW5jZQ=="}"#;
        let second = spelled(&envelope(Some((kdf(), 1))), "{}").unwrap();
        let members = format!(r#""key_id":"main","kdf":{kdf_text},"write_counter":1"#);
        assert_eq!(second, format!(r#"{head},"encryption_version":"2.0",{members}}}"#));
        // And says what it was made of.
        assert_eq!(Envelope::read(&object(&first)), Ok(envelope(None)));
        assert_eq!(Envelope::read(&object(&second)), Ok(envelope(Some((kdf(), 1)))));
    }

    #[test]
    fn what_is_not_decided_stays_as_it_was() {
        let old = format!(
            r#"{{"x":[1.50],"created_at":"2025\u002d01-14T10:00:00","user_id":"anna","crypto_available":true,"kdf":"mine","encrypted_data":"{}","y":"\u0061"}}"#,
            token(2)
        );
        let new = spelled(&Envelope { key_id: None, ..envelope(None) }, &old).unwrap();
        let expected = old
            .replace(&token(2), &token(1))
            .replace(r#""crypto_available":true,"#, "")
            .replace('}', r#","encryption_version":"1.0"}"#);
        assert_eq!(new, expected);
        let kept = Envelope { created_at: None, key_id: None, ..envelope(None) };
        assert_eq!(spelled(&kept, &old).unwrap(), expected);
        let later = Envelope { created_at: Some("later".to_owned()), ..kept };
        assert!(spelled(&later, &old).unwrap().contains(r#""created_at":"later""#));
    }

    #[test]
    fn a_record_changes_its_version_with_its_members() {
        let first = spelled(&envelope(None), "{}").unwrap();
        let second = spelled(&envelope(Some((kdf(), 1))), &first).unwrap();
        assert_eq!(Envelope::read(&object(&second)).unwrap().version_2, Some((kdf(), 1)));
        let third = spelled(&envelope(Some((kdf(), 2))), &second).unwrap();
        assert_eq!(Envelope::read(&object(&third)).unwrap().version_2, Some((kdf(), 2)));
        assert_eq!(spelled(&envelope(None), &third).unwrap(), first);
    }

    #[test]
    fn names_that_are_taken_or_given_twice_are_refused() {
        let first = spelled(&envelope(None), "{}").unwrap();
        let with = |member: &str| first.replacen('{', &format!("{{{member},"), 1);
        let taken = Err(FormatError::Malformed(Message::NameTaken));
        assert_eq!(spelled(&envelope(Some((kdf(), 1))), &with(r#""kdf":"mine""#)), taken);
        assert!(spelled(&envelope(None), &with(r#""kdf":"mine""#)).is_ok());
        let twice = Err(FormatError::member(KEY_ID, Fault::Twice));
        assert_eq!(spelled(&envelope(None), &with(r#""key_id":"x""#)), twice);
    }

    #[test]
    fn what_is_no_record_of_a_version_is_not_read() {
        let first = spelled(&envelope(None), "{}").unwrap();
        let read = |text: &str| Envelope::read(&object(text));
        assert!(read(&first).is_ok());
        for (good, bad) in [
            ("anna", "../anna"),
            (token(1).as_str(), "aG9yc2U="),
            (r#""1.0""#, r#""3.0""#),
            (r#""1.0""#, r#""2.0""#),
            (r#""main""#, "1"),
            (r#""encryption_version":"1.0","#, ""),
        ] {
            assert!(read(&first.replacen(good, bad, 1)).is_err(), "{bad}");
        }
    }
}
