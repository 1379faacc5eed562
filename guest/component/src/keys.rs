//! From master keys to the key of one user.
//!
//! The HMAC of a token decides which key it was encrypted with; the `key_id` of a record only says which to try first.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use fernet::Fernet;
use moat_format::kdf::Kdf;
use moat_format::key_strength::{PUBLISHED_DEFAULT, Weakness, weakness};
use moat_format::record::MAX_LABEL_BYTES;
use moat_format::token::Token;
use moat_format::user_id::UserId;
use moat_format::version::Version;
use zeroize::Zeroizing;

use crate::contract::{Error, ErrorCode, KeyInfo, KeyWeakness, MasterKey, Slot};
use crate::host::Host;
use crate::kdf::{DerivedKey, root_key, user_key_1, user_key_2};
use crate::record::Record;
use crate::scheme::Scheme;
use crate::token;

fn fernet(key: &[u8; 32]) -> Result<Rc<Fernet>, Error> {
    let text = Zeroizing::new(URL_SAFE.encode(key));
    Fernet::new(&text).map(Rc::new).ok_or_else(unusable)
}

fn unusable() -> Error {
    Error::new(ErrorCode::MasterKeyRefused, "a derived key doesn't have 32 bytes")
}

/// The keys that a call was granted.
pub(crate) struct Ring<'e> {
    host: &'e dyn Host,
    keys: OnceCell<Vec<MasterKey>>,
    /// The root keys of version 2.0 that were needed so far, by the place of their master key.
    roots: RefCell<Vec<(usize, Kdf, Rc<DerivedKey>)>>,
}

impl<'e> Ring<'e> {
    /// The ring that the host provides. It is asked for when it is first needed.
    pub(crate) fn new(host: &'e dyn Host) -> Self {
        Self { host, keys: OnceCell::new(), roots: RefCell::default() }
    }

    fn keys(&self) -> Result<&[MasterKey], Error> {
        if let Some(keys) = self.keys.get() {
            return Ok(keys);
        }
        let keys = self.host.ring()?;
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

    /// The root key of version 2.0 from the master key at this place.
    fn root(&self, index: usize, key: &MasterKey, kdf: &Kdf) -> Result<Rc<DerivedKey>, Error> {
        let known = |(place, other, _): &&(usize, Kdf, _)| *place == index && other == kdf;
        if let Some((_, _, root)) = self.roots.borrow().iter().find(known) {
            return Ok(Rc::clone(root));
        }
        let slot = slot(index, Version::V2, None, kdf.id());
        let root = Rc::new(self.look_up_or(&slot, || root_key(&key.material, kdf))?);
        self.roots.borrow_mut().push((index, kdf.clone(), Rc::clone(&root)));
        Ok(root)
    }

    /// The key that the host kept in this slot, or else a new one, for it to keep.
    fn look_up_or(
        &self,
        slot: &Slot,
        derive: impl FnOnce() -> DerivedKey,
    ) -> Result<DerivedKey, Error> {
        if let Some(kept) = self.host.lookup(slot).map(Zeroizing::new) {
            let key = kept.as_slice().try_into().map_err(|_| unusable())?;
            return Ok(Zeroizing::new(key));
        }
        let derived = derive();
        self.host.remember(slot, &*derived);
        Ok(derived)
    }
}

fn slot(index: usize, version: Version, user: Option<&UserId>, parameters: String) -> Slot {
    Slot {
        ring_index: u32::try_from(index).unwrap_or(u32::MAX),
        version: version.name().to_owned(),
        user_id: user.map(UserId::to_string),
        parameters,
    }
}

/// A decrypted text, and the key that it was encrypted with.
type Decrypted = (Zeroizing<Vec<u8>>, KeyInfo);

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

    /// What the host provides.
    pub(crate) fn host(&self) -> &dyn Host {
        self.ring.host
    }

    /// The key that encrypts.
    pub(crate) fn primary(&self) -> Result<KeyInfo, Error> {
        Ok(info(self.ring.at(self.ring.primary()?)?))
    }

    /// Encrypts with the primary key, and makes sure that the token can be decrypted again.
    pub(crate) fn encrypt(&mut self, plaintext: &[u8], scheme: &Scheme) -> Result<Token, Error> {
        let now = self.host().now();
        let key = self.at(self.ring.primary()?, scheme)?;
        let token = token::encrypt(&key, plaintext, now);
        let is_sound = |token: &Token| {
            token::decrypt(&key, token).is_some_and(|decrypted| *decrypted == plaintext)
        };
        token.filter(is_sound).ok_or_else(|| {
            let message = "what was encrypted can't be decrypted again";
            Error::new(ErrorCode::WrongKeyOrTampered, message)
        })
    }

    /// Decrypts a record with whichever key of the ring it was encrypted with, and returns that key too.
    pub(crate) fn decrypt(&mut self, record: &Record) -> Result<Decrypted, Error> {
        let token = record.token()?;
        for index in self.ring.order(record.key_id())? {
            if let Some(plaintext) = token::decrypt(&*self.at(index, record.scheme())?, token) {
                return Ok((plaintext, info(self.ring.at(index)?)));
            }
        }
        Err(match self.decrypt_published(record)? {
            Some(_) => Error::new(
                ErrorCode::NeedsMigration,
                "the record is encrypted with the application's published default key: \
                 anyone who could write to the directory could have chosen its password",
            ),
            None => Error::new(
                ErrorCode::WrongKeyOrTampered,
                "no master key decrypts the record: it was encrypted with another key, or altered",
            ),
        })
    }

    /// Decrypts a record with the published default key; `None` when it was encrypted with another. No application wrote
    /// version 2.0 with that key.
    pub(crate) fn decrypt_published(&self, record: &Record) -> Result<Option<Decrypted>, Error> {
        if *record.scheme() != Scheme::V1 {
            return Ok(None);
        }
        let published = fernet(&user_key_1(PUBLISHED_DEFAULT, self.user))?;
        let weakness = Some(KeyWeakness::PublishedDefault);
        let info = KeyInfo { id: None, primary: false, weakness };
        Ok(token::decrypt(&published, record.token()?).map(|plaintext| (plaintext, info)))
    }

    /// The user's key from the ring's master key at this place.
    fn at(&mut self, index: usize, scheme: &Scheme) -> Result<Rc<Fernet>, Error> {
        let known = |(place, other, _): &&(usize, Scheme, _)| *place == index && other == scheme;
        if let Some((_, _, key)) = self.derived.iter().find(known) {
            return Ok(Rc::clone(key));
        }
        let master_key = self.ring.at(index)?;
        let key = match scheme {
            Scheme::V1 => {
                let slot = slot(index, Version::V1, Some(self.user), String::new());
                self.ring.look_up_or(&slot, || user_key_1(&master_key.material, self.user))?
            }
            Scheme::V2(kdf) => {
                let root = self.ring.root(index, master_key, kdf)?;
                user_key_2(&root, self.user).map_err(|_| unusable())?
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
