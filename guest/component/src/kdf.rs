//! How version 2.0 of the record comes to a user's key: slowly from a master key to a root that all users of a
//! directory share, and fast from there to each user's own.
//!
//! A root is PBKDF2-HMAC-SHA256 (RFC 8018) of the master key; a user's key is HKDF-SHA256 (RFC 5869) of the
//! root, without a salt, for this version and user.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use hkdf::Hkdf;
use serde::{Deserialize, Serialize, Serializer};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::contract::{Error, ErrorCode};
use crate::derivation::pbkdf2_hmac_sha256;
use moat_format::members::Members;
use moat_format::user_id::UserId;

/// What `kdf` calls this way.
const NAME: &str = "pbkdf2-hmac-sha256+hkdf-sha256";

/// The rounds of a new directory: OWASP's Password Storage Cheat Sheet asks for as many.
pub const ROUNDS: u32 = 600_000;

/// Fewer would make guessing a master key cheaper than in version 1.0.
pub const MIN_ROUNDS: u32 = 100_000;

/// More would let whoever writes a record keep its readers busy for minutes.
pub const MAX_ROUNDS: u32 = 10_000_000;

/// The salt and rounds of a root, as a record or the directory's settings name them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kdf {
    salt: [u8; 16],
    rounds: u32,
}

impl Kdf {
    /// For a directory with this salt, which has to be random.
    pub fn new(salt: [u8; 16]) -> Self {
        Self { salt, rounds: ROUNDS }
    }

    /// Reads the member `kdf`; `None` when it is missing.
    pub(crate) fn find(members: &Members) -> Result<Option<Self>, Error> {
        let Some(Spelled { name, salt, rounds }) = members.find("kdf")? else {
            return Ok(None);
        };
        if name != NAME {
            let message = "`kdf` names a derivation that is unknown";
            return Err(Error::new(ErrorCode::UnsupportedVersion, message));
        }
        if !(MIN_ROUNDS..=MAX_ROUNDS).contains(&rounds) {
            let message = format!("`kdf` names {rounds} rounds, not {MIN_ROUNDS} to {MAX_ROUNDS}");
            return Err(Error::malformed(message));
        }
        let salt = URL_SAFE.decode(salt).ok().and_then(|salt| salt.try_into().ok());
        let salt = salt.ok_or_else(|| {
            Error::malformed("the salt of `kdf` is not 16 bytes in URL-safe base64")
        })?;
        Ok(Some(Self { salt, rounds }))
    }

    /// The root key, 32 bytes. This is the slow part.
    pub fn root(&self, master_key: &[u8]) -> Zeroizing<[u8; 32]> {
        pbkdf2_hmac_sha256(master_key, &self.salt, self.rounds)
    }

    /// What tells this root from others of the same master key.
    pub(crate) fn parameters(&self) -> String {
        format!("{}:{}", URL_SAFE.encode(self.salt), self.rounds)
    }
}

/// The key of a user under a root, 32 bytes.
pub fn user_key(
    root: &[u8; 32],
    user: &UserId,
) -> Result<Zeroizing<[u8; 32]>, hkdf::InvalidLength> {
    let mut key = Zeroizing::new([0; 32]);
    // The NUL ends the version: no user id has one.
    let info = [b"2.0\0", user.as_str().as_bytes()];
    Hkdf::<Sha256>::new(None, root).expand_multi_info(&info, &mut *key)?;
    Ok(key)
}

/// `kdf` as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spelled {
    name: String,
    salt: String,
    rounds: u32,
}

impl Serialize for Kdf {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let salt = URL_SAFE.encode(self.salt);
        Spelled { name: NAME.to_owned(), salt, rounds: self.rounds }.serialize(serializer)
    }
}
