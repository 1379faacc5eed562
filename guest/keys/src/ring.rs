//! The key ring of a call, and what is derived from it.

use std::cell::{OnceCell, RefCell};

use moat_format::kdf::Kdf;
use moat_format::key_strength::{PUBLISHED_DEFAULT, Weakness, weakness};
use moat_format::record::MAX_LABEL_BYTES;
use moat_format::user_id::UserId;
use moat_format::version::Version;
use zeroize::Zeroizing;

use crate::contract::{Derivation, Error, ErrorCode, KeyInfo, KeyWeakness, MasterKey, Slot};
use crate::host::Host;
use crate::kdf::{DerivedKey, root_derivation, user_key_1, user_key_2, user_key_derivation};
use crate::pbkdf2::{self, derive_all};

/// The keys that a call was granted.
pub struct Ring<'h> {
    host: &'h dyn Host,
    keys: OnceCell<Vec<MasterKey>>,
    /// The root keys of version 2.0 that were needed so far, by the place of their master key.
    roots: RefCell<Vec<(u32, Kdf, DerivedKey)>>,
}

impl<'h> Ring<'h> {
    /// The ring that the host provides. It is asked for when it is first needed.
    pub const fn new(host: &'h dyn Host) -> Self {
        Self { host, keys: OnceCell::new(), roots: RefCell::new(Vec::new()) }
    }

    fn keys(&self) -> Result<&[MasterKey], Error> {
        if let Some(keys) = self.keys.get() {
            return Ok(keys);
        }
        let keys = self.host.ring()?;
        if keys.iter().all(|key| key.material.is_empty()) {
            return Err(refusal(ErrorCode::MasterKeyMissing, "there is no master key"));
        }
        Ok(self.keys.get_or_init(|| keys))
    }

