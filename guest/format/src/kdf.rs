//! From what version 2.0 derives the root key that all users of a directory share.
//!
//! A strong key needs no slow derivation; of any other it can't be known. Records state which it was:
//! `{"name":"hkdf-sha256","salt":"…"}` or `{"name":"pbkdf2-hmac-sha256","salt":"…","rounds":600000}`. The settings of a
//! directory state salt and rounds, for keys of both kinds.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use serde::{Deserialize, Serialize, Serializer};

use crate::error::FormatError;
use crate::json_object::RawObject;
use crate::message::Message;
use crate::record::KDF;

/// The name of the derivation from a strong key.
const FAST: &str = "hkdf-sha256";

/// The name of the derivation from any other.
const SLOW: &str = "pbkdf2-hmac-sha256";

/// The rounds of a new directory: OWASP's Password Storage Cheat Sheet asks for this many.
pub const ROUNDS: u32 = 600_000;

/// More would let anyone who writes a record keep its readers busy: these cost about a second.
pub const MAX_ROUNDS: u32 = 2_000_000;

/// From what the root key of a record is derived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kdf {
    /// 16 random bytes, the directory's.
    pub salt: [u8; 16],
    /// The rounds of PBKDF2, [`ROUNDS`] to [`MAX_ROUNDS`]; `None`: HKDF, from a strong key.
    pub rounds: Option<u32>,
}

impl Kdf {
    /// Reads a record's member `kdf`; `None` when it is missing.
    ///
    /// # Errors
    ///
    /// [`FormatError::Unsupported`] for another derivation; [`FormatError::Malformed`] for rounds out of bounds, a salt that
    /// is not 16 bytes, or a member that is not an object of just these.
    pub fn find(record: &RawObject) -> Result<Option<Self>, FormatError> {
        let Some(Json { name, salt, rounds }) = record.find(KDF)? else {
            return Ok(None);
        };
        match (name.as_str(), rounds) {
            (FAST, None) | (SLOW, Some(_)) => {
                Ok(Some(Self { salt: decode(&salt)?, rounds: rounds.map(checked).transpose()? }))
            }
            (FAST | SLOW, _) => Err(FormatError::Malformed(Message::KdfMembers)),
            _ => Err(FormatError::Unsupported(Message::UnknownKdf)),
        }
    }

    /// What a caller asks for.
    ///
    /// # Errors
    ///
    /// [`FormatError::Malformed`] for rounds out of bounds, and a salt that is not 16 bytes.
    pub fn checked(salt: &[u8], rounds: Option<u32>) -> Result<Self, FormatError> {
        let salt = salt.try_into().map_err(|_| WRONG_SALT)?;
        Ok(Self { salt, rounds: rounds.map(checked).transpose()? })
    }

    /// Names the root key among others of the same master key.
    pub fn id(&self) -> String {
        format!("{}:{}", URL_SAFE.encode(self.salt), self.rounds.unwrap_or(0))
    }
}

/// What the settings of a directory state for the derivations of its new records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryKdf {
    /// 16 random bytes.
    pub salt: [u8; 16],
    /// The rounds for a key that isn't strong.
    pub rounds: u32,
}

impl DirectoryKdf {
    /// The parameters of a new directory with this salt, which has to be random.
    pub fn new(salt: [u8; 16]) -> Self {
        Self { salt, rounds: ROUNDS }
    }

    /// Reads the member `kdf` of a directory's settings; `None` when it is missing.
    ///
    /// # Errors
    ///
    /// [`FormatError::Malformed`] for rounds out of bounds, a salt that is not 16 bytes, or a member that is not an object of
    /// just these two.
    pub fn find(settings: &RawObject) -> Result<Option<Self>, FormatError> {
        let Some(DirectoryJson { salt, rounds }) = settings.find(KDF)? else {
            return Ok(None);
        };
        Ok(Some(Self { salt: decode(&salt)?, rounds: checked(rounds)? }))
    }

    /// From what records derive their root key that are encrypted with a key that is strong, or not.
    pub fn with_key(&self, is_strong: bool) -> Kdf {
        Kdf { salt: self.salt, rounds: (!is_strong).then_some(self.rounds) }
    }
}

fn decode(salt: &str) -> Result<[u8; 16], FormatError> {
    URL_SAFE.decode(salt).ok().and_then(|salt| salt.try_into().ok()).ok_or(WRONG_SALT)
}

