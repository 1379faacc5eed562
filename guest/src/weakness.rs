//! Master keys that must not encrypt anything. The host knows them too, so that none gets into a ring as its
//! primary key.

use crate::contract::KeyWeakness;

/// The key that the FossaWork application fell back to, in its public source.
pub const PUBLISHED_DEFAULT: &[u8] = b"default_key_change_me";

/// A shorter master key, in bytes, doesn't encrypt.
pub const MIN_BYTES: usize = 16;

/// Why this master key must not encrypt, if it must not.
pub fn weakness(master_key: &[u8]) -> Option<KeyWeakness> {
    if master_key == PUBLISHED_DEFAULT {
        Some(KeyWeakness::PublishedDefault)
    } else if master_key.len() < MIN_BYTES {
        Some(KeyWeakness::TooShort)
    } else {
        None
    }
}
