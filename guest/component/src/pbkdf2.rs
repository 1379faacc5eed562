//! PBKDF2-HMAC-SHA256 (RFC 8018, section 5.2), for one block of output.
//!
//! The first round is done by the crate `pbkdf2`, whatever the salt is. All others have one form, two hashes of
//! 32 bytes each after a block that depends on the password alone, and go faster by hand.

use ::pbkdf2::pbkdf2_hmac;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::sha256::State;

/// Derives a key of 32 bytes in at least one round.
pub(crate) fn pbkdf2_hmac_sha256(password: &[u8], salt: &[u8], rounds: u32) -> Zeroizing<[u8; 32]> {
    let mut first = Zeroizing::new([0; 32]);
    pbkdf2_hmac::<Sha256>(password, salt, 1, &mut *first);

    // HMAC (RFC 2104): its two hashes begin with the password, which is hashed first if it's over a block.
    let mut block = Zeroizing::new([0; 64]);
    if password.len() > block.len() {
        block.iter_mut().zip(Sha256::digest(password)).for_each(|(byte, hashed)| *byte = hashed);
    } else {
        block.iter_mut().zip(password).for_each(|(byte, given)| *byte = *given);
    }
    let inner = State::after(&block.map(|byte| byte ^ 0x36));
    let outer = State::after(&block.map(|byte| byte ^ 0x5c));

    let (words, _) = first.as_chunks();
    let mut round = [0; 8];
    round.iter_mut().zip(words).for_each(|(word, bytes)| *word = u32::from_be_bytes(*bytes));
    let mut key = round;
    for _ in 1..rounds {
        round = outer.finish(inner.finish(round));
        key.iter_mut().zip(round).for_each(|(word, other)| *word ^= other);
    }
    first.copy_from_slice(key.map(u32::to_be_bytes).as_flattened());
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// With passwords below, at and above the block of 64 bytes.
        #[test]
        fn derives_what_the_crate_derives(
            password in prop::collection::vec(any::<u8>(), 0..130),
            salt: [u8; 16],
            rounds in 1u32..40,
        ) {
            let mut expected = [0; 32];
            pbkdf2_hmac::<Sha256>(&password, &salt, rounds, &mut expected);
            prop_assert_eq!(*pbkdf2_hmac_sha256(&password, &salt, rounds), expected);
        }
    }
}
