//! The key ring: one primary key, which encrypts, and any number of others, which only decrypt.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretSlice};
use zeroize::Zeroizing;

use crate::contract::{self, ErrorCode, KeyWeakness};
use crate::error::Error;
use moat_format::key_strength::weakness;
use moat_format::strong_key;

/// Generates a new master key: 32 random bytes as text with the prefix `MOAT-MASTER-KEY-1` and a checksum. Records of version
/// 2.0 are decrypted fastest with such a key.
///
/// # Errors
///
/// [`Unavailable`](crate::ErrorCode::Unavailable) when the system gives no random bytes.
pub fn generate_key() -> Result<Zeroizing<String>, Error> {
    let bytes = random_bytes().map_err(Error::no_randomness)?;
    let key = strong_key::encode(&bytes).map_err(|error| {
        Error::caused(ErrorCode::MasterKeyRefused, "the key can't be written", error)
    })?;
    Ok(Zeroizing::new(key))
}

/// Generates a new master key as the FossaWork application has them: 32 random bytes as 43 URL-safe characters.
///
/// # Errors
///
/// [`Unavailable`](crate::ErrorCode::Unavailable) when the system gives no random bytes.
pub fn generate_token() -> Result<Zeroizing<String>, Error> {
    let bytes = random_bytes::<32>().map_err(Error::no_randomness)?;
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice())))
}

/// What is known about how hard a master key is to guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyStrength {
    /// It is 256 random bits: one of [`generate_key`]'s.
    Strong,
    /// Any other text.
    Unknown,
    /// It decrypts, and must not encrypt.
    Weak(KeyWeakness),
    /// It is one of [`generate_key`]'s, but for a wrong character.
    Mistyped,
}

impl KeyStrength {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Strong => "strong",
            Self::Unknown => "unknown",
            Self::Weak(_) => "weak",
            Self::Mistyped => "mistyped",
        }
    }
}

/// Random bytes from the system.
pub(super) fn random_bytes<const N: usize>() -> Result<Zeroizing<[u8; N]>, getrandom::Error> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::getrandom(&mut *bytes)?;
    Ok(bytes)
}

/// A secret without one `\n` or `\r\n` at its end, which is no part of it in a file or in the output of a command.
pub fn without_line_break(text: &[u8]) -> &[u8] {
    match text.strip_suffix(b"\n") {
        Some(line) => line.strip_suffix(b"\r").unwrap_or(line),
        None => text,
    }
}

/// A master key: any bytes, used exactly as given. Clones share the one copy of them.
#[derive(Clone)]
pub struct MasterKey {
    id: Option<String>,
    material: Arc<SecretSlice<u8>>,
}

impl MasterKey {
    /// A key without a label. The bytes are copied; wiping the original is up to the caller.
    pub fn new(material: &[u8]) -> Self {
        Self { id: None, material: Arc::new(SecretSlice::from(material.to_vec())) }
    }

    /// The key in a file with these contents: without one line break at the end, as `moat keygen`, editors and `echo` leave
    /// it. With [`Self::new`], the line break would be a part of the key, and the key another one than that of `moat`.
    ///
    /// A file may also contain a ring: see [`RingDocument::is_meant`](crate::RingDocument::is_meant). Whether others can
    /// read the file is for the caller to check.
    pub fn from_file_contents(contents: &[u8]) -> Self {
        Self::new(without_line_break(contents))
    }

    /// Labels the key. Records that it encrypts bear the label unencrypted: choose it freely or at random, but never derive
    /// it from the key.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// What is known about how hard the key is to guess.
    pub fn strength(&self) -> KeyStrength {
        match strong_key::is_strong(self.expose()) {
            Ok(true) => KeyStrength::Strong,
            Ok(false) => weakness(self.expose())
                .map_or(KeyStrength::Unknown, |weakness| KeyStrength::Weak(weakness.into())),
            Err(strong_key::Mistyped) => KeyStrength::Mistyped,
        }
    }

    /// The bytes of the key.
    pub(crate) fn expose(&self) -> &[u8] {
        self.material.expose_secret()
    }

    fn to_contract(&self, primary: bool) -> contract::MasterKey {
        contract::MasterKey { id: self.id.clone(), primary, material: self.expose().to_vec() }
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// One primary key, which encrypts, and any number of others, which only decrypt.
#[derive(Clone, Debug)]
pub struct KeyRing {
    primary: MasterKey,
    others: Vec<MasterKey>,
}

impl KeyRing {
    /// A ring of one key.
    pub fn new(primary: MasterKey) -> Self {
        Self { primary, others: Vec::new() }
    }

    /// Adds a decrypt-only key.
    #[must_use]
    pub fn with_other(mut self, key: MasterKey) -> Self {
        self.others.push(key);
        self
    }

    /// The key that encrypts.
    pub fn primary(&self) -> &MasterKey {
        &self.primary
    }

    /// All keys, the primary one first.
    pub fn keys(&self) -> impl Iterator<Item = &MasterKey> {
        std::iter::once(&self.primary).chain(&self.others)
    }

    /// The keys as the component gets them.
    pub(crate) fn to_contract(&self) -> Vec<contract::MasterKey> {
        self.keys().zip(0..).map(|(key, place)| key.to_contract(place == 0)).collect()
    }
}

/// Where a vault's keys come from. Only a call that needs them asks for them. The ring has to be the same for the whole
/// life of the vault.
pub trait KeySource: Send + Sync {
    /// Returns the ring.
    ///
    /// # Errors
    ///
    /// [`MasterKeyMissing`](crate::ErrorCode::MasterKeyMissing) when there is none, or any other; the vault's caller gets it
    /// unchanged.
    fn ring(&self) -> Result<KeyRing, Error>;
}

impl KeySource for KeyRing {
    fn ring(&self) -> Result<KeyRing, Error> {
        Ok(self.clone())
    }
}
