//! The key ring of a call, and what is derived from it.

use std::cell::{OnceCell, RefCell};

use moat_format::kdf::Kdf;
use moat_format::key_strength::{PUBLISHED_DEFAULT, Weakness, weakness};
use moat_format::message::Message;
use moat_format::record::MAX_LABEL_BYTES;
use moat_format::strong_key::is_strong;
use moat_format::user_id::UserId;
use moat_format::version::Version;
use zeroize::Zeroizing;

use crate::contract::{
    Derivation, Error, ErrorCode, KeyInfo, KeyWeakness, MasterKey, RingKey, RootParameters, Slot,
};
use crate::host::Host;
use crate::kdf::{
    DerivedKey, RootDerivation, RootKey, root_derivation, user_key_1, user_key_derivation,
};
use crate::pbkdf2::{self, derive_all};

/// The keys that a call was granted.
pub struct Ring<'h> {
    host: &'h dyn Host,
    keys: OnceCell<Vec<Key>>,
    /// The root keys of version 2.0 that were needed so far, by the place of their master key.
    roots: RefCell<Vec<(u32, Kdf, RootKey)>>,
}

/// A master key of the ring.
struct Key {
    key: MasterKey,
    is_strong: bool,
}

impl<'h> Ring<'h> {
    /// The ring that the host provides. It is asked for when it is first needed.
    pub const fn new(host: &'h dyn Host) -> Self {
        Self { host, keys: OnceCell::new(), roots: RefCell::new(Vec::new()) }
    }

    fn keys(&self) -> Result<&[Key], Error> {
        if let Some(keys) = self.keys.get() {
            return Ok(keys);
        }
        let keys = self.host.ring()?;
        if keys.iter().all(|key| key.material.is_empty()) {
            return Err(refusal(ErrorCode::MasterKeyMissing, Message::NoMasterKey));
        }
        let examine = |key: MasterKey| match is_strong(&key.material) {
            Ok(is_strong) => Ok(Key { key, is_strong }),
            Err(_) => Err(refusal(ErrorCode::MasterKeyRefused, Message::MistypedMasterKey)),
        };
        let keys = keys.into_iter().map(examine).collect::<Result<_, _>>()?;
        Ok(self.keys.get_or_init(|| keys))
    }

    /// The keys without their material.
    ///
    /// # Errors
    ///
    /// `master-key-missing` when there is none, `master-key-refused` when one was mistyped.
    pub fn infos(&self) -> Result<Vec<RingKey>, Error> {
        Ok(self.keys()?.iter().map(info).collect())
    }

    /// The place of the key that encrypts.
    ///
    /// # Errors
    ///
    /// `master-key-refused` when there isn't exactly one, or when it must not: it is weak, or its label wouldn't fit into
    /// every record. `master-key-missing` when there is no key at all.
    pub fn primary(&self) -> Result<u32, Error> {
        let refuse = |message| Err(refusal(ErrorCode::MasterKeyRefused, message));
        let keys = self.keys()?.iter().map(|key| &key.key);
        let mut primaries = (0..).zip(keys).filter(|(_, key)| key.primary);
        let (Some((index, key)), None) = (primaries.next(), primaries.next()) else {
            return refuse(Message::NotOnePrimary);
        };
        let fits = |id: &String| id.len() <= MAX_LABEL_BYTES && !id.contains(char::is_control);
        if !key.id.as_ref().is_none_or(fits) {
            return refuse(Message::LongLabel);
        }
        match weakness(&key.material) {
            None => Ok(index),
            Some(Weakness::TooShort) => refuse(Message::ShortMasterKey),
            Some(Weakness::PublishedDefault) => refuse(Message::PublishedMasterKey),
        }
    }

