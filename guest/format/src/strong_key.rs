//! Master keys that show their strength: 256 random bits with a prefix, by which a scanner for secrets can find them, and a
//! checksum.
//!
//! They are Bech32 (BIP 173) in capitals: `MOAT-MASTER-KEY-1`, 52 characters for 32 bytes, and 6 for the checksum, which
//! finds any four wrong characters. What is derived from is the text, all of its bytes, as with any other key.

use std::fmt;

use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};

/// What every one of them begins with.
pub const PREFIX: &str = "MOAT-MASTER-KEY-1";

/// The length of the text.
pub const LENGTH: usize = PREFIX.len() + 52 + 6;

/// How many random bytes are in one.
pub const RANDOM_BYTES: usize = 32;

/// The master key has [`PREFIX`], but is not one that was generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mistyped;

impl fmt::Display for Mistyped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a character of the master key is wrong: its checksum doesn't fit")
    }
}

impl std::error::Error for Mistyped {}

/// The key with these random bytes.
///
/// # Errors
///
/// None that can occur: the text isn't longer than Bech32 allows.
pub fn encode(random: &[u8; RANDOM_BYTES]) -> Result<String, fmt::Error> {
    let prefix = PREFIX.strip_suffix('1').unwrap_or(PREFIX);
    let prefix = Hrp::parse(prefix).map_err(|_| fmt::Error)?;
    bech32::encode_upper::<Bech32>(prefix, random).map_err(|_| fmt::Error)
}

/// Whether this master key is one of them; other keys may be any bytes.
///
/// # Errors
///
/// [`Mistyped`] when it has the prefix, in capitals or not, and the rest is wrong, missing or too much.
pub fn is_strong(key: &[u8]) -> Result<bool, Mistyped> {
    let begins =
        key.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX.as_bytes()));
    if !begins {
        return Ok(false);
    }
    let text = std::str::from_utf8(key).map_err(|_| Mistyped)?;
    let is_whole = text.len() == LENGTH
        && !text.contains(|c: char| c.is_ascii_lowercase())
        && CheckedHrpstring::new::<Bech32>(text).is_ok();
    if is_whole { Ok(true) } else { Err(Mistyped) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bech32 as the Python package `bech32` 1.2.0 computes it.
    const KNOWN: [(u8, &str); 2] = [
        (0x00, "MOAT-MASTER-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ7P8640"),
        (0xff, "MOAT-MASTER-KEY-1LLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLSULYTUC"),
    ];

    #[test]
    fn are_what_another_implementation_makes_of_the_bytes() {
        for (byte, text) in KNOWN {
            assert_eq!(encode(&[byte; RANDOM_BYTES]).unwrap(), text);
            assert_eq!(is_strong(text.as_bytes()), Ok(true));
        }
    }

    #[test]
    fn other_keys_are_other_keys() {
        for key in ["", "MOAT-MASTER-KEY", "default_key_change_me", "AGE-SECRET-KEY-1QQQ", "\u{fc}"]
        {
            assert_eq!(is_strong(key.as_bytes()), Ok(false), "{key}");
        }
    }

    #[test]
    fn what_is_not_copied_whole_is_mistyped() {
        let (_, key) = KNOWN[0];
        let cut = &key[..key.len() - 1];
        for wrong in [cut, PREFIX, &key.to_lowercase(), &format!("{key}\n"), &format!("{key} ")] {
            assert_eq!(is_strong(wrong.as_bytes()), Err(Mistyped), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn one_to_three_wrong_characters_are_noticed(
            random: [u8; RANDOM_BYTES],
            places in prop::collection::btree_set(PREFIX.len()..LENGTH, 1..4),
            others: [u8; 3],
        ) {
            let key = encode(&random).unwrap();
            prop_assert_eq!(key.len(), LENGTH);
            prop_assert_eq!(is_strong(key.as_bytes()), Ok(true));
            let mut wrong = key.clone().into_bytes();
            for (place, other) in places.into_iter().zip(others) {
                wrong[place] = if wrong[place] == other { b'-' } else { other };
            }
            prop_assert_eq!(is_strong(&wrong), Err(Mistyped));
        }
    }
}
