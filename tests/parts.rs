//! The two parts of the component: what each gets, and what a part that was taken over can't get from the other.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use hkdf::Hkdf;
use moat::{Error, ErrorCode, KeyRing, Limits, MasterKey, Sandbox, UserId, Vault, component};
use moat_guest_build::{Part, vault_parts};
use moat_test_guests::{HOSTILE_KEYS, HOSTILE_RECORDS};
use sha2::Sha256;
use support::{KEY, Store, sha256};
use wasmparser::{Parser, Payload};

/// The parts of the real component.
fn real() -> [Part; 2] {
    vault_parts(component::BYTES).unwrap()
}

/// A vault over the store with a component of these parts.
fn vault(store: &Store, records: &[u8], keys: &[u8]) -> Vault {
    vault_with_key(store, records, keys, KEY)
}

fn vault_with_key(store: &Store, records: &[u8], keys: &[u8], key: &str) -> Vault {
    let composed = moat_guest_build::composed(records, keys).unwrap();
    let sandbox = Sandbox::compile(&composed, &sha256(&composed)).unwrap();
    let mut limits = Limits::default();
    limits.deadline = Duration::from_secs(2);
    Vault::builder(store.directory(), KeyRing::new(MasterKey::new(key.as_bytes())))
        .sandbox(Arc::new(sandbox))
        .limits(limits)
        .build()
        .unwrap()
}

/// What a call for this user comes to.
fn call(vault: &Vault, user: &str) -> Error {
    vault.reveal(&UserId::parse(user).unwrap()).err().unwrap()
}

