//! What the host provides to this part.

use crate::contract::{Error, MasterKey, Slot};

/// The imports of the part, so that it can be tested without a sandbox.
pub trait Host {
    /// The master keys, in the order in which they are tried.
    ///
    /// # Errors
    ///
    /// As `wit/master-keys.wit` has it.
    fn ring(&self) -> Result<Vec<MasterKey>, Error>;

    /// A derived key that the host kept.
    fn lookup(&self, slot: &Slot) -> Option<Vec<u8>>;

    /// Offers a derived key for the host to keep.
    fn remember(&self, slot: &Slot, key: &[u8]);
}
