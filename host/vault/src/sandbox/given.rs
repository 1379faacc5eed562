//! What the host gave to a call so far. What comes back from the component is compared with it.

use crate::contract::{KeyInfo, KeyWeakness, MasterKey};
use moat_format::key_strength::{Weakness, weakness};

/// The size of a salt and of an IV, in bytes.
const DRAWN: usize = 16;

/// The times, random bytes and keys that a call was given.
#[derive(Default)]
pub(super) struct Given {
    /// In seconds since 1970, each once.
    times: Vec<u64>,
    /// Random bytes that were drawn for a salt or an IV, and weren't written yet.
    drawn: Vec<[u8; DRAWN]>,
    /// The keys of the ring, without their material.
    keys: Vec<KeyInfo>,
}

impl Given {
    pub(super) fn note_time(&mut self, seconds: u64) {
        if self.times.last() != Some(&seconds) {
            self.times.push(seconds);
        }
    }

    pub(super) fn note_random(&mut self, bytes: &[u8]) {
        self.drawn.extend(<[u8; DRAWN]>::try_from(bytes));
    }

    pub(super) fn note_keys(&mut self, keys: &[MasterKey]) {
        self.keys = keys.iter().map(info).collect();
    }

    pub(super) fn times(&self) -> &[u64] {
        &self.times
    }

    pub(super) fn drawn(&self) -> &[[u8; DRAWN]] {
        &self.drawn
    }

    /// Takes what was drawn, so that it is written once, and returns whether it was.
    pub(super) fn take_drawn(&mut self, bytes: &[u8; DRAWN]) -> bool {
        let place = self.drawn.iter().position(|drawn| drawn == bytes);
        place.map(|place| self.drawn.swap_remove(place)).is_some()
    }

    /// The keys of the ring, without their material.
    pub(super) fn keys(&self) -> &[KeyInfo] {
        &self.keys
    }

    /// The key that encrypts, if the ring was lent and has one.
    pub(super) fn primary(&self) -> Option<&KeyInfo> {
        self.keys.iter().find(|key| key.primary)
    }
}

fn info(key: &MasterKey) -> KeyInfo {
    let weakness = weakness(&key.material).map(|weakness| match weakness {
        Weakness::TooShort => KeyWeakness::TooShort,
        Weakness::PublishedDefault => KeyWeakness::PublishedDefault,
    });
    KeyInfo { id: key.id.clone(), primary: key.primary, weakness }
}
