//! The keys of users, as the part with the master keys derives them.
//!
//! The HMAC of a token decides which key it was encrypted with; the `key_id` of a record only says which to try first.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use fernet::Fernet;
use moat_format::kdf::DirectoryKdf;
use moat_format::message::Message;
use moat_format::token::Token;
use moat_format::user_id::UserId;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::contract::{Derivation, DerivedKey, Error, ErrorCode, KeyInfo, KeyWeakness, RingKey};
use crate::host::Host;
use crate::record::Record;
use crate::scheme::{Scheme, root_parameters};
use crate::settings::Settings;
use crate::token;

/// The keys that a call was granted.
pub(crate) struct Ring<'e> {
    host: &'e dyn Host,
    keys: OnceCell<Vec<RingKey>>,
    primary: OnceCell<u32>,
    /// What the directory's settings say of the slow derivation.
    directorys: OnceCell<Option<DirectoryKdf>>,
    /// The users' keys that were needed so far, each with what it was derived from.
    derived: RefCell<Vec<(Origin, Rc<Fernet>)>>,
}

/// What a user's key is derived from.
#[derive(Clone, PartialEq)]
struct Origin {
    user: UserId,
    /// The place of the master key; `None`: the published default key.
    index: Option<u32>,
    scheme: Scheme,
}

impl<'e> Ring<'e> {
    /// The ring, which is asked for when it is first needed.
    pub(crate) fn new(host: &'e dyn Host) -> Self {
        Self {
            host,
            keys: OnceCell::new(),
            primary: OnceCell::new(),
            directorys: OnceCell::new(),
            derived: RefCell::default(),
        }
    }

