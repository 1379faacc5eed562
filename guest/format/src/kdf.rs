//! The parameters from which version 2.0 derives the root key of a directory, as its records and settings state them:
//! `{"name":"pbkdf2-hmac-sha256+hkdf-sha256","salt":"…","rounds":600000}`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use serde::{Deserialize, Serialize, Serializer};

use crate::error::FormatError;
use crate::json_object::RawObject;
use crate::record::KDF;

/// The name of the only derivation there is.
const NAME: &str = "pbkdf2-hmac-sha256+hkdf-sha256";

/// The rounds of a new directory: OWASP's Password Storage Cheat Sheet asks for this many.
pub const ROUNDS: u32 = 600_000;

/// Fewer would make guessing a master key cheaper than in version 1.0.
pub const MIN_ROUNDS: u32 = 100_000;

/// More would let anyone who writes a record keep its readers busy for minutes.
pub const MAX_ROUNDS: u32 = 10_000_000;

/// Salt and rounds of a root key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kdf {
    /// 16 random bytes.
    pub salt: [u8; 16],
    /// The rounds of PBKDF2.
    pub rounds: u32,
}

impl Kdf {
    /// The parameters of a new directory with this salt, which has to be random.
    pub fn new(salt: [u8; 16]) -> Self {
        Self { salt, rounds: ROUNDS }
    }

    /// Reads the member `kdf`; `None` when it is missing.
    ///
    /// # Errors
    ///
    /// [`FormatError::Unsupported`] for another derivation; [`FormatError::Malformed`] for rounds out of bounds, a salt that is not
    /// 16 bytes, or a member that is not an object of just these three.
    pub fn find(object: &RawObject) -> Result<Option<Self>, FormatError> {
        let Some(Json { name, salt, rounds }) = object.find(KDF)? else {
            return Ok(None);
        };
        if name != NAME {
            return Err(FormatError::Unsupported("`kdf` names an unknown derivation".to_owned()));
        }
        let salt = URL_SAFE.decode(salt).unwrap_or_default();
        Self::checked(&salt, rounds).map(Some)
    }

    /// These parameters.
    ///
    /// # Errors
    ///
    /// [`FormatError::Malformed`] for rounds out of bounds, and a salt that is not 16 bytes.
    pub fn checked(salt: &[u8], rounds: u32) -> Result<Self, FormatError> {
        if !(MIN_ROUNDS..=MAX_ROUNDS).contains(&rounds) {
            let message = format!("`kdf` states {rounds} rounds, not {MIN_ROUNDS} to {MAX_ROUNDS}");
            return Err(FormatError::Malformed(message));
        }
        let salt = salt.try_into().map_err(|_| {
            FormatError::Malformed(
                "the salt of `kdf` is not 16 bytes in URL-safe base64".to_owned(),
            )
        })?;
        Ok(Self { salt, rounds })
    }

    /// Names the root key among others of the same master key.
    pub fn id(&self) -> String {
        format!("{}:{}", URL_SAFE.encode(self.salt), self.rounds)
    }
}

/// `kdf` as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    name: String,
    salt: String,
    rounds: u32,
}

impl Serialize for Kdf {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let salt = URL_SAFE.encode(self.salt);
        Json { name: NAME.to_owned(), salt, rounds: self.rounds }.serialize(serializer)
    }
}
