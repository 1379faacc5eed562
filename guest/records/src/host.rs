//! What is provided to a call: by the host, and by the part of the component that has the master keys.

use crate::contract::{Derivation, DerivedKey, Error, File, NamePage, RingKey, RootParameters};

/// The imports of this part, so that it can be tested without a sandbox.
///
/// Each function is documented in `wit/` or `guest/wit/`, errors included.
#[allow(clippy::missing_errors_doc, reason = "the contract in `wit/` says which")]
pub trait Host {
    /// Reads a whole file of the directory; `None` when there is no such file.
    fn read(&self, name: &str) -> Result<Option<File>, Error>;

    /// Writes a whole file in place of the one with the revision `replaces` (`None`: of none), and returns
    /// its revision.
    fn write(&self, name: &str, contents: &[u8], replaces: Option<&str>) -> Result<String, Error>;

    /// Removes a file of this revision (`None`: of any), and returns whether there was one.
    fn remove(&self, name: &str, expected: Option<&str>) -> Result<bool, Error>;

    /// The directory's names after `cursor`, records in the order of their users, at most `limit`.
    fn names(&self, cursor: Option<&str>, limit: u32) -> Result<NamePage, Error>;

    /// The keys of the ring without their material, in the order in which they are tried.
    fn ring(&self) -> Result<Vec<RingKey>, Error>;

    /// The place of the key that encrypts.
    fn primary(&self) -> Result<u32, Error>;

    /// Derives keys of users, in the order asked.
    fn derive(&self, wanted: &[Derivation]) -> Result<Vec<DerivedKey>, Error>;

    /// The authentication code of settings, under the root key of the master key at this place.
    fn settings_tag(
        &self,
        ring_index: u32,
        root: &RootParameters,
        settings: &[u8],
    ) -> Result<Vec<u8>, Error>;

    /// Seconds since 1970-01-01T00:00:00Z.
    fn now(&self) -> u64;

    /// Random bytes, for a salt.
    fn random(&self) -> Result<[u8; 16], Error>;
}
