//! The keys that the entries of a log may be under.

use super::entry::{Entry, is_signed_by};
use super::key::AuditKey;
use crate::keys::KeyRing;

/// The keys that the entries of a log may be under.
#[derive(Debug, Default)]
pub struct AuditKeys {
    known: Vec<AuditKey>,
    underived: Option<KeyRing>,
}

impl AuditKeys {
    /// Those that are given, and those of the master keys of a ring, which are derived when an entry needs them.
    pub fn new(given: impl IntoIterator<Item = AuditKey>, ring: Option<KeyRing>) -> Self {
        Self { known: given.into_iter().collect(), underived: ring }
    }

    /// All of them.
    pub fn all(&mut self) -> &[AuditKey] {
        let ring = self.underived.take();
        self.known.extend(ring.iter().flat_map(KeyRing::keys).map(AuditKey::derive));
        &self.known
    }

    pub(super) fn find(&mut self, id: &str) -> Option<&AuditKey> {
        if !self.known.iter().any(|key| key.id() == id) {
            self.all();
        }
        self.known.iter().find(|key| key.id() == id)
    }

    /// Whether the key that an entry names is the one of its line's tag; `None`: it isn't among these.
    pub(super) fn vouch(&mut self, line: &[u8], entry: &Entry) -> Option<bool> {
        Some(is_signed_by(line, self.find(&entry.audit_key)?))
    }
}
