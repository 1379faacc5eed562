//! From a master key to a user's key, in both versions of the record.
//!
//! Version 1.0 derives slowly for each user: PBKDF2-HMAC-SHA256 (RFC 8018) of the master key. Version 2.0 derives a root
//! key that all users of a directory share, slowly with PBKDF2 or, from a strong key, by the first step of HKDF-SHA256
//! (RFC 5869). The second step of HKDF goes from there to each user's key, and to the key that authenticates the settings.
//!
//! No derivation has an input in common with another: `ROOT` makes the salts of the root key longer than any of version
//! 1.0, and the infos from there begin differently.

use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use moat_format::kdf::Kdf;
use moat_format::user_id::UserId;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::pbkdf2::Derivation;

/// The rounds of PBKDF2 in version 1.0.
pub const ROUNDS_1: u32 = 100_000;

/// What the salt of a root key begins with, before that of the directory.
const ROOT: &[u8] = b"moat 2.0 root\0";

/// A derived key of 32 bytes.
pub type DerivedKey = Zeroizing<[u8; 32]>;

/// How the key of a user comes from a master key in version 1.0. The salt is the first 16 bytes of the SHA-256 of the user
/// id.
pub(crate) fn user_key_derivation<'k>(master_key: &'k [u8], user: &UserId) -> Derivation<'k> {
    let mut salt = Sha256::digest(user.as_str()).to_vec();
    salt.truncate(16);
    Derivation { password: master_key, salt, rounds: ROUNDS_1 }
}

/// The key of a user in version 1.0.
pub fn user_key_1(master_key: &[u8], user: &UserId) -> DerivedKey {
    user_key_derivation(master_key, user).derive()
}

/// How the root key of a directory comes from a master key.
pub(crate) enum RootDerivation<'k> {
    /// From a strong key.
    Fast(RootKey),
    /// From any other.
    Slow(Derivation<'k>),
}

/// The root key of a directory, or how to derive it.
pub(crate) fn root_derivation<'k>(master_key: &'k [u8], kdf: &Kdf) -> RootDerivation<'k> {
    let salt = [ROOT, &kdf.salt].concat();
    match kdf.rounds {
        None => {
            let (root, _) = Hkdf::<Sha256>::extract(Some(&salt), master_key);
            RootDerivation::Fast(RootKey(Zeroizing::new(root.into())))
        }
        Some(rounds) => RootDerivation::Slow(Derivation { password: master_key, salt, rounds }),
    }
}

/// The root key that all users of a directory share in version 2.0.
#[derive(Clone)]
pub struct RootKey(pub(crate) DerivedKey);

impl RootKey {
    /// The root key of a directory, derived from a master key.
    pub fn derive(master_key: &[u8], kdf: &Kdf) -> Self {
        match root_derivation(master_key, kdf) {
            RootDerivation::Fast(root) => root,
            RootDerivation::Slow(derivation) => Self(derivation.derive()),
        }
    }

    /// The key of a user.
    ///
    /// # Errors
    ///
    /// None that can occur: HKDF-SHA256 yields up to 8,160 bytes.
    pub fn user_key(&self, user: &UserId) -> Result<DerivedKey, hkdf::InvalidLength> {
        self.expand(&[b"user\0", user.as_str().as_bytes()])
    }

    /// The authentication code of settings: HMAC-SHA256 (RFC 2104).
    ///
    /// # Errors
    ///
    /// None that can occur, as for [`Self::user_key`].
    pub fn settings_tag(&self, settings: &[u8]) -> Result<[u8; 32], hkdf::InvalidLength> {
        let key = self.expand(&[b"settings"])?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&*key).map_err(|_| hkdf::InvalidLength)?;
        mac.update(settings);
        Ok(mac.finalize().into_bytes().into())
    }

    fn expand(&self, info: &[&[u8]]) -> Result<DerivedKey, hkdf::InvalidLength> {
        let root = Hkdf::<Sha256>::from_prk(&*self.0).map_err(|_| hkdf::InvalidLength)?;
        let mut key = Zeroizing::new([0; 32]);
        root.expand_multi_info(info, &mut *key)?;
        Ok(key)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// Parameters by which a user's key of version 1.0 would be everyone's root key, if the versions had an input in common.
    #[test]
    fn a_users_key_of_one_version_is_no_root_key_of_the_other() {
        let anna = UserId::parse("anna").unwrap();
        let derivation = user_key_derivation(b"key", &anna);
        let salt = derivation.salt.as_slice().try_into().unwrap();
        let root = RootKey::derive(b"key", &Kdf { salt, rounds: Some(ROUNDS_1) });
        assert_ne!(root.0, derivation.derive());
        let fast = RootKey::derive(b"key", &Kdf { salt, rounds: None });
        assert_ne!(root.0, fast.0);
    }

    fn unhex(text: &str) -> Vec<u8> {
        let pairs = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
    }

    /// As Python's `hashlib` and `hmac` compute them.
    #[test]
    fn what_is_derived_is_what_another_implementation_derives() {
        let (master_key, anna) = (b"correct horse battery staple", UserId::parse("anna").unwrap());
        let known = "b07ccb7eaf7dba7a6259f7b159fd4a29405c5267740e08ddd8daabbc228be96e";
        assert_eq!(user_key_1(master_key, &anna).to_vec(), unhex(known));
        let root = RootKey::derive(master_key, &Kdf { salt: *b"salted by chance", rounds: None });
        let known = "15250f82a1f8510ead738d654565a4fce4a18775aac4ca63c9ff7fb05192cb23";
        assert_eq!(root.user_key(&anna).unwrap().to_vec(), unhex(known));
        let known = "f51f945305b1a8c8c4cf3b60d6d59248bdb2ddb7e6e01d9a161c52497f2df6ce";
        assert_eq!(root.settings_tag(b"what they say").unwrap().to_vec(), unhex(known));
    }

    /// RFC 5869, appendix A.3 and A.1: the two steps with and without salt and info.
    #[test]
    fn the_steps_of_hkdf_give_the_published_keys() {
        let salt: Vec<u8> = (0..13).collect();
        let (root, _) = Hkdf::<Sha256>::extract(Some(&salt), &[0x0b; 22]);
        let prk = "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5";
        assert_eq!(root.to_vec(), unhex(prk));
        let info: Vec<u8> = (0xf0..=0xf9).collect();
        let key = RootKey(Zeroizing::new(root.into())).expand(&[&info]).unwrap();
        let okm = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf";
        assert_eq!(key.to_vec(), unhex(okm));
    }
}
