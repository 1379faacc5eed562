//! The part of a component with the master keys, as a hostile one: it asks the host for more than it may, hands out what it
//! must not, and looks for a master key in its memory. The user id names what it does.

#![allow(unsafe_code, reason = "it reads all of its memory")]

use std::cell::Cell;

use bindings::exports::moat::parts::user_keys::{Derivation, Guest, RingKey, RootParameters};
use bindings::fossawork::credentials::key_cache::{Slot, lookup, remember};
use bindings::fossawork::credentials::master_keys;
use bindings::fossawork::credentials::types::{DerivedKey, Error, ErrorCode, KeyInfo};

#[allow(missing_docs, unsafe_code, unreachable_pub, clippy::all, reason = "generated from wit/")]
mod bindings {
    wit_bindgen::generate!({
        path: ["../../../wit", "../../../guest/wit"],
        world: "moat:parts/key-part",
        generate_all,
    });
}

/// The size of the linear memory, in bytes.
fn memory_bytes() -> usize {
    #[cfg(target_family = "wasm")]
    return std::arch::wasm32::memory_size(0) * 64 * 1024;
    #[cfg(not(target_family = "wasm"))]
    return 0;
}

struct Component;

impl Guest for Component {
    fn ring() -> Result<Vec<RingKey>, Error> {
        let info = KeyInfo { id: None, primary: true, weakness: None };
        Ok(vec![RingKey { info, strong: false }])
    }

    fn primary() -> Result<u32, Error> {
        Ok(0)
    }

    fn derive(wanted: Vec<Derivation>) -> Result<Vec<DerivedKey>, Error> {
        let user = wanted.into_iter().next().map(|derivation| derivation.user_id);
        Err(misbehave(&user.unwrap_or_default()))
    }

    fn settings_tag(_: u32, _: RootParameters, _: Vec<u8>) -> Result<Vec<u8>, Error> {
        Err(answer("it has no such function"))
    }
}

/// Does what the user id says, and returns what came of it.
fn misbehave(user: &str) -> Error {
    let slot = |user_id: &str| Slot {
        ring_index: 0,
        version: "1.0".to_owned(),
        user_id: Some(user_id.to_owned()),
        parameters: String::new(),
    };
    let key = |bytes: usize| DerivedKey { material: vec![7; bytes] };
    match user {
        "look-up-another-user" => drop(lookup(&slot("anna"))),
        "remember-for-another-user" => remember(&slot("anna"), &key(32)),
        "remember-a-mebibyte" => remember(&slot(user), &key(1 << 20)),
        "trap" => std::process::abort(),
        "never-return" => {
            let forever = Cell::new(true);
            while forever.get() {
                std::hint::spin_loop();
            }
        }
        "find-the-key" => return find_key(),
        _ => {}
    }
    answer("nothing stopped it")
}

/// Looks for the first master key in this part's memory.
fn find_key() -> Error {
    let keys = match master_keys::ring() {
        Ok(ring) => ring.keys,
        Err(error) => return error,
    };
    let key = keys.first().map(|key| key.material.as_slice()).unwrap_or_default();
    let end = memory_bytes() - key.len();
    // SAFETY: all of the linear memory can be read.
    let at = |place: usize| unsafe { std::ptr::read_volatile(place as *const u8) };
    let stands =
        |place: &usize| key.iter().enumerate().all(|(offset, byte)| at(place + offset) == *byte);
    found((1..end).filter(stands).count())
}

/// Says whether something was found by the code, since the host lets no other message pass.
fn found(times: usize) -> Error {
    let code = if times == 0 { ErrorCode::NotFound } else { ErrorCode::Malformed };
    Error { code, message: String::new() }
}

fn answer(message: &str) -> Error {
    Error { code: ErrorCode::Malformed, message: message.to_owned() }
}

mod exports {
    use super::Component;
    super::bindings::export!(Component with_types_in super::bindings);
}
