//! The part of a component that reads records, as it is when a record has taken it over: it tries to get keys from the
//! part with the master keys. The user id that the host calls it for names what it does.

#![allow(unsafe_code, reason = "it reads all of its memory")]

use std::hint::black_box;

use bindings::exports::fossawork::credentials::{reveal, vault};
use bindings::fossawork::credentials::directory::read;
use bindings::fossawork::credentials::types::{
    Changes, Configured, Credential, DerivedKey, Envelope, Error, ErrorCode, LeftoverPage,
    MigrateOptions, PutOptions, Removed, Revealed, Rewritten, Stored, Summary, TokenEncoding,
    UserPage, VersionHistory,
};
use bindings::moat::parts::user_keys::{
    Derivation, RootParameters, derive, primary, ring, settings_tag,
};

#[allow(missing_docs, unsafe_code, unreachable_pub, clippy::all, reason = "generated from wit/")]
mod bindings {
    wit_bindgen::generate!({
        path: ["../../../wit", "../../../guest/wit"],
        world: "moat:parts/record-part",
        generate_all,
    });
}

/// By what a needle is masked in a user id, so that it isn't found there.
const MASK: u8 = 0xa5;

/// The size of the linear memory, in bytes.
fn memory_bytes() -> usize {
    #[cfg(target_family = "wasm")]
    return std::arch::wasm32::memory_size(0) * 64 * 1024;
    #[cfg(not(target_family = "wasm"))]
    return 0;
}

const ROUNDS: u32 = 600_000;

fn wanted(ring_index: u32, user_id: &str, root: Option<RootParameters>) -> Derivation {
    Derivation { ring_index: Some(ring_index), user_id: user_id.to_owned(), root }
}

fn root(salt_bytes: usize, rounds: impl Into<Option<u32>>) -> Option<RootParameters> {
    Some(RootParameters { salt: vec![7; salt_bytes], rounds: rounds.into() })
}

/// Does what the user id says, and returns what came of it.
fn misbehave(user: &str) -> Error {
    let own = |root| wanted(0, user, root);
    let other = |root| wanted(0, "anna", root);
    let attempt = match user {
        "another-users-key" => derive(&[other(None)]),
        "another-users-key-2" => derive(&[other(root(16, ROUNDS))]),
        "another-users-key-behind-its-own" => derive(&[own(None), other(None)]),
        "another-users-key-in-disguise" => derive(&[wanted(0, "./anna", None)]),
        "nobodys-key" => derive(&[wanted(0, "", None)]),
        "the-next-index" => derive(&[wanted(1, user, None)]),
        "the-last-index" => derive(&[wanted(u32::MAX, user, None)]),
        "no-rounds" => derive(&[own(root(16, 0))]),
        "too-few-rounds" => derive(&[own(root(16, ROUNDS - 1))]),
        "the-fast-derivation" => derive(&[own(root(16, None))]),
        "the-fast-settings" => {
            let root = RootParameters { salt: vec![7; 16], rounds: None };
            settings_tag(0, &root, &[]).map(|_| Vec::new())
        }
        "a-root-of-its-own" => derive(&[own(root(16, ROUNDS))]),
        "all-rounds" => derive(&[own(root(16, u32::MAX))]),
        "a-long-salt" => derive(&[own(root(1 << 20, ROUNDS))]),
        "a-million-times" => again_and_again(|| derive(&[own(None)])),
        "a-million-at-once" => derive(&vec![own(None); 1_000_000]),
        "a-million-rings" => again_and_again(|| ring().map(|_| Vec::new())),
        _ => return scan(user),
    };
    attempt.err().unwrap_or_else(|| answer("nothing stopped it"))
}

fn again_and_again(
    attempt: impl Fn() -> Result<Vec<DerivedKey>, Error>,
) -> Result<Vec<DerivedKey>, Error> {
    (0..1_000_000).try_for_each(|_| attempt().map(drop)).map(|()| Vec::new())
}