    /// Derives keys, in the order asked.
    ///
    /// # Errors
    ///
    /// `master-key-missing` when the ring has no key at a place; `invalid-user-id` for what is no user id; `malformed` for
    /// parameters out of bounds; `master-key-refused` when the derivation isn't the one for this kind of key.
    pub fn derive(&self, wanted: &[Derivation]) -> Result<Vec<DerivedKey>, Error> {
        let mut slow = Vec::new();
        let plans: Vec<_> =
            wanted.iter().map(|one| self.plan(one, &mut slow)).collect::<Result<_, _>>()?;
        let derived = self.derive_slowly(slow);

        let at = |place: usize| derived.get(place).ok_or_else(not_a_key);
        let finish = |plan| match plan {
            Plan::Known(key) => Ok(key),
            Plan::Slow(place) => at(place).cloned(),
            Plan::FromRoot(place, user) => user_key(&RootKey(at(place)?.clone()), &user),
        };
        plans.into_iter().map(finish).collect()
    }

    /// The authentication code of a directory's settings, under the root key of the master key at this place.
    ///
    /// # Errors
    ///
    /// As [`Self::derive`].
    pub fn settings_tag(
        &self,
        index: u32,
        root: &RootParameters,
        settings: &[u8],
    ) -> Result<[u8; 32], Error> {
        let mut slow = Vec::new();
        let root = match self.root(index, &checked(root)?, &mut slow)? {
            Root::Known(root) => root,
            Root::Slow(place) => {
                let derived = self.derive_slowly(slow);
                RootKey(derived.get(place).ok_or_else(not_a_key)?.clone())
            }
        };
        root.settings_tag(settings).map_err(|_| not_a_key())
    }

    /// Does what takes long, all of it at once, and offers the host to keep it.
    fn derive_slowly(&self, slow: Vec<Slow<'_>>) -> Vec<DerivedKey> {
        let (names, derivations): (Vec<_>, Vec<_>) =
            slow.into_iter().map(|slow| ((slow.slot, slow.root), slow.derivation)).unzip();
        let derived = derive_all(&derivations);
        for ((slot, root), key) in names.into_iter().zip(&derived) {
            self.host.remember(&slot, &**key);
            if let Some(kdf) = root {
                self.roots.borrow_mut().push((slot.ring_index, kdf, RootKey(key.clone())));
            }
        }
        derived
    }

    /// Finds out how to come by a key, and notes what has to be derived slowly for it.
    fn plan<'r>(&'r self, wanted: &Derivation, slow: &mut Vec<Slow<'r>>) -> Result<Plan, Error> {
        let user = UserId::parse(&wanted.user_id).map_err(|error| Error {
            code: ErrorCode::InvalidUserId,
            message: error.to_string(),
        })?;
        let Some(index) = wanted.ring_index else {
            // Anyone can derive it, so that it is no matter of grants. No application wrote version 2.0 with it.
            return Ok(Plan::Known(user_key_1(PUBLISHED_DEFAULT, &user)));
        };
        let kdf = wanted.root.as_ref().map(checked).transpose()?;
        let master_key = &self.at(index)?.key.material;

