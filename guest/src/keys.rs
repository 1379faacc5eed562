//! From master keys to the key of one user.
//!
//! The HMAC of a token decides which key it is under; the `key_id` of a record only says where to begin.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use fernet::Fernet;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::contract::{Error, ErrorCode, KeyInfo, KeyWeakness, MasterKey, Slot};
use crate::derivation::pbkdf2_hmac_sha256;
use crate::environment::Environment;
use crate::legacy::VERSION_1;
use crate::record::Record;
use crate::token::Token;
use crate::user_id::UserId;

/// The rounds of PBKDF2 in version 1.0 of the record.
pub const ROUNDS: u32 = 100_000;

/// The key that the FossaWork application fell back to, in its public source. It never encrypts anything.
pub const PUBLISHED_DEFAULT: &[u8] = b"default_key_change_me";

/// A shorter master key, in bytes, doesn't encrypt.
pub const MIN_BYTES: usize = 16;

/// The key of a user, from a master key: PBKDF2-HMAC-SHA256 (RFC 8018), 32 bytes. The salt is the first 16
/// bytes of the SHA-256 of the user id.
pub fn derive(master_key: &[u8], user: &UserId) -> Zeroizing<[u8; 32]> {
    let digest = Sha256::digest(user.as_str());
    let (salt, _) = digest.split_at(16);
    pbkdf2_hmac_sha256(master_key, salt, ROUNDS)
}

fn fernet(key: &[u8]) -> Result<Fernet, Error> {
    let text = Zeroizing::new(URL_SAFE.encode(key));
    Fernet::new(&text).ok_or_else(|| {
        let message = "a cached key doesn't have 32 bytes";
        Error::new(ErrorCode::MasterKeyRefused, message)
    })
}

/// The keys that a call was lent.
pub(crate) struct Ring<'e> {
    environment: &'e dyn Environment,
    keys: Vec<MasterKey>,
}

impl<'e> Ring<'e> {
    /// Asks the host for the ring.
    pub(crate) fn load(environment: &'e dyn Environment) -> Result<Self, Error> {
        let keys = environment.ring()?;
        if keys.iter().all(|key| key.material.is_empty()) {
            let message = "there is no master key";
            return Err(Error::new(ErrorCode::MasterKeyMissing, message));
        }
        Ok(Self { environment, keys })
    }

    /// The place of the key that encrypts. Fails when there isn't exactly one, or when it must not.
    pub(crate) fn primary(&self) -> Result<usize, Error> {
        let refuse = |message| Err(Error::new(ErrorCode::MasterKeyRefused, message));
        let mut primaries = self.keys.iter().enumerate().filter(|(_, key)| key.primary);
        let (Some((index, key)), None) = (primaries.next(), primaries.next()) else {
            return refuse("the key ring doesn't have exactly one primary key");
        };
        match weakness(&key.material) {
            None => Ok(index),
            Some(KeyWeakness::TooShort) => refuse("the master key has fewer than 16 bytes"),
            Some(KeyWeakness::PublishedDefault) => {
                refuse("the master key is the default that the application published in its source")
            }
        }
    }

    /// The places of all keys, those with this label first.
    fn order(&self, hint: Option<&str>) -> Vec<usize> {
        let hinted = |key: &MasterKey| hint.is_some() && key.id.as_deref() == hint;
        let mut order: Vec<usize> = (0..self.keys.len()).collect();
        order.sort_by_key(|&index| !self.keys.get(index).is_some_and(hinted));
        order
    }

    /// The user's keys under this ring, each derived once at most.
    pub(crate) fn for_user<'r>(&'r self, user: &'r UserId) -> UserKeys<'r> {
        UserKeys { ring: self, user, derived: self.keys.iter().map(|_| None).collect() }
    }
}

/// A user's keys under a ring.
pub(crate) struct UserKeys<'r> {
    ring: &'r Ring<'r>,
    user: &'r UserId,
    derived: Vec<Option<Fernet>>,
}

impl UserKeys<'_> {
    /// The user whose keys these are.
    pub(crate) fn user(&self) -> &UserId {
        self.user
    }

    /// What the host lends.
    pub(crate) fn environment(&self) -> &dyn Environment {
        self.ring.environment
    }

    /// Encrypts under the primary key, and tells which that is.
    pub(crate) fn seal(&mut self, plaintext: &[u8]) -> Result<(Token, KeyInfo), Error> {
        let now = self.environment().now();
        let (key, info) = self.at(self.ring.primary()?)?;
        Ok((Token::seal(key, plaintext, now), info))
    }

    /// Decrypts a record with whichever key of the ring opens it, and tells which.
    pub(crate) fn open(&mut self, record: &Record) -> Result<(Zeroizing<Vec<u8>>, KeyInfo), Error> {
        let token = record.token()?;
        for index in self.ring.order(record.key_id()) {
            let (key, info) = self.at(index)?;
            if let Some(plaintext) = token.open(key) {
                return Ok((plaintext, info));
            }
        }
        let published = fernet(&*derive(PUBLISHED_DEFAULT, self.user))?;
        Err(if token.open(&published).is_some() {
            Error::new(
                ErrorCode::NeedsMigration,
                "the record is under the application's published default key: \
                 whoever can write the directory could have chosen its password",
            )
        } else {
            Error::new(
                ErrorCode::WrongKeyOrTampered,
                "no master key opens the record: it is under another key, or it was altered",
            )
        })
    }

    /// The user's key under the ring's key at this place.
    fn at(&mut self, index: usize) -> Result<(&Fernet, KeyInfo), Error> {
        let (Some(key), Some(place)) = (self.ring.keys.get(index), self.derived.get_mut(index))
        else {
            let message = "the key ring has no key at this place";
            return Err(Error::new(ErrorCode::MasterKeyMissing, message));
        };
        let info =
            KeyInfo { id: key.id.clone(), primary: key.primary, weakness: weakness(&key.material) };
        let known = match place {
            Some(known) => known,
            None => place.insert(derive_or_lookup(self.ring.environment, index, key, self.user)?),
        };
        Ok((known, info))
    }
}

fn derive_or_lookup(
    environment: &dyn Environment,
    index: usize,
    key: &MasterKey,
    user: &UserId,
) -> Result<Fernet, Error> {
    let slot = Slot {
        ring_index: u32::try_from(index).unwrap_or(u32::MAX),
        version: VERSION_1.to_owned(),
        user_id: Some(user.as_str().to_owned()),
        parameters: String::new(),
    };
    if let Some(cached) = environment.lookup(&slot) {
        return fernet(&Zeroizing::new(cached));
    }
    let derived = derive(&key.material, user);
    environment.remember(&slot, &*derived);
    fernet(&*derived)
}

fn weakness(master_key: &[u8]) -> Option<KeyWeakness> {
    if master_key == PUBLISHED_DEFAULT {
        Some(KeyWeakness::PublishedDefault)
    } else if master_key.len() < MIN_BYTES {
        Some(KeyWeakness::TooShort)
    } else {
        None
    }
}
