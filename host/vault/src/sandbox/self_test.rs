//! A known-answer test of the component: whether it encrypts and decrypts as the format says, before it gets near a file.
//! It runs in the sandbox over a backend in which everything is known, the clock and the random bytes too. The key comes
//! from the key cache, so that it need not be derived; whether derivation is right shows when an existing record is
//! decrypted.

use std::slice;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::backend::Backend;
use super::given::Given;
use super::write_policy::{self, Expected};
use super::{Call, Function, Grant, Limits, Sandbox};
use crate::contract::{self, Credential, DerivedKey, ErrorCode, Field, MasterKey, PutOptions};
use crate::directory::Change;
use crate::error::Error;
use crate::keys::Slot;
use crate::operation::Operation;
use crate::request::Request;
use moat_format::user_id::UserId;

const USER: &str = "self-test";
const KEY: [u8; 32] = *b"a known key: not a secret at all";
const RANDOM: u8 = 0x5a;
/// 2025-01-14T10:00:00Z.
const NOW: Duration = Duration::from_secs(1_736_848_800);

/// The record that has to come out, made with Python's `cryptography`.
const KNOWN: &[u8] = include_bytes!("self-test.cred");

/// Encrypts what is known and compares the record, then decrypts that and compares the credential.
pub(super) fn run(sandbox: &Sandbox) -> Result<(), Error> {
    let failed = || Error::new(ErrorCode::Sandbox, "the component failed its self-test");
    let user = UserId::parse(USER).map_err(|_| failed())?;
    let file = Arc::new(KnownAnswerHost::default());
    let call = |operation| {
        let grant = Grant::new(&Request::new(operation, slice::from_ref(&user)));
        Call::new(grant, Limits::default(), Arc::clone(&file) as Arc<dyn Backend>)
    };
    let known = Credential::new("known", "correct horse").with_field(Field::new("site", "é"));

    let options = PutOptions::default().create_only();
    enter(sandbox, call(Operation::Put), |component, store| {
        component.vault(store)?.call_put(store, USER, &known, &options)
    })?;
    if file.contents().as_deref() != Some(KNOWN) {
        return Err(failed());
    }
    let opened = enter(sandbox, call(Operation::Reveal), |component, store| {
        component.reveal(store)?.call_reveal(store, USER)
    })?;
    let opened = &opened.credential;
    let same = opened.username() == known.username()
        && opened.expose_password() == known.expose_password()
        && opened.fields().iter().map(Field::expose_value).eq(["é"]);
    if same { Ok(()) } else { Err(failed()) }
}

/// Tries to store a credential without a key and under one that is too short to protect it, and to write one in
/// the clear past the component.
///
/// Fails with [`ErrorCode::Sandbox`] when any of it is not refused.
pub(super) fn try_to_store_in_the_clear(sandbox: &Sandbox) -> Result<(), Error> {
    let stored =
        |how: &str| Error::new(ErrorCode::Sandbox, format!("a credential could be stored {how}"));
    let user = UserId::parse(USER).map_err(|_| stored("without a name"))?;
    let known = Credential::new("known", "correct horse");
    let options = PutOptions::default().create_only();
    for (key, refusal, how) in [
        (None, ErrorCode::MasterKeyMissing, "without a key"),
        (Some(&b"short"[..]), ErrorCode::MasterKeyRefused, "with a short key"),
    ] {
        let file = Arc::new(KnownAnswerHost { key, ..KnownAnswerHost::default() });
        let grant = Grant::new(&Request::new(Operation::Put, slice::from_ref(&user)));
        let call = Call::new(grant, Limits::default(), Arc::clone(&file) as Arc<dyn Backend>);
        let outcome = enter(sandbox, call, |component, store| {
            component.vault(store)?.call_put(store, USER, &known, &options)
        });
        match (outcome, file.contents()) {
            (Err(error), None) if error.code() == refusal => {}
            // It couldn't be tried.
            (Err(error), None)
                if matches!(error.code(), ErrorCode::Sandbox | ErrorCode::Unavailable) =>
            {
                return Err(error);
            }
            _ => return Err(stored(how)),
        }
    }
    let plain = br#"{"user_id":"self-test","username":"known","password":"correct horse"}"#;
    let expected = Expected { user: &user, old: None, settings: None, created_at: None };
    if write_policy::check(plain, &expected, &mut Given::default()).is_ok() {
        return Err(stored("unencrypted"));
    }
    Ok(())
}

/// Calls the component.
fn enter<T>(
    sandbox: &Sandbox,
    call: Call,
    function: impl Function<Result<T, contract::Error>>,
) -> Result<T, Error> {
    let (outcome, mut call) = sandbox.enter(call, function)?;
    outcome?.map_err(|error| call.explain(error))
}

/// One file in memory, under a revision that never changes.
struct KnownAnswerHost {
    file: Mutex<Option<Vec<u8>>>,
    key: Option<&'static [u8]>,
}

impl Default for KnownAnswerHost {
    fn default() -> Self {
        Self { file: Mutex::default(), key: Some(&KEY) }
    }
}

impl KnownAnswerHost {
    fn contents(&self) -> Option<Vec<u8>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Backend for KnownAnswerHost {
    fn read(&self, _name: &str) -> Result<Option<(Vec<u8>, String)>, Error> {
        Ok(self.contents().map(|contents| (contents, String::new())))
    }

    fn write(
        &self,
        _name: &str,
        contents: &[u8],
        _replaces: Option<&str>,
    ) -> Result<String, Error> {
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = Some(contents.to_vec());
        Ok(String::new())
    }

    fn write_all(&self, _changes: &[Change]) -> Result<Vec<Result<(), Error>>, Error> {
        Ok(Vec::new())
    }

    fn remove(&self, _name: &str, _expected: Option<&str>) -> Result<bool, Error> {
        Ok(false)
    }

    fn names(&self, _: Option<&str>, _: u32) -> Result<(Vec<String>, Option<String>), Error> {
        Ok((Vec::new(), None))
    }

    fn ring(&self) -> Result<Vec<MasterKey>, Error> {
        let keys = self.key.iter().map(|key| contract::MasterKey {
            id: None,
            primary: true,
            material: key.to_vec(),
        });
        Ok(keys.collect())
    }

    fn lookup(&self, _slot: &Slot) -> Option<DerivedKey> {
        Some(DerivedKey { material: KEY.to_vec() })
    }

    fn remember(&self, _slot: Slot, _key: &DerivedKey) {}

    fn now(&self) -> Duration {
        NOW
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), Error> {
        bytes.fill(RANDOM);
        Ok(())
    }
}
