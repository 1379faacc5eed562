//! From master keys to the key of one user.
//!
//! The HMAC of a token decides which key it is under; the `key_id` of a record only says where to begin.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use fernet::Fernet;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::contract::{Error, ErrorCode, KeyInfo, KeyWeakness, MasterKey, Slot};
use crate::derivation::pbkdf2_hmac_sha256;
use crate::environment::Environment;
use crate::kdf::{self, Kdf};
use crate::record::Record;
use crate::scheme::Scheme;
use crate::token::Token;
use moat_format::user_id::UserId;
use moat_format::weakness::{PUBLISHED_DEFAULT, Weakness, weakness};

/// The longest label of a key that encrypts, in bytes: each of its records bears it.
pub const MAX_LABEL_BYTES: usize = 64;

/// The rounds of PBKDF2 in version 1.0 of the record.
pub const ROUNDS: u32 = 100_000;

/// The key of a user in version 1.0, from a master key: PBKDF2-HMAC-SHA256 (RFC 8018), 32 bytes. The salt is the first 16
/// bytes of the SHA-256 of the user id.
pub fn derive(master_key: &[u8], user: &UserId) -> Zeroizing<[u8; 32]> {
    let digest = Sha256::digest(user.as_str());
    let (salt, _) = digest.split_at(16);
    pbkdf2_hmac_sha256(master_key, salt, ROUNDS)
}

fn fernet(key: &[u8; 32]) -> Result<Rc<Fernet>, Error> {
    let text = Zeroizing::new(URL_SAFE.encode(key));
    Fernet::new(&text).map(Rc::new).ok_or_else(unusable)
}

fn unusable() -> Error {
    Error::new(ErrorCode::MasterKeyRefused, "a derived key doesn't have 32 bytes")
}

/// The keys that a call was lent.
pub(crate) struct Ring<'e> {
    environment: &'e dyn Environment,
    keys: OnceCell<Vec<MasterKey>>,
    /// The roots of version 2.0 that were needed so far, by the place of their key.
    roots: RefCell<Vec<(usize, Kdf, Rc<DerivedKey>)>>,
}

type DerivedKey = Zeroizing<[u8; 32]>;

impl<'e> Ring<'e> {
    /// The ring that the host lends. It is asked for when it is needed first.
    pub(crate) fn new(environment: &'e dyn Environment) -> Self {
        Self { environment, keys: OnceCell::new(), roots: RefCell::default() }
    }

    fn keys(&self) -> Result<&[MasterKey], Error> {
        if let Some(keys) = self.keys.get() {
            return Ok(keys);
        }
        let keys = self.environment.ring()?;
        if keys.iter().all(|key| key.material.is_empty()) {
            let message = "there is no master key";
            return Err(Error::new(ErrorCode::MasterKeyMissing, message));
        }
        Ok(self.keys.get_or_init(|| keys))
    }

    /// The place of the key that encrypts. Fails when there isn't exactly one, or when it must not: it is weak, or its
    /// label wouldn't fit into every record.
    pub(crate) fn primary(&self) -> Result<usize, Error> {
        let refuse = |message| Err(Error::new(ErrorCode::MasterKeyRefused, message));
        let mut primaries = self.keys()?.iter().enumerate().filter(|(_, key)| key.primary);
        let (Some((index, key)), None) = (primaries.next(), primaries.next()) else {
            return refuse("the key ring doesn't have exactly one primary key");
        };
        if key
            .id
            .as_ref()
            .is_some_and(|id| id.len() > MAX_LABEL_BYTES || id.contains(char::is_control))
        {
            return refuse(
                "the label of the master key is longer than 64 bytes or has control characters",
            );
        }
        match weakness(&key.material) {
            None => Ok(index),
            Some(Weakness::TooShort) => refuse("the master key has fewer than 16 bytes"),
            Some(Weakness::PublishedDefault) => {
                refuse("the master key is the default that the application published in its source")
            }
        }
    }

    /// The key at this place.
    fn at(&self, index: usize) -> Result<&MasterKey, Error> {
        self.keys()?.get(index).ok_or_else(|| {
            Error::new(ErrorCode::MasterKeyMissing, "the key ring has no key at this place")
        })
    }

    /// The places of all keys, those with this label first.
    fn order(&self, hint: Option<&str>) -> Result<Vec<usize>, Error> {
        let keys = self.keys()?;
        let hinted = |key: &MasterKey| hint.is_some() && key.id.as_deref() == hint;
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_by_key(|&index| !keys.get(index).is_some_and(hinted));
        Ok(order)
    }

    /// The user's keys under this ring, each derived once at most.
    pub(crate) fn for_user<'r>(&'r self, user: &'r UserId) -> UserKeys<'r> {
        UserKeys { ring: self, user, derived: Vec::new() }
    }

