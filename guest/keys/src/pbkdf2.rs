//! PBKDF2-HMAC-SHA256 (RFC 8018, section 5.2), for one block of output, of one key or of several side by side.
//!
//! The first round is done by the crate `pbkdf2`, whatever the salt is. All others have one form, two hashes of
//! 32 bytes each after a block that depends on the password alone, and go faster by hand. In four lanes a key takes 24 ms
//! instead of 55 (100,000 rounds, in wasmtime, on a CPU with AVX2); `cargo bench --workspace --bench compare` measures it.

use ::pbkdf2::pbkdf2_hmac;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::kdf::DerivedKey;
use crate::sha256::{State, words};
use crate::word::{LANES, Lanes, Word};

/// With fewer keys than this the lanes take longer than one key after the other.
const ENOUGH: usize = 3;

/// What a key is derived from, in at least one round.
#[derive(Clone)]
pub(crate) struct Derivation<'a> {
    pub(crate) password: &'a [u8],
    pub(crate) salt: Vec<u8>,
    pub(crate) rounds: u32,
}

impl Derivation<'_> {
    /// The key of 32 bytes.
    pub(crate) fn derive(&self) -> DerivedKey {
        bytes(Start::new(self).finish())
    }
}

/// Derives keys of 32 bytes, in the order asked. Those with the same number of rounds share the lanes of a vector.
pub(crate) fn derive_all(derivations: &[Derivation<'_>]) -> Vec<DerivedKey> {
    let mut keys = vec![DerivedKey::default(); derivations.len()];
    let starts = derivations.iter().map(Start::new);
    let mut pending: Vec<_> = keys.iter_mut().zip(starts).collect();
    pending.sort_by_key(|(_, start)| start.rounds);
    for alike in pending.chunk_by_mut(|(_, one), (_, other)| one.rounds == other.rounds) {
        for some in alike.chunks_mut(LANES) {
            if some.len() >= ENOUGH {
                finish_in_lanes(some);
            } else {
                some.iter_mut().for_each(|(key, start)| **key = bytes(start.finish()));
            }
        }
    }
    keys
}

/// A derivation after its first round.
struct Start<W> {
    inner: State<W>,
    outer: State<W>,
    first: [W; 8],
    rounds: u32,
}

impl Start<u32> {
    fn new(derivation: &Derivation<'_>) -> Self {
        let Derivation { password, ref salt, rounds } = *derivation;
        let mut first = DerivedKey::default();
        pbkdf2_hmac::<Sha256>(password, salt, 1, &mut *first);
        // HMAC (RFC 2104): its two hashes begin with the password, which is hashed first if it's over a block.
        let mut block = Zeroizing::new([0; 64]);
        if password.len() > block.len() {
            block
                .iter_mut()
                .zip(Sha256::digest(password))
                .for_each(|(byte, hashed)| *byte = hashed);
        } else {
            block.iter_mut().zip(password).for_each(|(byte, given)| *byte = *given);
        }
        Self {
            inner: State::after(words(&block.map(|byte| byte ^ 0x36))),
            outer: State::after(words(&block.map(|byte| byte ^ 0x5c))),
            first: words(&*first),
            rounds,
        }
    }
}

impl<W: Word> Start<W> {
    fn finish(&self) -> [W; 8] {
        let mut round = self.first;
        let mut key = round;
        for _ in 1..self.rounds {
            round = self.outer.finish(self.inner.finish(round));
            key.iter_mut().zip(round).for_each(|(word, other)| *word = *word ^ other);
        }
        key
    }
}

/// Finishes derivations of the same number of rounds, at most one for each lane. A lane without one repeats the last.
fn finish_in_lanes(some: &mut [(&mut DerivedKey, Start<u32>)]) {
    let Some((_, last)) = some.last() else { return };
    let starts: [&Start<u32>; LANES] =
        std::array::from_fn(|lane| some.get(lane).map_or(last, |(_, start)| start));
    let gathered = Start {
        inner: State(Lanes::gather(starts.map(|start| start.inner.0))),
        outer: State(Lanes::gather(starts.map(|start| start.outer.0))),
        first: Lanes::gather(starts.map(|start| start.first)),
        rounds: last.rounds,
    };
    for ((key, _), words) in some.iter_mut().zip(Lanes::scatter(gathered.finish())) {
        **key = bytes(words);
    }
}

fn bytes(words: [u32; 8]) -> DerivedKey {
    let mut key = DerivedKey::default();
    key.copy_from_slice(words.map(u32::to_be_bytes).as_flattened());
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Any number at once, with any mixture of rounds, and with passwords below, at and above the block of 64 bytes.
        #[test]
        fn derives_what_the_crate_derives(
            wanted in prop::collection::vec(
                (prop::collection::vec(any::<u8>(), 0..130), prop::collection::vec(any::<u8>(), 0..40), 1u32..4),
                0..12,
            ),
        ) {
            let derivations: Vec<_> = wanted
                .iter()
                .map(|(password, salt, rounds)| Derivation { password, salt: salt.clone(), rounds: *rounds })
                .collect();
            let expected: Vec<_> = derivations
                .iter()
                .map(|derivation| {
                    let mut key = DerivedKey::default();
                    let Derivation { password, salt, rounds } = derivation;
                    pbkdf2_hmac::<Sha256>(password, salt, *rounds, &mut *key);
                    key
                })
                .collect();
            prop_assert_eq!(derive_all(&derivations), expected);
        }
    }
}
