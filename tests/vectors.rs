//! The public vectors of Fernet and PBKDF2 inside the component, with an embedder's own host: its imports are
//! met by this test, which can hand in any derived key, and sees the one that the component derives.
//!
//! The component offers no bare Fernet or PBKDF2, so vectors of other rounds than the format's run natively
//! only (`guest/tests/vectors.rs`).

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::{Value, json};
use support::fixture;
use wasmtime::Store;

use support::plain_host::fossawork::credentials::types::PutOptions;
use support::plain_host::fossawork::credentials::types::{
    Credential, Error, ErrorCode, TokenEncoding,
};
use support::plain_host::{self, CredentialVault, CredentialVaultPre, Host};

/// An instance in the code for the baseline CPU; every other test runs that for the best one.
fn instance(host: Host) -> (CredentialVault, Store<Host>) {
    static BASELINE: LazyLock<CredentialVaultPre<Host>> = LazyLock::new(plain_host::baseline);
    plain_host::instance(&BASELINE, host)
}

/// Opens the record of this user around this token, and returns why it can't and what the host has seen.
fn open(user: &str, token: &str, host: Host) -> (Error, Host) {
    let record = json!({ "user_id": user, "encrypted_data": token, "encryption_version": "1.0" });
    let file = Some(record.to_string().into_bytes());
    let (vault, mut store) = instance(Host { file, ..host });
    let answer = vault.fossawork_credentials_vault().call_describe(&mut store, user).unwrap();
    (answer.unwrap_err(), store.into_data())
}

/// Opens the token of a Fernet vector under its key.
fn open_vector(case: &Value) -> Error {
    let secret = URL_SAFE.decode(case["secret"].as_str().unwrap()).unwrap();
    let master_key = b"sixteen bytes at least".to_vec();
    let host = Host { cached: Some(secret), master_key, ..Host::default() };
    open("u", case["token"].as_str().unwrap(), host).0
}

fn cases(name: &str) -> Vec<Value> {
    fixture(name).as_array().unwrap().clone()
}

/// What the component says of a token that it decrypted, since the vectors' plain text is no credential.
const OPENED: &str = "the decrypted text is not a JSON object";

#[test]
fn the_fernet_vectors_that_are_valid_open() {
    for case in [cases("fernet/verify.json"), cases("fernet/generate.json")].concat() {
        let error = open_vector(&case);
        assert_eq!((error.code, error.message.as_str()), (ErrorCode::Malformed, OPENED));
    }
}

#[test]
fn the_fernet_vectors_that_are_invalid_stay_shut() {
    for case in cases("fernet/invalid.json") {
        let what = case["desc"].as_str().unwrap();
        let error = open_vector(&case);
        // Two are wrong by the clock alone, which has no say here: a record has no time to live.
        let by_time = ["far-future TS (unacceptable clock skew)", "expired TTL"].contains(&what);
        assert_eq!(error.message == OPENED, by_time, "{what}: {}", error.message);
    }
}

#[test]
fn the_pbkdf2_vectors_of_the_formats_shape_are_derived() {
    let mut count = 0;
    for case in fixture("pbkdf2_hmac_sha256.json")["tests"].as_array().unwrap() {
        let Some(user) = case["user_id"].as_str() else { continue };
        let password = case["password_hex"].as_str().unwrap();
        let master_key: Vec<u8> = (0..password.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&password[at..at + 2], 16).unwrap())
            .collect();
        // It doesn't open this token, but derives the key to try.
        let token = cases("fernet/verify.json")[0]["token"].as_str().unwrap().to_owned();
        let (error, host) = open(user, &token, Host { master_key, ..Host::default() });
        assert_eq!(error.code, ErrorCode::WrongKeyOrTampered);
        let derived = host.remembered.unwrap();
        let hex: String = derived.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, case["dk_hex"].as_str().unwrap(), "{}", case["name"]);
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn the_iv_is_from_the_hosts_randomness_and_the_time_from_its_clock() {
    let iv: Vec<u8> = (100..116).collect();
    let (vault, mut store) = instance(Host {
        master_key: b"sixteen bytes at least".to_vec(),
        random: iv.clone(),
        seconds: 1_700_000_000,
        ..Host::default()
    });
    let credential = Credential {
        username: "u".to_owned(),
        password: "p".to_owned(),
        fields: Vec::new(),
        created_at: None,
        last_used: None,
        is_valid: false,
        validation_attempts: 0,
        expires: None,
    };
    let encoding = Some(TokenEncoding::Documented);
    let options = PutOptions {
        create_only: true,
        expected_revision: None,
        version: None,
        encoding,
        keep_fields: false,
    };
    let vault = vault.fossawork_credentials_vault();
    let stored = vault.call_put(&mut store, "u", &credential, &options).unwrap().unwrap();
    assert_eq!(stored.summary.created_at.as_deref(), Some("2023-11-14T22:13:20"));
    let record: Value = serde_json::from_slice(&store.into_data().file.unwrap()).unwrap();
    let token = URL_SAFE.decode(record["encrypted_data"].as_str().unwrap()).unwrap();
    assert_eq!(&token[1..9], 1_700_000_000_u64.to_be_bytes());
    assert_eq!(&token[9..25], iv);
}