    /// The root of version 2.0 under the key at this place.
    fn root(&self, index: usize, key: &MasterKey, kdf: &Kdf) -> Result<Rc<DerivedKey>, Error> {
        let known = |(place, other, _): &&(usize, Kdf, _)| *place == index && other == kdf;
        if let Some((_, _, root)) = self.roots.borrow().iter().find(known) {
            return Ok(Rc::clone(root));
        }
        let slot = slot(index, "2.0", None, kdf.parameters());
        let root = Rc::new(self.look_up_or(&slot, || kdf.root(&key.material))?);
        self.roots.borrow_mut().push((index, kdf.clone(), Rc::clone(&root)));
        Ok(root)
    }

    /// The key that the host kept in this slot, or else a new one, for it to keep.
    fn look_up_or(
        &self,
        slot: &Slot,
        derive: impl FnOnce() -> DerivedKey,
    ) -> Result<DerivedKey, Error> {
        if let Some(kept) = self.environment.lookup(slot).map(Zeroizing::new) {
            let key = kept.as_slice().try_into().map_err(|_| unusable())?;
            return Ok(Zeroizing::new(key));
        }
        let derived = derive();
        self.environment.remember(slot, &*derived);
        Ok(derived)
    }
}

fn slot(index: usize, version: &str, user: Option<&UserId>, parameters: String) -> Slot {
    Slot {
        ring_index: u32::try_from(index).unwrap_or(u32::MAX),
        version: version.to_owned(),
        user_id: user.map(UserId::to_string),
        parameters,
    }
}

/// A decrypted text, and the key that it was under.
type Opened = (Zeroizing<Vec<u8>>, KeyInfo);

/// A user's keys under a ring.
pub(crate) struct UserKeys<'r> {
    ring: &'r Ring<'r>,
    user: &'r UserId,
    /// Those that were needed so far, by the place of their master key.
    derived: Vec<(usize, Scheme, Rc<Fernet>)>,
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

    /// The key that encrypts.
    pub(crate) fn primary(&self) -> Result<KeyInfo, Error> {
        Ok(info(self.ring.at(self.ring.primary()?)?))
    }

    /// Encrypts under the primary key, and makes sure that what comes out opens again.
    pub(crate) fn seal(&mut self, plaintext: &[u8], scheme: &Scheme) -> Result<Token, Error> {
        let now = self.environment().now();
        let key = self.at(self.ring.primary()?, scheme)?;
        let token = Token::seal(&key, plaintext, now);
        if token.open(&key).is_none_or(|opened| *opened != plaintext) {
            let message = "what was encrypted doesn't open again";
            return Err(Error::new(ErrorCode::WrongKeyOrTampered, message));
        }
        Ok(token)
    }

    /// Decrypts a record with whichever key of the ring opens it, and tells which.
    pub(crate) fn open(&mut self, record: &Record) -> Result<Opened, Error> {
        let token = record.token()?;
        for index in self.ring.order(record.key_id())? {
            if let Some(plaintext) = token.open(&*self.at(index, record.scheme())?) {
                return Ok((plaintext, info(self.ring.at(index)?)));
            }
        }
        Err(match self.open_published(record)? {
            Some(_) => Error::new(
                ErrorCode::NeedsMigration,
                "the record is under the application's published default key: \
                 anyone who could write to the directory could have chosen its password",
            ),
            None => Error::new(
                ErrorCode::WrongKeyOrTampered,
                "no master key opens the record: it is under another key, or it was altered",
            ),
        })
    }

    /// Decrypts a record that is under the published default key; `None` when it isn't. No application wrote
    /// version 2.0 under it.
    pub(crate) fn open_published(&self, record: &Record) -> Result<Option<Opened>, Error> {
        if *record.scheme() != Scheme::V1 {
            return Ok(None);
        }
        let published = fernet(&derive(PUBLISHED_DEFAULT, self.user))?;
        let weakness = Some(KeyWeakness::PublishedDefault);
        let info = KeyInfo { id: None, primary: false, weakness };
        Ok(record.token()?.open(&published).map(|plaintext| (plaintext, info)))
    }

    /// The user's key under the ring's key at this place.
    fn at(&mut self, index: usize, scheme: &Scheme) -> Result<Rc<Fernet>, Error> {
        let known = |(place, other, _): &&(usize, Scheme, _)| *place == index && other == scheme;
        if let Some((_, _, key)) = self.derived.iter().find(known) {
            return Ok(Rc::clone(key));
        }
        let master_key = self.ring.at(index)?;
        let key = match scheme {
            Scheme::V1 => {
                let slot = slot(index, "1.0", Some(self.user), String::new());
                self.ring.look_up_or(&slot, || derive(&master_key.material, self.user))?
            }
            Scheme::V2(kdf) => {
                let root = self.ring.root(index, master_key, kdf)?;
                kdf::user_key(&root, self.user).map_err(|_| unusable())?
            }
        };
        let key = fernet(&key)?;
        self.derived.push((index, scheme.clone(), Rc::clone(&key)));
        Ok(key)
    }
}

fn info(key: &MasterKey) -> KeyInfo {
    let weakness = weakness(&key.material).map(|weakness| match weakness {
        Weakness::TooShort => KeyWeakness::TooShort,
        Weakness::PublishedDefault => KeyWeakness::PublishedDefault,
    });
    KeyInfo { id: key.id.clone(), primary: key.primary, weakness }
}
