//! Connects the imports and the export of this part with the modules that implement them. No logic.

use crate::bindings::exports::moat::parts::user_keys;
use crate::bindings::fossawork::credentials::{key_cache, master_keys};
use crate::contract::{Derivation, DerivedKey, Error, MasterKey, RingKey, RootParameters, Slot};
use crate::{Host, Ring};

/// What the host provides to this instance.
struct Imports;

impl Host for Imports {
    fn ring(&self) -> Result<Vec<MasterKey>, Error> {
        Ok(master_keys::ring()?.keys)
    }

    fn lookup(&self, slot: &Slot) -> Option<Vec<u8>> {
        Some(key_cache::lookup(slot)?.material)
    }

    fn remember(&self, slot: &Slot, key: &[u8]) {
        let material = key.to_vec();
        key_cache::remember(slot, &DerivedKey { material });
    }
}

thread_local! {
    /// An instance is for one call, all of which has one ring.
    static RING: Ring<'static> = const { Ring::new(&Imports) };
}

struct Component;

impl user_keys::Guest for Component {
    fn ring() -> Result<Vec<RingKey>, Error> {
        RING.with(Ring::infos)
    }

    fn primary() -> Result<u32, Error> {
        RING.with(Ring::primary)
    }

    fn derive(wanted: Vec<Derivation>) -> Result<Vec<DerivedKey>, Error> {
        let keys = RING.with(|ring| ring.derive(&wanted))?;
        Ok(keys.iter().map(|key| DerivedKey { material: key.to_vec() }).collect())
    }

    fn settings_tag(
        ring_index: u32,
        root: RootParameters,
        settings: Vec<u8>,
    ) -> Result<Vec<u8>, Error> {
        RING.with(|ring| Ok(ring.settings_tag(ring_index, &root, &settings)?.to_vec()))
    }
}

#[allow(unsafe_code, reason = "generated from wit/")]
mod exports {
    use super::Component;
    crate::bindings::export!(Component with_types_in crate::bindings);
}