    /// What the host provides.
    pub(crate) fn host(&self) -> &'e dyn Host {
        self.host
    }

    fn keys(&self) -> Result<&[RingKey], Error> {
        if let Some(keys) = self.keys.get() {
            return Ok(keys);
        }
        let keys = self.host.ring()?;
        Ok(self.keys.get_or_init(|| keys))
    }

    /// The place of the key that encrypts. Fails when there is none, or when it must not.
    pub(crate) fn primary(&self) -> Result<u32, Error> {
        if let Some(primary) = self.primary.get() {
            return Ok(*primary);
        }
        let primary = self.host.primary()?;
        Ok(*self.primary.get_or_init(|| primary))
    }

    /// Whether the key that encrypts is strong.
    pub(crate) fn primary_is_strong(&self) -> Result<bool, Error> {
        Ok(self.at(self.primary()?)?.strong)
    }

    /// The place of the key that authenticates the settings, and must; `None`: they are of a directory without version 2.0.
    pub(crate) fn authenticate(&self, settings: &Settings) -> Result<Option<u32>, Error> {
        let (Some(kdf), Some(authenticated)) = (settings.kdf(), settings.authenticated()) else {
            return Ok(None);
        };
        if let Some(mac) = settings.mac() {
            for index in self.order(mac.key_id.as_deref())? {
                let tag = self.settings_tag(index, kdf, &authenticated)?;
                if bool::from(tag.ct_eq(&mac.tag())) {
                    return Ok(Some(index));
                }
            }
        }
        Err(Error::new(ErrorCode::WrongKeyOrTampered, Message::SettingsNotAuthentic))
    }

    /// The authentication code of the settings of a directory with these parameters, under the key at this place.
    pub(crate) fn settings_tag(
        &self,
        index: u32,
        kdf: &DirectoryKdf,
        authenticated: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let root = root_parameters(&kdf.with_key(self.at(index)?.strong));
        self.host.settings_tag(index, &root, authenticated)
    }

    /// Refuses a slow derivation that isn't the directory's, where its settings say which that is: whoever plants records
    /// doesn't choose how long they keep their readers busy.
    fn check_cost(&self, scheme: &Scheme) -> Result<(), Error> {
        let Scheme::V2(kdf) = scheme else { return Ok(()) };
        if kdf.rounds.is_none() {
            return Ok(());
        }
        let load = || Settings::load(self.host).ok()?.kdf().cloned();
        match self.directorys.get_or_init(load) {
            Some(directorys) if directorys.with_key(false) != *kdf => {
                Err(Error::malformed(Message::OtherKdf))
            }
            _ => Ok(()),
        }
    }

    /// The key at this place.
    pub(crate) fn at(&self, index: u32) -> Result<RingKey, Error> {
        let place = usize::try_from(index).unwrap_or(usize::MAX);
        let missing = || Error::new(ErrorCode::MasterKeyMissing, Message::NoKeyAtThisPlace);
        self.keys()?.get(place).cloned().ok_or_else(missing)
    }

    /// The places of all keys, those with this label first.
    fn order(&self, hint: Option<&str>) -> Result<Vec<u32>, Error> {
        let places = (0..).zip(self.keys()?);
        let is_hinted = |key: &RingKey| hint.is_some() && key.info.id.as_deref() == hint;
        let (hinted, others): (Vec<_>, Vec<_>) = places.partition(|(_, key)| is_hinted(key));
        Ok(hinted.into_iter().chain(others).map(|(index, _)| index).collect())
    }

    /// The places of the keys that a record may be encrypted with, in the order in which they are tried.
    fn candidates(&self, record: &Record) -> Result<Vec<u32>, Error> {
        self.check_cost(record.scheme())?;
        let mut places = Vec::new();
        for index in self.order(record.key_id())? {
            if record.scheme().is_for_key(self.at(index)?.strong) {
                places.push(index);
            }
        }
        Ok(places)
    }

    /// The user's keys under this ring, each derived once at most.
    pub(crate) fn for_user<'r>(&'r self, user: &'r UserId) -> UserKeys<'r> {
        UserKeys { ring: self, user }
    }

    /// Derives the keys that these records are decrypted with, and those that they are to be written with in version 1.0:
    /// of all of them at once, which is faster. What fails here fails again for its own record.
    pub(crate) fn derive_ahead<'a>(
        &self,
        records: impl Iterator<Item = &'a (Record, UserId)>,
        writes: impl Fn(&Record) -> bool,
    ) {
        self.derived.take();
        let origin = |user: &UserId, index, scheme: &Scheme| Origin {
            user: user.clone(),
            index: Some(index),
            scheme: scheme.clone(),
        };
        let (mut wanted, mut rest) = (Vec::new(), Vec::new());
        for (record, user) in records {
            let written = if writes(record) { self.primary().ok() } else { None };
            wanted.extend(written.map(|index| origin(user, index, &Scheme::V1)));
            if let (Ok(token), Ok(places)) = (record.token(), self.candidates(record)) {
                rest.push((record, user, token, places.into_iter()));
            }
        }
        // Each record is tried with one key of the ring after the other, until one decrypts it.
        loop {
            rest.retain_mut(|(record, user, _, places)| {
                let next = places.next().map(|index| origin(user, index, record.scheme()));
                wanted.extend(next.clone());
                next.is_some()
            });
            if wanted.is_empty() || self.derive(&wanted).is_err() {
                return;
            }
            let decrypts = |user: &UserId, token: &Token| {
                let keys = wanted.iter().filter(|origin| origin.user == *user);
                keys.filter_map(|origin| self.known(origin))
                    .any(|key| token::decrypt(&key, token).is_some())
            };
            // Whether the last one decrypts it is found out when it is read.
            rest.retain(|(_, user, token, places)| places.len() > 0 && !decrypts(user, token));
            wanted.clear();
        }
    }

    /// A key that was derived before.
    fn known(&self, origin: &Origin) -> Option<Rc<Fernet>> {
        let derived = self.derived.borrow();
        derived.iter().find(|(known, _)| known == origin).map(|(_, key)| Rc::clone(key))
    }

    /// Derives those of these keys that weren't before.
    fn derive(&self, origins: &[Origin]) -> Result<(), Error> {
        let mut new: Vec<&Origin> = Vec::new();
        for origin in origins {
            if self.known(origin).is_none() && !new.contains(&origin) {
                new.push(origin);
            }
        }
        let wanted: Vec<_> = new
            .iter()
            .map(|origin| Derivation {
                ring_index: origin.index,
                user_id: origin.user.to_string(),
                root: origin.scheme.root(),
            })
            .collect();
        let keys = if wanted.is_empty() { Vec::new() } else { self.host.derive(&wanted)? };
        for (origin, key) in new.into_iter().zip(keys) {
            let key = Rc::new(fernet(key)?);
            self.derived.borrow_mut().push((origin.clone(), key));
        }
        Ok(())
    }
}

