//! Derived keys, kept between calls for speed: bounded, with a lifetime, wiped when they go.
//!
//! Each is kept in two shares, of which one is random and the other its exclusive or with the key: a leak of
//! one place in memory, by reading past a buffer or from a page in the swap, reveals nothing about the key.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::contract::DerivedKey;

/// Keeps derived keys between calls. A key whose lifetime is over is wiped at the next use of the cache.
#[derive(Debug)]
pub struct KeyCache {
    capacity: usize,
    lifetime: Duration,
    keys: Mutex<HashMap<Slot, Entry>>,
}

/// What a derived key is known by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Slot {
    /// The place of its master key in the ring.
    pub(crate) ring_index: u32,
    /// The version of the records that it is for.
    pub(crate) version: String,
    /// Whose key it is; `None`: a root, from which those of all users come.
    pub(crate) user_id: Option<String>,
    /// What else it was derived with.
    pub(crate) parameters: String,
}

struct Entry {
    shares: [Zeroizing<Vec<u8>>; 2],
    since: Instant,
}

impl Entry {
    /// `None` when the system gives no random bytes.
    fn new(key: &DerivedKey) -> Option<Self> {
        let mut random = Zeroizing::new(vec![0; key.material.len()]);
        getrandom::getrandom(&mut random).ok()?;
        let masked = xor(&random, &key.material);
        Some(Self { shares: [random, masked], since: Instant::now() })
    }

    fn key(&self) -> DerivedKey {
        let [random, masked] = &self.shares;
        DerivedKey { material: std::mem::take(&mut *xor(random, masked)) }
    }
}

fn xor(one: &[u8], other: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(one.iter().zip(other).map(|(a, b)| a ^ b).collect())
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").field("since", &self.since).finish_non_exhaustive()
    }
}

impl KeyCache {
    /// The size of a derived key.
    pub(crate) const KEY_BYTES: usize = 32;

    /// A cache of at most `capacity` keys, each for at most `lifetime`. With a capacity of 0 nothing is kept.
    pub fn new(capacity: usize, lifetime: Duration) -> Self {
        Self { capacity, lifetime, keys: Mutex::default() }
    }

    pub(crate) fn lookup(&self, slot: &Slot) -> Option<DerivedKey> {
        let keys = self.live_keys();
        keys.get(slot).map(Entry::key)
    }

    /// Keeps a key, unless there is one of this name: whoever could replace it would decide what others encrypt with.
    pub(crate) fn remember(&self, slot: Slot, key: &DerivedKey) {
        let Some(entry) = Entry::new(key).filter(|_| self.capacity > 0) else {
            return;
        };
        let mut keys = self.live_keys();
        if keys.contains_key(&slot) {
            return;
        }
        if keys.len() >= self.capacity {
            let oldest = keys.iter().min_by_key(|(_, entry)| entry.since);
            if let Some(oldest) = oldest.map(|(slot, _)| slot.clone()) {
                keys.remove(&oldest);
            }
        }
        keys.insert(slot, entry);
    }

    fn live_keys(&self) -> MutexGuard<'_, HashMap<Slot, Entry>> {
        // A map of whole entries is sound even if a thread panicked while it held the lock.
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        keys.retain(|_, entry| now.duration_since(entry.since) < self.lifetime);
        keys
    }
}

impl Default for KeyCache {
    /// 1,024 keys, 5 minutes.
    fn default() -> Self {
        Self::new(1024, Duration::from_secs(5 * 60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(user: &str) -> Slot {
        Slot {
            ring_index: 0,
            version: "1.0".to_owned(),
            user_id: Some(user.to_owned()),
            parameters: String::new(),
        }
    }

    fn key(byte: u8) -> DerivedKey {
        DerivedKey { material: vec![byte; 32] }
    }

    #[test]
    fn keeps_a_key_under_its_whole_name() {
        let cache = KeyCache::default();
        cache.remember(slot("anna"), &key(1));
        assert_eq!(cache.lookup(&slot("anna")).unwrap().material, [1; 32]);
        assert!(cache.lookup(&slot("bob")).is_none());
        assert!(cache.lookup(&Slot { ring_index: 1, ..slot("anna") }).is_none());
        assert!(cache.lookup(&Slot { version: "2.0".into(), ..slot("anna") }).is_none());
        assert!(cache.lookup(&Slot { parameters: "x".into(), ..slot("anna") }).is_none());
    }

    #[test]
    fn no_key_is_replaced() {
        let cache = KeyCache::default();
        cache.remember(slot("anna"), &key(1));
        cache.remember(slot("anna"), &key(2));
        assert_eq!(cache.lookup(&slot("anna")).unwrap().material, [1; 32]);
    }

    #[test]
    fn drops_the_oldest_when_it_is_full() {
        let cache = KeyCache::new(2, Duration::from_secs(60));
        for (user, byte) in [("a", 1), ("b", 2), ("c", 3)] {
            cache.remember(slot(user), &key(byte));
        }
        assert!(cache.lookup(&slot("a")).is_none());
        assert!(cache.lookup(&slot("b")).is_some());
        assert!(cache.lookup(&slot("c")).is_some());
    }

    #[test]
    fn forgets_a_key_whose_lifetime_is_over() {
        let cache = KeyCache::new(2, Duration::ZERO);
        cache.remember(slot("a"), &key(1));
        assert!(cache.lookup(&slot("a")).is_none());
        let nothing = KeyCache::new(0, Duration::from_secs(60));
        nothing.remember(slot("a"), &key(1));
        assert!(nothing.lookup(&slot("a")).is_none());
    }
}
