//! From a master key to a user's key, in both versions of the record.
//!
//! Version 1.0 derives slowly for each user: PBKDF2-HMAC-SHA256 (RFC 8018) of the master key. Version 2.0 derives
//! slowly once, from a master key to a root key that all users of a directory share, and from there fast to each user's
//! key: HKDF-SHA256 (RFC 5869) of the root key, without a salt, with the version and the user id as its info.

use hkdf::Hkdf;
use moat_format::kdf::Kdf;
use moat_format::user_id::UserId;
use moat_format::version::Version;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::pbkdf2::Derivation;

/// The rounds of PBKDF2 in version 1.0.
pub const ROUNDS_1: u32 = 100_000;

/// A derived key of 32 bytes.
pub type DerivedKey = Zeroizing<[u8; 32]>;

/// How the key of a user comes from a master key in version 1.0. The salt is the first 16 bytes of the SHA-256 of the user
/// id.
pub(crate) fn user_key_derivation<'k>(master_key: &'k [u8], user: &UserId) -> Derivation<'k> {
    let mut salt = [0; 16];
    salt.iter_mut().zip(Sha256::digest(user.as_str())).for_each(|(byte, hashed)| *byte = hashed);
    Derivation { password: master_key, salt, rounds: ROUNDS_1 }
}

/// How the root key of a directory comes from a master key in version 2.0.
pub(crate) fn root_derivation<'k>(master_key: &'k [u8], kdf: &Kdf) -> Derivation<'k> {
    Derivation { password: master_key, salt: kdf.salt, rounds: kdf.rounds }
}

/// The key of a user in version 1.0.
pub fn user_key_1(master_key: &[u8], user: &UserId) -> DerivedKey {
    user_key_derivation(master_key, user).derive()
}

/// The key of a user in version 2.0.
///
/// # Errors
///
/// None that can occur: HKDF-SHA256 yields up to 8,160 bytes.
pub fn user_key_2(root_key: &[u8; 32], user: &UserId) -> Result<DerivedKey, hkdf::InvalidLength> {
    let mut key = Zeroizing::new([0; 32]);
    // The NUL ends the version: no user id has one.
    let info = [Version::V2.name().as_bytes(), b"\0", user.as_str().as_bytes()];
    Hkdf::<Sha256>::new(None, root_key).expand_multi_info(&info, &mut *key)?;
    Ok(key)
}