const WRONG_SALT: FormatError = FormatError::Malformed(Message::KdfSalt);

fn checked(rounds: u32) -> Result<u32, FormatError> {
    if !(ROUNDS..=MAX_ROUNDS).contains(&rounds) {
        return Err(FormatError::Malformed(Message::KdfRounds));
    }
    Ok(rounds)
}

/// `kdf` as it is written in a record.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    name: String,
    salt: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rounds: Option<u32>,
}

impl Serialize for Kdf {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let name = if self.rounds.is_some() { SLOW } else { FAST };
        let salt = URL_SAFE.encode(self.salt);
        Json { name: name.to_owned(), salt, rounds: self.rounds }.serialize(serializer)
    }
}

/// `kdf` as it is written in the settings of a directory.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DirectoryJson {
    salt: String,
    rounds: u32,
}

impl Serialize for DirectoryKdf {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        DirectoryJson { salt: URL_SAFE.encode(self.salt), rounds: self.rounds }
            .serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: [u8; 16] = *b"salted by chance";
    const TEXT: &str = "c2FsdGVkIGJ5IGNoYW5jZQ==";

    fn object(kdf: &str) -> RawObject {
        serde_json::from_str(&format!(r#"{{"kdf":{kdf}}}"#)).unwrap()
    }

    #[test]
    fn a_record_states_one_of_two_derivations() {
        let find = |kdf: &str| Kdf::find(&object(kdf));
        let slow = Kdf { salt: SALT, rounds: Some(ROUNDS) };
        let fast = Kdf { salt: SALT, rounds: None };
        for kdf in [&slow, &fast] {
            let text = serde_json::to_string(kdf).unwrap();
            assert_eq!(find(&text).unwrap().as_ref(), Some(kdf));
        }
        assert_eq!(slow.id(), format!("{TEXT}:600000"));
        assert_eq!(fast.id(), format!("{TEXT}:0"));
        assert_eq!(Kdf::find(&RawObject::default()), Ok(None));

        let named =
            |name: &str, rest: &str| find(&format!(r#"{{"name":"{name}","salt":"{TEXT}"{rest}}}"#));
        let rounds = |rounds: u32| named(SLOW, &format!(r#","rounds":{rounds}"#));
        assert!(rounds(ROUNDS).is_ok() && rounds(MAX_ROUNDS).is_ok());
        for (refused, error) in [
            (rounds(ROUNDS - 1), FormatError::Malformed(Message::KdfRounds)),
            (rounds(MAX_ROUNDS + 1), FormatError::Malformed(Message::KdfRounds)),
            (named(SLOW, ""), FormatError::Malformed(Message::KdfMembers)),
            (named(FAST, r#","rounds":600000"#), FormatError::Malformed(Message::KdfMembers)),
            (named("scrypt", ""), FormatError::Unsupported(Message::UnknownKdf)),
            (
                find(r#"{"name":"hkdf-sha256","salt":"c2FsdA=="}"#),
                FormatError::Malformed(Message::KdfSalt),
            ),
        ] {
            assert_eq!(refused, Err(error));
        }
    }

    #[test]
    fn a_directory_states_what_keys_of_both_kinds_need() {
        let kdf = DirectoryKdf::new(SALT);
        let text = serde_json::to_string(&kdf).unwrap();
        assert_eq!(text, format!(r#"{{"salt":"{TEXT}","rounds":600000}}"#));
        assert_eq!(DirectoryKdf::find(&object(&text)), Ok(Some(kdf.clone())));
        assert_eq!(DirectoryKdf::find(&RawObject::default()), Ok(None));
        assert_eq!(kdf.with_key(true), Kdf { salt: SALT, rounds: None });
        assert_eq!(kdf.with_key(false), Kdf { salt: SALT, rounds: Some(ROUNDS) });
    }

    #[test]
    fn a_caller_is_held_to_the_same_bounds() {
        assert_eq!(Kdf::checked(&SALT, None), Ok(Kdf { salt: SALT, rounds: None }));
        assert!(Kdf::checked(&SALT, Some(ROUNDS)).is_ok());
        assert!(Kdf::checked(&SALT, Some(0)).is_err());
        assert!(Kdf::checked(&SALT[1..], None).is_err());
    }
}