        let slot = Slot { user_id: Some(user.to_string()), ..slot(index, kdf.as_ref()) };
        // Names the user to the host, which aborts the component if the call isn't for them.
        if let Some(kept) = self.host.lookup(&slot) {
            return Ok(Plan::Known(derived_key(kept)?));
        }
        let Some(kdf) = kdf else {
            let derivation = user_key_derivation(master_key, &user);
            slow.push(Slow { slot, root: None, derivation });
            return Ok(Plan::Slow(slow.len() - 1));
        };
        match self.root(index, &kdf, slow)? {
            Root::Known(root) => Ok(Plan::Known(user_key(&root, &user)?)),
            Root::Slow(place) => Ok(Plan::FromRoot(place, user)),
        }
    }

    /// The key at this place.
    fn at(&self, index: u32) -> Result<&Key, Error> {
        let place = usize::try_from(index).unwrap_or(usize::MAX);
        let missing = || refusal(ErrorCode::MasterKeyMissing, Message::NoKeyAtThisPlace);
        self.keys()?.get(place).ok_or_else(missing)
    }

    /// A root key of version 2.0, or a note to derive it slowly.
    fn root<'r>(&'r self, index: u32, kdf: &Kdf, slow: &mut Vec<Slow<'r>>) -> Result<Root, Error> {
        let &Key { ref key, is_strong } = self.at(index)?;
        // Nobody talks a key that may be guessed into a fast derivation.
        if is_strong != kdf.rounds.is_none() {
            return Err(refusal(ErrorCode::MasterKeyRefused, Message::OtherKindOfKey));
        }
        let is_it = |slow: &Slow| slow.slot.ring_index == index && slow.root.as_ref() == Some(kdf);
        if let Some(place) = slow.iter().position(is_it) {
            return Ok(Root::Slow(place));
        }
        let known = |(place, other, _): &&(u32, Kdf, _)| *place == index && other == kdf;
        if let Some((_, _, root)) = self.roots.borrow().iter().find(known) {
            return Ok(Root::Known(root.clone()));
        }
        let root = match root_derivation(&key.material, kdf) {
            RootDerivation::Fast(root) => root,
            RootDerivation::Slow(derivation) => {
                let slot = slot(index, Some(kdf));
                let Some(kept) = self.host.lookup(&slot) else {
                    slow.push(Slow { slot, root: Some(kdf.clone()), derivation });
                    return Ok(Root::Slow(slow.len() - 1));
                };
                RootKey(derived_key(kept)?)
            }
        };
        self.roots.borrow_mut().push((index, kdf.clone(), root.clone()));
        Ok(Root::Known(root))
    }
}

/// How to come by a key.
enum Plan {
    Known(DerivedKey),
    /// It is the slow derivation at this place.
    Slow(usize),
    /// It comes from the root key that is the slow derivation at this place.
    FromRoot(usize, UserId),
}

/// A root key, or which slow derivation it is.
enum Root {
    Known(RootKey),
    Slow(usize),
}

/// A derivation that takes long, of which several are done at once.
struct Slow<'r> {
    /// Where the host is to keep it.
    slot: Slot,
    /// The parameters of a root key; `None`: it is a user's key.
    root: Option<Kdf>,
    derivation: pbkdf2::Derivation<'r>,
}

/// The place of a key that all users share: in version 2.0, if it has parameters.
fn slot(ring_index: u32, kdf: Option<&Kdf>) -> Slot {
    let version = if kdf.is_some() { Version::V2 } else { Version::V1 };
    let parameters = kdf.map(Kdf::id).unwrap_or_default();
    Slot { ring_index, version: version.name().to_owned(), user_id: None, parameters }
}

fn checked(root: &RootParameters) -> Result<Kdf, Error> {
    Kdf::checked(&root.salt, root.rounds)
        .map_err(|error| Error { code: ErrorCode::Malformed, message: error.to_string() })
}

fn user_key(root: &RootKey, user: &UserId) -> Result<DerivedKey, Error> {
    root.user_key(user).map_err(|_| not_a_key())
}

fn derived_key(kept: Vec<u8>) -> Result<DerivedKey, Error> {
    let key = Zeroizing::new(kept).as_slice().try_into().map_err(|_| not_a_key())?;
    Ok(Zeroizing::new(key))
}

fn not_a_key() -> Error {
    refusal(ErrorCode::MasterKeyRefused, Message::NotAKey)
}

fn refusal(code: ErrorCode, message: Message) -> Error {
    Error { code, message: message.to_string() }
}

fn info(Key { key, is_strong }: &Key) -> RingKey {
    let weakness = weakness(&key.material).map(|weakness| match weakness {
        Weakness::TooShort => KeyWeakness::TooShort,
        Weakness::PublishedDefault => KeyWeakness::PublishedDefault,
    });
    let info = KeyInfo { id: key.id.clone(), primary: key.primary, weakness };
    RingKey { info, strong: *is_strong }
}