    /// The keys without their material.
    ///
    /// # Errors
    ///
    /// `master-key-missing` when there is none.
    pub fn infos(&self) -> Result<Vec<KeyInfo>, Error> {
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
        let mut primaries = (0..).zip(self.keys()?).filter(|(_, key)| key.primary);
        let (Some((index, key)), None) = (primaries.next(), primaries.next()) else {
            return refuse("the key ring doesn't have exactly one primary key");
        };
        let fits = |id: &String| id.len() <= MAX_LABEL_BYTES && !id.contains(char::is_control);
        if !key.id.as_ref().is_none_or(fits) {
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

    /// Derives keys, in the order asked.
    ///
    /// # Errors
    ///
    /// `master-key-missing` when the ring has no key at a place; `invalid-user-id` for what is no user id; `malformed` for
    /// parameters out of bounds.
    pub fn derive(&self, wanted: &[Derivation]) -> Result<Vec<DerivedKey>, Error> {
        let mut slow = Vec::new();
        let plans: Vec<_> =
            wanted.iter().map(|one| self.plan(one, &mut slow)).collect::<Result<_, _>>()?;

        let derivations: Vec<_> = slow.iter().map(|slow| slow.derivation).collect();
        let derived = derive_all(&derivations);
        for (slow, key) in slow.iter().zip(&derived) {
            self.host.remember(&slow.slot, &**key);
            if let Some(kdf) = &slow.root {
                self.roots.borrow_mut().push((slow.slot.ring_index, kdf.clone(), key.clone()));
            }
        }

        let at = |place: usize| derived.get(place).ok_or_else(not_a_key);
        let finish = |plan| match plan {
            Plan::Known(key) => Ok(key),
            Plan::Slow(place) => at(place).cloned(),
            Plan::FromRoot(place, user) => user_key_2(at(place)?, &user).map_err(|_| not_a_key()),
        };
        plans.into_iter().map(finish).collect()
    }

    /// Finds out how to come by a key, and notes what has to be derived slowly for it.
    fn plan<'r>(&'r self, wanted: &Derivation, slow: &mut Vec<Slow<'r>>) -> Result<Plan, Error> {
        let user = UserId::parse(&wanted.user_id)
            .map_err(|error| refusal(ErrorCode::InvalidUserId, error.to_string()))?;
        let Some(index) = wanted.ring_index else {
            // Anyone can derive it, so that it is no matter of grants. No application wrote version 2.0 with it.
            return Ok(Plan::Known(user_key_1(PUBLISHED_DEFAULT, &user)));
        };
        let kdf = match &wanted.root {
            None => None,
            Some(root) => Some(
                Kdf::checked(&root.salt, root.rounds)
                    .map_err(|error| refusal(ErrorCode::Malformed, error.to_string()))?,
            ),
        };
        let master_key = &self.at(index)?.material;

        let version = if kdf.is_some() { Version::V2 } else { Version::V1 };
        let parameters = kdf.as_ref().map(Kdf::id).unwrap_or_default();
        let slot = Slot {
            ring_index: index,
            version: version.name().to_owned(),
            user_id: Some(user.to_string()),
            parameters,
        };
        // Names the user to the host, which aborts the component if the call isn't for them.
        if let Some(kept) = self.host.lookup(&slot) {
            return Ok(Plan::Known(derived_key(kept)?));
        }
        let Some(kdf) = kdf else {
            let derivation = user_key_derivation(master_key, &user);
            slow.push(Slow { slot, root: None, derivation });
            return Ok(Plan::Slow(slow.len() - 1));
        };
        let is_it = |slow: &Slow| slow.slot.ring_index == index && slow.root.as_ref() == Some(&kdf);
        if let Some(place) = slow.iter().position(is_it) {
            return Ok(Plan::FromRoot(place, user));
        }
        let slot = Slot { user_id: None, ..slot };
        if let Some(root) = self.known_root(&slot, &kdf)? {
            return Ok(Plan::Known(user_key_2(&root, &user).map_err(|_| not_a_key())?));
        }
        let derivation = root_derivation(master_key, &kdf);
        slow.push(Slow { slot, root: Some(kdf), derivation });
        Ok(Plan::FromRoot(slow.len() - 1, user))
    }

    /// The master key at this place.
    fn at(&self, index: u32) -> Result<&MasterKey, Error> {
        let place = usize::try_from(index).unwrap_or(usize::MAX);
        self.keys()?.get(place).ok_or_else(|| {
            refusal(ErrorCode::MasterKeyMissing, "the key ring has no key at this place")
        })
    }

    /// The root key of version 2.0 with this slot, if it was derived before.
    fn known_root(&self, slot: &Slot, kdf: &Kdf) -> Result<Option<DerivedKey>, Error> {
        let index = slot.ring_index;
        let known = |(place, other, _): &&(u32, Kdf, _)| *place == index && other == kdf;
        if let Some((_, _, root)) = self.roots.borrow().iter().find(known) {
            return Ok(Some(root.clone()));
        }
        let Some(kept) = self.host.lookup(slot) else {
            return Ok(None);
        };
        let root = derived_key(kept)?;
        self.roots.borrow_mut().push((index, kdf.clone(), root.clone()));
        Ok(Some(root))
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

/// A derivation that takes long, of which several are done at once.
struct Slow<'r> {
    /// Where the host is to keep it.
    slot: Slot,
    /// The parameters of a root key; `None`: it is a user's key.
    root: Option<Kdf>,
    derivation: pbkdf2::Derivation<'r>,
}

fn derived_key(kept: Vec<u8>) -> Result<DerivedKey, Error> {
    let key = Zeroizing::new(kept).as_slice().try_into().map_err(|_| not_a_key())?;
    Ok(Zeroizing::new(key))
}

fn not_a_key() -> Error {
    refusal(ErrorCode::MasterKeyRefused, "a derived key doesn't have 32 bytes")
}

fn refusal(code: ErrorCode, message: impl Into<String>) -> Error {
    Error { code, message: message.into() }
}

fn info(key: &MasterKey) -> KeyInfo {
    let weakness = weakness(&key.material).map(|weakness| match weakness {
        Weakness::TooShort => KeyWeakness::TooShort,
        Weakness::PublishedDefault => KeyWeakness::PublishedDefault,
    });
    KeyInfo { id: key.id.clone(), primary: key.primary, weakness }
}
