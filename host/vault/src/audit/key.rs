//! The key under which the log is chained, and what it computes.

use std::fmt;
use std::sync::Arc;

use hmac::digest::generic_array::GenericArray;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::contract::ErrorCode;
use crate::digest::hex;
use crate::error::Error;
use crate::keys::MasterKey;

/// Rounds of PBKDF2-HMAC-SHA256 from a master key to its audit key: as many as record version 2.0 has, so that
/// no guess at the master key is cheaper against the log than against the records.
const ROUNDS: u32 = 600_000;
const SALT: &[u8] = b"moat audit key v1";
/// The shortest key that may be given, in bytes.
const SHORTEST: usize = 16;

/// What is computed under the key; each begins with another text, so that none can stand for another.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Entry,
    Head,
    KeyId,
    User,
}

impl Purpose {
    fn domain(self) -> &'static [u8] {
        match self {
            Self::Entry => b"moat audit entry v1\0",
            Self::Head => b"moat audit head v1\0",
            Self::KeyId => b"moat audit key id v1\0",
            Self::User => b"moat audit user v1\0",
        }
    }
}

/// The key of an audit log. Whoever has it can forge entries; nobody else can.
#[derive(Clone)]
pub struct AuditKey {
    id: String,
    /// One block of SHA-256, as HMAC pads a key to it.
    block: Arc<Zeroizing<[u8; 64]>>,
}

impl AuditKey {
    /// A separate key, used exactly as given.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::Audit`] when it has fewer than 16 bytes.
    pub fn new(material: &[u8]) -> Result<Self, Error> {
        if material.len() < SHORTEST {
            let message = format!("the audit key has fewer than {SHORTEST} bytes");
            return Err(Error::new(ErrorCode::Audit, message));
        }
        Ok(Self::of(material))
    }

    /// The audit key of a master key: 32 bytes by PBKDF2-HMAC-SHA256 with 600,000 rounds (RFC 8018), which
    /// take about a tenth of a second.
    pub fn derive(master: &MasterKey) -> Self {
        let mut derived = Zeroizing::new([0; 32]);
        pbkdf2::pbkdf2_hmac::<Sha256>(master.expose(), SALT, ROUNDS, &mut *derived);
        Self::of(derived.as_slice())
    }

    fn of(material: &[u8]) -> Self {
        let mut block = Zeroizing::new([0; 64]);
        match block.get_mut(..material.len()) {
            Some(start) => start.copy_from_slice(material),
            // As RFC 2104 has it for keys that are longer than a block.
            None => {
                block.iter_mut().zip(Sha256::digest(material)).for_each(|(to, from)| *to = from)
            }
        }
        let mut key = Self { id: String::new(), block: Arc::new(block) };
        key.id = key.tag(Purpose::KeyId, b"").chars().take(16).collect();
        key
    }

    /// Which key this is: 16 hexadecimal digits that each entry carries.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A user's name in a log without users' names: 64 hexadecimal digits.
    pub fn user_hash(&self, user_id: &str) -> String {
        self.tag(Purpose::User, user_id.as_bytes())
    }

    /// HMAC-SHA256 (RFC 2104) in hexadecimal.
    pub(super) fn tag(&self, purpose: Purpose, bytes: &[u8]) -> String {
        let mac = Hmac::<Sha256>::new(GenericArray::from_slice(self.block.as_slice()));
        hex(&mac.chain_update(purpose.domain()).chain_update(bytes).finalize().into_bytes())
    }
}

impl fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditKey").field("id", &self.id).finish_non_exhaustive()
    }
}