/// How the component joins its parts, in its text form. Instances have numbers; a part gets those that are named by `with`.
const JOINED: &str = r#"
(import "fossawork:credentials/types@1.0.0" (instance (;0;) (type 0)))
(import "fossawork:credentials/directory@1.0.0" (instance (;1;) (type 2)))
(import "wasi:clocks/wall-clock@0.2.6" (instance (;2;) (type 3)))
(import "wasi:random/random@0.2.6" (instance (;3;) (type 4)))
(import "fossawork:credentials/master-keys@1.0.0" (instance (;4;) (type 7)))
(import "fossawork:credentials/key-cache@1.0.0" (instance (;5;) (type 9)))
(component (;0;)
(instance (;6;) (instantiate 0
(with "fossawork:credentials/types@1.0.0" (instance 0))
(with "fossawork:credentials/master-keys@1.0.0" (instance 4))
(with "fossawork:credentials/key-cache@1.0.0" (instance 5))
(alias export 6 "moat:parts/user-keys@1.0.0" (instance (;7;)))
(component (;1;)
(instance (;8;) (instantiate 1
(with "moat:parts/user-keys@1.0.0" (instance 7))
(with "fossawork:credentials/types@1.0.0" (instance 0))
(with "fossawork:credentials/directory@1.0.0" (instance 1))
(with "wasi:clocks/wall-clock@0.2.6" (instance 2))
(with "wasi:random/random@0.2.6" (instance 3))
(alias export 8 "fossawork:credentials/vault@1.0.0" (instance (;9;)))
(alias export 8 "fossawork:credentials/reveal@1.0.0" (instance (;10;)))
(export (;11;) "fossawork:credentials/vault@1.0.0" (instance 9))
(export (;12;) "fossawork:credentials/reveal@1.0.0" (instance 10))
"#;

/// As another tool than the one that joined them shows it.
#[test]
fn the_master_keys_go_to_one_part_and_files_to_the_other() {
    let text = wasmprinter::print_bytes(component::BYTES).unwrap();
    let is_outermost = |line: &&str| line.starts_with("  (") || line.starts_with("      (with");
    let is_a_type = |line: &&str| line.contains("(type (;");
    let joined = text.lines().filter(is_outermost).filter(|line| !is_a_type(line));
    assert!(joined.map(str::trim).eq(JOINED.trim().lines()), "{text:.20000}");
    // What isn't handed to a part it can't import.
    let [keys, records] = real();
    let imports = |part: &Part| imports_of(&part.component).join(" ");
    assert!(!imports(&keys).contains("directory") && !imports(&records).contains("master-keys"));
}

#[test]
fn a_records_part_that_was_taken_over_gets_no_key_but_its_users() {
    let store = Store::new();
    store.put("anna", "horse");
    let before = fs::read(store.file("anna")).unwrap();
    let [keys, _] = real();
    let vault = vault(&store, HOSTILE_RECORDS, &keys.component);
    const DENIED: &str = "it asked to use this derived key, which it was not granted";
    for (user, code, message) in [
        ("another-users-key", ErrorCode::Sandbox, DENIED),
        ("another-users-key-2", ErrorCode::Sandbox, DENIED),
        ("another-users-key-behind-its-own", ErrorCode::Sandbox, DENIED),
        ("another-users-key-in-disguise", ErrorCode::InvalidUserId, "invalid-user-id"),
        ("nobodys-key", ErrorCode::InvalidUserId, "invalid-user-id"),
        ("the-next-index", ErrorCode::MasterKeyMissing, "no key at this place"),
        ("the-last-index", ErrorCode::MasterKeyMissing, "no key at this place"),
        ("no-rounds", ErrorCode::Malformed, "fewer than 600000"),
        ("too-few-rounds", ErrorCode::Malformed, "fewer than 600000"),
        ("the-fast-derivation", ErrorCode::MasterKeyRefused, "not the one for this kind"),
        ("the-fast-settings", ErrorCode::MasterKeyRefused, "not the one for this kind"),
        ("all-rounds", ErrorCode::Malformed, "more than 2000000"),
        ("a-long-salt", ErrorCode::Malformed, "not 16 bytes"),
        ("a-million-times", ErrorCode::Sandbox, "called the host more often than its limit"),
        ("a-million-at-once", ErrorCode::Sandbox, "more memory than its limit"),
        ("a-root-of-its-own", ErrorCode::Sandbox, "something that is not a derived key"),
        ("a-million-rings", ErrorCode::Malformed, "the component reports malformed"),
    ] {
        let error = call(&vault, user);
        assert_eq!(error.code(), code, "{user}: {error}");
        assert!(error.to_string().contains(message), "{user}: {error}");
    }
    // Without the grant of the keys it gets none at all.
    let error = vault.inspect(&UserId::parse("the-next-index").unwrap()).err().unwrap();
    assert!(error.to_string().contains("get the master keys, which it was not granted"), "{error}");
    assert_eq!(fs::read(store.file("anna")).unwrap(), before);
}

/// By which code a hostile part says whether it found what it was to look for.
const FOUND: ErrorCode = ErrorCode::Malformed;
const NOT_FOUND: ErrorCode = ErrorCode::NotFound;

/// What a part is to look for in its memory, masked so that it isn't there because it was asked for.
fn scan_for(needle: &[u8]) -> String {
    let masked = needle.iter().map(|byte| format!("{:02x}", byte ^ 0xa5));
    format!("scan-{}", masked.collect::<String>())
}

#[test]
fn no_master_key_and_no_root_key_is_ever_in_the_memory_of_the_records_part() {
    let store = Store::new();
    let settings = r#"{"kdf":{"salt":"BwcHBwcHBwcHBwcHBwcHBw==","rounds":600000}}"#;
    support::write_private(&store.path().join("moat.json"), settings.as_bytes());
    let [keys, _] = real();
    let salt = [&b"moat 2.0 root\0"[..], &[7; 16]].concat();
    let mut slow = [0; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(KEY.as_bytes(), &salt, 600_000, &mut slow);
    let strong = moat::generate_key().unwrap();
    let (fast, _) = Hkdf::<Sha256>::extract(Some(&salt), strong.as_bytes());
    for (key, root) in [(KEY, slow), (strong.as_str(), fast.into())] {
        let taken_over = vault_with_key(&store, HOSTILE_RECORDS, &keys.component, key);
        for secret in [key.as_bytes(), &root, &root[..16], &root[16..]] {
            let error = call(&taken_over, &scan_for(secret));
            assert_eq!(error.code(), NOT_FOUND, "{error}");
        }
        // Such a scan finds what is there, such as a text of its own.
        assert_eq!(call(&taken_over, &scan_for(b"nothing stopped it")).code(), FOUND);
    }

    // And it finds the master key, in the part that has it.
    let [_, records] = real();
    fs::remove_file(store.path().join("moat.json")).unwrap();
    store.put("find-the-key", "horse");
    let hostile = vault(&store, &records.component, HOSTILE_KEYS);
    assert_eq!(call(&hostile, "find-the-key").code(), FOUND);
}

#[test]
fn a_hostile_part_with_the_keys_reaches_no_other_user_and_no_file() {
    let [_, records] = real();
    let store = Store::new();
    store.put("anna", "horse");
    let users = [
        ("look-up-another-user", "which it was not granted"),
        ("remember-for-another-user", "which it was not granted"),
        ("remember-a-mebibyte", "something that is not a derived key"),
        ("trap", "unreachable"),
        ("never-return", "it ran past its deadline"),
    ];
    users.iter().for_each(|(user, _)| store.put(user, "horse"));
    let vault = vault(&store, &records.component, HOSTILE_KEYS);
    for (user, message) in users {
        let error = call(&vault, user);
        assert_eq!(error.code(), ErrorCode::Sandbox, "{user}: {error}");
        assert!(error.to_string().contains(message), "{user}: {error}");
    }
    // It has no import of files to begin with.
    assert!(!imports_of(HOSTILE_KEYS).join(" ").contains("directory"));
}

/// The interfaces that a component imports.
fn imports_of(component: &[u8]) -> Vec<String> {
    let mut depth = 0;
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(component) {
        match payload.unwrap() {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(imports) if depth == 1 => {
                names
                    .extend(imports.into_iter().map(|import| import.unwrap().name.name.to_owned()));
            }
            _ => {}
        }
    }
    names
}
