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

use crate::pbkdf2::pbkdf2_hmac_sha256;

/// The rounds of PBKDF2 in version 1.0.
pub const ROUNDS_1: u32 = 100_000;

/// A derived key of 32 bytes.
pub type DerivedKey = Zeroizing<[u8; 32]>;

/// The key of a user in version 1.0. The salt is the first 16 bytes of the SHA-256 of the user id.
pub fn user_key_1(master_key: &[u8], user: &UserId) -> DerivedKey {
    let digest = Sha256::digest(user.as_str());
    let (salt, _) = digest.split_at(16);
    pbkdf2_hmac_sha256(master_key, salt, ROUNDS_1)
}

/// The root key of a directory in version 2.0. This is the slow part.
pub fn root_key(master_key: &[u8], kdf: &Kdf) -> DerivedKey {
    pbkdf2_hmac_sha256(master_key, &kdf.salt, kdf.rounds)
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