fn fernet(key: DerivedKey) -> Result<Fernet, Error> {
    let text = Zeroizing::new(URL_SAFE.encode(&*Zeroizing::new(key.material)));
    Fernet::new(&text).ok_or_else(not_a_key)
}

fn not_a_key() -> Error {
    Error::new(ErrorCode::MasterKeyRefused, Message::NotAKey)
}

/// A decrypted text, and the key that it was encrypted with.
type Decrypted = (Zeroizing<Vec<u8>>, KeyInfo);

/// A user's keys under a ring.
pub(crate) struct UserKeys<'r> {
    ring: &'r Ring<'r>,
    user: &'r UserId,
}

impl UserKeys<'_> {
    /// All keys of the call.
    pub(crate) fn ring(&self) -> &Ring<'_> {
        self.ring
    }

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
        Ok(self.ring.at(self.ring.primary()?)?.info)
    }

    /// Encrypts with the primary key, and makes sure that the token can be decrypted again.
    pub(crate) fn encrypt(&mut self, plaintext: &[u8], scheme: &Scheme) -> Result<Token, Error> {
        let now = self.host().now();
        let key = self.at(Some(self.ring.primary()?), scheme)?;
        let token = token::encrypt(&key, plaintext, now);
        let is_sound = |token: &Token| {
            token::decrypt(&key, token).is_some_and(|decrypted| *decrypted == plaintext)
        };
        let unsound = || Error::new(ErrorCode::WrongKeyOrTampered, Message::NotSound);
        token.filter(is_sound).ok_or_else(unsound)
    }

    /// Decrypts a record with whichever key of the ring it was encrypted with, and returns that key too.
    pub(crate) fn decrypt(&mut self, record: &Record) -> Result<Decrypted, Error> {
        let token = record.token()?;
        for index in self.ring.candidates(record)? {
            if let Some(plaintext) = token::decrypt(&*self.at(Some(index), record.scheme())?, token)
            {
                return Ok((plaintext, self.ring.at(index)?.info));
            }
        }
        Err(match self.decrypt_published(record)? {
            Some(_) => Error::new(ErrorCode::NeedsMigration, Message::PublishedKey),
            None => Error::new(ErrorCode::WrongKeyOrTampered, Message::NotDecrypted),
        })
    }

    /// Decrypts a record with the published default key; `None` when it was encrypted with another. No application wrote
    /// version 2.0 with that key.
    pub(crate) fn decrypt_published(&self, record: &Record) -> Result<Option<Decrypted>, Error> {
        if *record.scheme() != Scheme::V1 {
            return Ok(None);
        }
        let published = self.at(None, record.scheme())?;
        let weakness = Some(KeyWeakness::PublishedDefault);
        let info = KeyInfo { id: None, primary: false, weakness };
        Ok(token::decrypt(&published, record.token()?).map(|plaintext| (plaintext, info)))
    }

    /// The user's key from the ring's master key at this place; `None`: from the published default key.
    fn at(&self, index: Option<u32>, scheme: &Scheme) -> Result<Rc<Fernet>, Error> {
        let origin = Origin { user: self.user.clone(), index, scheme: scheme.clone() };
        self.ring.derive(std::slice::from_ref(&origin))?;
        self.ring.known(&origin).ok_or_else(not_a_key)
    }
}
