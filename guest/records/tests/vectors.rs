//! Published vectors of PBKDF2 and Fernet, and keys as the FossaWork application derives them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a helper of a test fails as the test does"
)]

mod support;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use fernet::Fernet;
use moat_format::kdf::Kdf;
use moat_format::settings::Settings;
use moat_format::timestamp;
use moat_format::token::{Encoding, Token};
use moat_format::user_id::UserId;
use moat_guest_keys::kdf::{ROUNDS_1, RootKey, user_key_1};
use moat_guest_records::{token, vault};
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;
use support::{Memory, primary};

const PBKDF2: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/fixtures/pbkdf2_hmac_sha256.json"
));
const GENERATE: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/fernet/generate.json"));
const VERIFY: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/fernet/verify.json"));
const INVALID: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/fernet/invalid.json"));

#[derive(Deserialize)]
struct Pbkdf2Vectors {
    tests: Vec<Pbkdf2Vector>,
}

#[derive(Deserialize)]
struct Pbkdf2Vector {
    name: String,
    /// Only where the case has the application's shape: salt and rounds follow from it.
    user_id: Option<String>,
    password_hex: String,
    salt_hex: String,
    iterations: u32,
    dk_len: usize,
    dk_hex: String,
}

#[derive(Deserialize)]
struct FernetVector {
    #[serde(default)]
    desc: String,
    token: String,
    #[serde(default)]
    src: String,
    secret: String,
}

impl FernetVector {
    fn open(&self) -> Option<Vec<u8>> {
        let (token, encoding) = Token::decode(&self.token)?;
        assert_eq!(encoding, Encoding::Documented, "{}", self.desc);
        let plaintext = token::decrypt(&Fernet::new(&self.secret).unwrap(), &token)?;
        Some(plaintext.to_vec())
    }
}

fn pbkdf2_vectors() -> Vec<Pbkdf2Vector> {
    serde_json::from_str::<Pbkdf2Vectors>(PBKDF2).unwrap().tests
}

fn fernet_vectors(text: &str) -> Vec<FernetVector> {
    serde_json::from_str(text).unwrap()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn pbkdf2_gives_the_published_keys() {
    let vectors = pbkdf2_vectors();
    assert_eq!(vectors.len(), 11);
    for vector in vectors {
        let mut key = vec![0; vector.dk_len];
        let (password, salt) = (unhex(&vector.password_hex), unhex(&vector.salt_hex));
        pbkdf2::pbkdf2_hmac::<Sha256>(&password, &salt, vector.iterations, &mut key);
        assert_eq!(key, unhex(&vector.dk_hex), "{}", vector.name);
    }
}

#[test]
fn a_users_key_is_the_one_that_the_application_derives() {
    let mut seen = 0;
    for vector in pbkdf2_vectors() {
        let Some(user_id) = &vector.user_id else {
            continue;
        };
        let user = UserId::parse(user_id).unwrap();
        let key = user_key_1(&unhex(&vector.password_hex), &user);
        assert_eq!(key.as_slice(), unhex(&vector.dk_hex), "{}", vector.name);
        assert_eq!(vector.iterations, ROUNDS_1, "{}", vector.name);
        seen += 1;
    }
    assert_eq!(seen, 4);
}

#[test]
fn the_generated_fernet_token_tells_its_time_and_opens() {
    let vectors = fernet_vectors(GENERATE);
    assert_eq!(vectors.len(), 1);
    let (token, _) = Token::decode(&vectors[0].token).unwrap();
    // The vector's "now" is 1985-10-26T01:20:00-07:00.
    assert_eq!(timestamp::format(token.time()).unwrap(), "1985-10-26T08:20:00");
    assert_eq!(vectors[0].open().unwrap(), b"hello");
}

#[test]
fn the_valid_fernet_token_opens() {
    let vectors = fernet_vectors(VERIFY);
    assert_eq!(vectors.len(), 1);
    assert_eq!(vectors[0].open().unwrap(), vectors[0].src.as_bytes());
}

#[test]
fn invalid_fernet_tokens_are_refused_unless_only_the_clock_is_against_them() {
    // Sound tokens of an empty text, but at the wrong time. Nothing here has a time to live, and a clock that
    // was set back must not make credentials unreadable, so time alone is no reason to refuse.
    const UNTIMELY: [&str; 2] = ["far-future TS (unacceptable clock skew)", "expired TTL"];

    let vectors = fernet_vectors(INVALID);
    assert_eq!(vectors.len(), 8);
    for vector in vectors {
        let expected = UNTIMELY.contains(&vector.desc.as_str()).then(Vec::new);
        assert_eq!(vector.open(), expected, "{}", vector.desc);
    }
}

#[test]
fn invalid_fernet_tokens_are_refused_in_the_applications_spelling_too() {
    for vector in fernet_vectors(INVALID) {
        let nested = Token::decode(&URL_SAFE.encode(&vector.token));
        assert_eq!(
            nested.map(|(token, _)| token),
            Token::decode(&vector.token).map(|(token, _)| token),
            "{}",
            vector.desc
        );
    }
}

/// Version 2.0 as `host/docs/format.md` has it, computed by other code.
#[test]
fn records_of_version_2_are_derived_and_opened_as_documented() {
    let vectors: Value = serde_json::from_str(include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/record-2.0.json"
    )))
    .unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 3);
    for case in cases {
        let text = |name: &str| case[name].as_str().unwrap();
        let record: Value = serde_json::from_str(text("record")).unwrap();
        let memory = Memory::new([primary(case["key_id"].as_str(), text("master_key"))]);
        memory.set_file(&format!("{}.cred", text("user_id")), text("record"));
        let revealed = vault::reveal(&memory, text("user_id")).unwrap();
        let inside: Value = serde_json::from_str(text("plaintext")).unwrap();
        assert_eq!(revealed.credential.password, inside["password"].as_str().unwrap());

        let kdf = Kdf::find(&serde_json::from_str(text("record")).unwrap()).unwrap().unwrap();
        let root = RootKey::derive(text("master_key").as_bytes(), &kdf);
        let user = UserId::parse(text("user_id")).unwrap();
        assert_eq!(hex(&*root.user_key(&user).unwrap()), text("user_key"));
        let settings = Settings::read(&serde_json::from_str(text("settings")).unwrap()).unwrap();
        let tag = root.settings_tag(&settings.authenticated().unwrap()).unwrap();
        assert_eq!(tag.to_vec(), settings.mac.unwrap().tag());
        let (token, _) = Token::decode(record["encrypted_data"].as_str().unwrap()).unwrap();
        assert_eq!(token.time(), case["time"].as_u64().unwrap());
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
