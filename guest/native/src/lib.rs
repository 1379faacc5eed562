//! The parts of the component joined without a sandbox: what the part that reads records gets from the one with the master
//! keys. Each has the contract's types in its own words.

use moat_guest_keys::contract as keys;
use moat_guest_keys::{Host, Ring};
pub use moat_guest_records::contract;
use moat_guest_records::contract::{
    Derivation, DerivedKey, Error, ErrorCode, KeyInfo, KeyWeakness, RingKey, RootParameters,
};

/// The keys of this host's ring.
///
/// # Errors
///
/// As [`Ring::infos`].
pub fn ring(host: &dyn Host) -> Result<Vec<RingKey>, Error> {
    let infos = Ring::new(host).infos().map_err(to_error)?;
    Ok(infos.into_iter().map(to_key).collect())
}

/// The place of the key that encrypts.
///
/// # Errors
///
/// As [`Ring::primary`].
pub fn primary(host: &dyn Host) -> Result<u32, Error> {
    Ring::new(host).primary().map_err(to_error)
}

/// Derives keys of users.
///
/// # Errors
///
/// As [`Ring::derive`].
pub fn derive(host: &dyn Host, wanted: &[Derivation]) -> Result<Vec<DerivedKey>, Error> {
    let wanted: Vec<_> = wanted.iter().map(to_derivation).collect();
    let keys = Ring::new(host).derive(&wanted).map_err(to_error)?;
    Ok(keys.iter().map(|key| DerivedKey { material: key.to_vec() }).collect())
}

/// The authentication code of settings.
///
/// # Errors
///
/// As [`Ring::settings_tag`].
pub fn settings_tag(
    host: &dyn Host,
    ring_index: u32,
    root: &RootParameters,
    settings: &[u8],
) -> Result<Vec<u8>, Error> {
    let tag = Ring::new(host).settings_tag(ring_index, &to_root(root), settings);
    Ok(tag.map_err(to_error)?.to_vec())
}

fn to_root(root: &RootParameters) -> keys::RootParameters {
    keys::RootParameters { salt: root.salt.clone(), rounds: root.rounds }
}

fn to_derivation(wanted: &Derivation) -> keys::Derivation {
    keys::Derivation {
        ring_index: wanted.ring_index,
        user_id: wanted.user_id.clone(),
        root: wanted.root.as_ref().map(to_root),
    }
}

fn to_error(error: keys::Error) -> Error {
    let code = match error.code {
        keys::ErrorCode::InvalidUserId => ErrorCode::InvalidUserId,
        keys::ErrorCode::MasterKeyMissing => ErrorCode::MasterKeyMissing,
        keys::ErrorCode::MasterKeyRefused => ErrorCode::MasterKeyRefused,
        keys::ErrorCode::Malformed => ErrorCode::Malformed,
        _ => ErrorCode::Sandbox,
    };
    Error { code, message: error.message }
}

fn to_key(key: keys::RingKey) -> RingKey {
    let keys::RingKey { info: key, strong } = key;
    let weakness = key.weakness.map(|weakness| match weakness {
        keys::KeyWeakness::TooShort => KeyWeakness::TooShort,
        keys::KeyWeakness::PublishedDefault => KeyWeakness::PublishedDefault,
    });
    RingKey { info: KeyInfo { id: key.id, primary: key.primary, weakness }, strong }
}

/// The functions of [`moat_guest_records::Host`] that the part with the master keys provides, in its implementation for a
/// type that is also the host of that part.
#[macro_export]
macro_rules! provide_keys {
    () => {
        fn ring(&self) -> Result<Vec<$crate::contract::RingKey>, $crate::contract::Error> {
            $crate::ring(self)
        }

        fn primary(&self) -> Result<u32, $crate::contract::Error> {
            $crate::primary(self)
        }

        fn derive(
            &self,
            wanted: &[$crate::contract::Derivation],
        ) -> Result<Vec<$crate::contract::DerivedKey>, $crate::contract::Error> {
            $crate::derive(self, wanted)
        }

        fn settings_tag(
            &self,
            ring_index: u32,
            root: &$crate::contract::RootParameters,
            settings: &[u8],
        ) -> Result<Vec<u8>, $crate::contract::Error> {
            $crate::settings_tag(self, ring_index, root, settings)
        }
    };
}
