//! Which master keys are too weak to encrypt with. They may still decrypt.

/// The key that the FossaWork application falls back to, as published in its source.
pub const PUBLISHED_DEFAULT: &[u8] = b"default_key_change_me";

/// The shortest master key, in bytes, that may encrypt.
pub const MIN_BYTES: usize = 16;

/// Why a master key must not encrypt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weakness {
    /// It has fewer than [`MIN_BYTES`].
    TooShort,
    /// It is [`PUBLISHED_DEFAULT`].
    PublishedDefault,
}

/// Why this master key must not encrypt, if it must not.
pub fn weakness(master_key: &[u8]) -> Option<Weakness> {
    if master_key == PUBLISHED_DEFAULT {
        Some(Weakness::PublishedDefault)
    } else if master_key.len() < MIN_BYTES {
        Some(Weakness::TooShort)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_published_keys_are_weak() {
        assert_eq!(weakness(PUBLISHED_DEFAULT), Some(Weakness::PublishedDefault));
        assert_eq!(weakness(b""), Some(Weakness::TooShort));
        assert_eq!(weakness(&[7; MIN_BYTES - 1]), Some(Weakness::TooShort));
        assert_eq!(weakness(&[7; MIN_BYTES]), None);
        assert_eq!(weakness(&[7; MIN_BYTES + 1]), None);
    }
}