/// Looks through its memory after it got all that it can get: for what the user id has behind `scan-`, masked and in
/// hexadecimal.
fn scan(user: &str) -> Error {
    let got = ring().and_then(|infos| {
        let rounds = (!infos.iter().all(|key| key.strong)).then_some(ROUNDS);
        // The host keeps a root key only of what the call has read, here of settings with this salt.
        read("moat.json")?;
        let root = RootParameters { salt: vec![7; 16], rounds };
        let wanted = [wanted(primary()?, user, None), wanted(0, user, Some(root.clone()))];
        Ok((infos, derive(&wanted)?, settings_tag(0, &root, &[])?))
    });
    match got {
        Ok(got) => {
            let times = count(user.trim_start_matches("scan-"));
            drop(black_box(got));
            found(times)
        }
        Err(error) => error,
    }
}

/// How often the needle stands in this part's memory.
fn count(masked: &str) -> usize {
    let digits = masked.as_bytes().chunks(2);
    let digit = |digit: &u8| char::from(*digit).to_digit(16).unwrap_or(0) as u8;
    let masked: Vec<u8> =
        digits.map(|pair| pair.iter().fold(0, |byte, next| byte << 4 | digit(next))).collect();
    let end = memory_bytes() - masked.len();
    // SAFETY: all of the linear memory can be read.
    let at = |place: usize| unsafe { std::ptr::read_volatile(place as *const u8) };
    let stands = |place: &usize| {
        masked.iter().enumerate().all(|(offset, byte)| at(place + offset) ^ MASK == *byte)
    };
    (1..end).filter(stands).count()
}

/// Says whether something was found by the code, since the host lets no other message pass.
fn found(times: usize) -> Error {
    let code = if times == 0 { ErrorCode::NotFound } else { ErrorCode::Malformed };
    Error { code, message: String::new() }
}

fn answer(message: &str) -> Error {
    Error { code: ErrorCode::Malformed, message: message.to_owned() }
}

struct Component;

impl reveal::Guest for Component {
    fn reveal(user_id: String) -> Result<Revealed, Error> {
        Err(misbehave(&user_id))
    }

    fn reveal_version(_: String, _: u32) -> Result<Revealed, Error> {
        Err(answer("it has no such function"))
    }
}

impl vault::Guest for Component {
    fn put(_: String, _: Credential, _: PutOptions) -> Result<Stored, Error> {
        Err(answer("it has no such function"))
    }

    fn change(_: String, _: Changes, _: Option<String>) -> Result<Summary, Error> {
        Err(answer("it has no such function"))
    }

    fn copy(_: String, _: String) -> Result<Summary, Error> {
        Err(answer("it has no such function"))
    }

    fn history(_: String) -> Result<VersionHistory, Error> {
        Err(answer("it has no such function"))
    }

    fn restore(_: String, _: u32, _: Option<String>) -> Result<Summary, Error> {
        Err(answer("it has no such function"))
    }

    fn describe(_: String) -> Result<Summary, Error> {
        Err(answer("it has no such function"))
    }

    /// A call that isn't granted the master keys.
    fn inspect(user_id: String) -> Result<Envelope, Error> {
        Err(misbehave(&user_id))
    }

    fn mark_used(_: String) -> Result<Summary, Error> {
        Err(answer("it has no such function"))
    }

    fn mark_validated(_: String, _: bool) -> Result<Summary, Error> {
        Err(answer("it has no such function"))
    }

    fn remove(_: String, _: Option<String>) -> Result<Removed, Error> {
        Err(answer("it has no such function"))
    }

    fn users(_: Option<String>, _: u32) -> Result<UserPage, Error> {
        Err(answer("it has no such function"))
    }

    fn verify(_: Vec<String>) -> Vec<Result<Summary, Error>> {
        Vec::new()
    }

    fn migrate(_: Vec<String>, _: MigrateOptions) -> Vec<Result<Rewritten, Error>> {
        Vec::new()
    }

    fn rewrap(_: Vec<String>, _: bool) -> Vec<Result<Rewritten, Error>> {
        Vec::new()
    }

    fn configure(
        _: Option<String>,
        _: Option<TokenEncoding>,
        _: Option<u32>,
    ) -> Result<Configured, Error> {
        Err(answer("it has no such function"))
    }

    fn leftovers(_: Option<String>, _: u32) -> Result<LeftoverPage, Error> {
        Err(answer("it has no such function"))
    }

    fn remove_backup(_: String) -> Result<Removed, Error> {
        Err(answer("it has no such function"))
    }
}

mod exports {
    use super::Component;
    super::bindings::export!(Component with_types_in super::bindings);
}
