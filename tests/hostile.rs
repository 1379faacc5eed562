//! A component that does what no component may: it is stopped, and nothing is changed.
//!
//! The user id says what it does; `tests/guests/hostile` has one small function for each.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use moat::{
    Credential, Error, ErrorCode, KeyRing, Limits, MasterKey, PutOptions, Sandbox, UserId, Vault,
};
use support::{KEY, Store};

/// A function of the component, and what came of calling it.
type Verb = fn(&Vault, &UserId) -> Option<Error>;

const INSPECT: Verb = |vault, user| vault.inspect(user).err();
const REVEAL: Verb = |vault, user| vault.reveal(user).err();
const REMOVE: Verb = |vault, user| vault.remove(user, None).err();
const USERS: Verb = |vault, _| vault.users().find_map(Result::err);
const VERIFY: Verb = |vault, user| {
    vault
        .verify(std::slice::from_ref(user))
        .map_or_else(Some, |answers| answers.into_iter().find_map(Result::err))
};
const DESCRIBE: Verb = |vault, user| vault.describe(user).err();
/// Of which anna's record may be read, but not written.
const COPY: Verb = |vault, user| vault.copy(user, &UserId::parse("anna").unwrap()).err();
const HISTORY: Verb = |vault, user| vault.history(user).err();
const RESTORE: Verb = |vault, user| vault.restore(user, 1, None).err();
const REVEAL_VERSION: Verb = |vault, user| vault.reveal_version(user, 1).err();
const PUT: Verb =
    |vault, user| vault.put(user, &Credential::new("anna", "horse"), &PutOptions::default()).err();

// What the sandbox says of what a component does too much of, or isn't granted.
const DEADLINE: &str = "it ran past its deadline";
const MEMORY: &str = "it asked for more memory than its limit";
const TABLE: &str = "it asked for a larger table than its limit";
const CALLS: &str = "it called the host more often than its limit";
const BYTES: &str = "it exchanged more bytes with the host than its limit";
const RANDOM: &str = "it asked for too many random bytes at once";
const DENIED: &str = ", which it was not granted";

// What it says of a write that it doesn't let through.
const NO_RECORD: &str = "it tried to write something that is not a record of this user: ";
const NO_SETTINGS: &str = "it is not the settings of a directory";
const IV: &str = "its token's IV is not random bytes that the call was given";
const TIME: &str = "its token's time is none that the call was given";
const SPELLING: &str = "it has something else in it, or spells it otherwise";
const CREATED_AT: &str = "its `created_at` is neither as before nor now";
const LABEL: &str = "its `key_id` is not the label of the primary key";
const KDF: &str = "its `kdf` is neither the directory's nor that of the record before";
const COUNTER: &str = "its `write_counter` is not the next";

// What it says of an answer that isn't true, and of what is to be kept.
const NO_SUCH_KEY: &str = "the component named a key that it wasn't given";
const OTHERWISE: &str = "the component answered otherwise than it did";
const NOT_A_KEY: &str = "it offered something that is not a derived key";

// What wasmtime says of calls and answers that the component model doesn't allow.
const STACK: &str = "call stack exhausted";
const TRAP: &str = "wasm `unreachable` instruction executed";
const OUT_OF_BOUNDS: &str = "out of bounds";
const UNALIGNED: &str = "not aligned";
const NO_UTF8: &str = "invalid utf-8";
const NO_CASE: &str = "discriminant";
const FUEL: &str = "too much data is being copied between the host and the guest";
const NO_REENTRANCE: &str = "cannot leave component instance";

/// What the hostile guest does during which call, and what the message of [`ErrorCode::Sandbox`] says.
const STOPPED: &[(Verb, &str, &str)] = &[
    // More than a call may use up.
    (INSPECT, "deep-recursion", STACK),
    (INSPECT, "deep-recursion-with-frames", OUT_OF_BOUNDS),
    (INSPECT, "memory-in-steps", MEMORY),
    (INSPECT, "a-million-calls-of-the-clock", CALLS),
    (REVEAL, "a-million-calls-of-the-key-cache", CALLS),
    (INSPECT, "2-to-the-63-random-bytes", RANDOM),
    (INSPECT, "a-gigabyte-of-randomness", CALLS),
    (REVEAL, "a-gigabyte-to-the-key-cache", FUEL),
    (PUT, "a-gigabyte-of-writes", BYTES),
    // Beyond the grant.
    (INSPECT, "read-above", DENIED),
    (INSPECT, "read-below", DENIED),
    (INSPECT, "read-an-absolute-path", DENIED),
    (INSPECT, "read-the-lock", DENIED),
    (INSPECT, "read-another-user", DENIED),
    (INSPECT, "read-no-name", DENIED),
    (INSPECT, "read-a-name-with-nul", DENIED),
    (INSPECT, "read-a-name-in-other-case", DENIED),
    (INSPECT, "read-a-name-that-is-no-text", NO_UTF8),
    (INSPECT, "read-a-long-name", DENIED),
    (REVEAL, "tell-a-key", DENIED),
    (REVEAL, "list", DENIED),
    (INSPECT, "take-the-keys", DENIED),
    (REVEAL, "write", DENIED),
    (PUT, "write-another-user", DENIED),
    (COPY, "write-another-user", DENIED),
    (RESTORE, "write-another-user", DENIED),
    (HISTORY, "write", DENIED),
    (REVEAL_VERSION, "write", DENIED),
    (PUT, "write-beside-the-records", DENIED),
    (PUT, "remove", DENIED),
    (REMOVE, "remove-another-user", DENIED),
    (REVEAL, "take-the-key-of-another-user", DENIED),
    (REVEAL, "replace-the-key-of-another-user", DENIED),
    (REVEAL, "keep-a-mebibyte", NOT_A_KEY),
    // Wrong addresses and lengths.
    (INSPECT, "name-out-of-bounds", OUT_OF_BOUNDS),
    (INSPECT, "name-across-the-end", OUT_OF_BOUNDS),
    (INSPECT, "name-around-the-end", OUT_OF_BOUNDS),
    (PUT, "contents-of-4-gib", OUT_OF_BOUNDS),
    (PUT, "revision-out-of-bounds", OUT_OF_BOUNDS),
    (REVEAL, "key-of-4-gib", OUT_OF_BOUNDS),
    (INSPECT, "answer-to-nowhere", OUT_OF_BOUNDS),
    (INSPECT, "answer-to-an-odd-address", UNALIGNED),
    // What the host calls on the way.
    (INSPECT, "memory-out-of-bounds", "realloc return: beyond end of memory"),
    (USERS, "memory-at-an-odd-address", UNALIGNED),
    (INSPECT, "no-memory", TRAP),
    (INSPECT, "import-while-allocating", NO_REENTRANCE),
    (INSPECT, "never-allocate", DEADLINE),
    (INSPECT, "import-afterwards", NO_REENTRANCE),
    (INSPECT, "trap-afterwards", TRAP),
    (INSPECT, "never-end-afterwards", DEADLINE),
    // False answers.
    (INSPECT, "answer-out-of-bounds", OUT_OF_BOUNDS),
    (INSPECT, "answer-at-an-odd-address", UNALIGNED),
    (INSPECT, "result-unknown", NO_CASE),
    (INSPECT, "error-code-unknown", NO_CASE),
    (REVEAL, "error-message-out-of-bounds", OUT_OF_BOUNDS),
    (REVEAL, "error-message-of-4-gib", OUT_OF_BOUNDS),
    (INSPECT, "kind-unknown", NO_CASE),
    (INSPECT, "option-unknown", NO_CASE),
    (INSPECT, "version-out-of-bounds", OUT_OF_BOUNDS),
    (INSPECT, "version-that-is-no-text", NO_UTF8),
    (REVEAL, "empty-answer", "the component answered for another user"),
    (REVEAL_VERSION, "empty-answer", "the component answered for another user"),
    (HISTORY, "empty-answer", "the component answered for another user"),
    (COPY, "empty-answer", "the component answered for another user"),
    (VERIFY, "empty-answer", "the component returned the wrong number of answers"),
    (USERS, "users-of-4-gib", OUT_OF_BOUNDS),
    (USERS, "users-at-an-odd-address", UNALIGNED),
    (USERS, "users-that-are-none", "the component listed something that is not a user id"),
    (USERS, "users-all-in-one-place", FUEL),
    (USERS, "users-without-end", "it reported a page that doesn't exist"),
    // No record of this user.
    (PUT, "no-json", NO_RECORD),
    (PUT, "no-text", NO_RECORD),
    (PUT, "nothing", NO_RECORD),
    (PUT, "record-of-another-user", NO_RECORD),
    (PUT, "record-in-the-clear", NO_RECORD),
    (PUT, "record-of-no-version", NO_RECORD),
    (PUT, "record-of-an-unknown-version", NO_RECORD),
    (PUT, "member-given-twice", NO_RECORD),
    (PUT, "member-given-twice-in-disguise", NO_RECORD),
    (PUT, "garbage-after-the-record", NO_RECORD),
    (PUT, "token-too-short", NO_RECORD),
    (PUT, "token-that-is-no-base64", NO_RECORD),
    (PUT, "token-of-another-format", NO_RECORD),
    (PUT, "token-of-odd-length", NO_RECORD),
    (PUT, "token-from-the-far-future", TIME),
    (PUT, "token-from-long-ago", TIME),
    (PUT, "token-of-a-second-ago", TIME),
    (PUT, "token-as-before", NO_RECORD),
    (PUT, "token-as-before-in-disguise", NO_RECORD),
    (PUT, "token-as-before-in-the-other-encoding", NO_RECORD),
    (PUT, "iv-as-before", IV),
    (PUT, "iv-of-its-own", IV),
    // Secrets hidden beside the ciphertext.
    (PUT, "key-in-created-at", CREATED_AT),
    (PUT, "key-in-an-object-in-created-at", NO_RECORD),
    (PUT, "another-time-in-created-at", CREATED_AT),
    (COPY, "another-time-in-created-at", CREATED_AT),
    (PUT, "key-as-label", LABEL),
    (PUT, "label-that-is-a-list", NO_RECORD),
    (PUT, "new-member", SPELLING),
    (PUT, "white-space", SPELLING),
    (PUT, "letters-in-disguise", SPELLING),
    (PUT, "other-order-of-members", SPELLING),
    (PUT, "member-left-out", SPELLING),
    (PUT, "derivation-of-its-own", KDF),
    (PUT, "key-as-salt", NO_SETTINGS),
    (PUT, "rounds-of-its-own", NO_SETTINGS),
    (PUT, "key-as-label-of-the-settings", NO_SETTINGS),
    (PUT, "settings-of-another-version", NO_SETTINGS),
    (PUT, "settings-that-keep-versions", NO_SETTINGS),
    (COPY, "settings-that-keep-versions", NO_SETTINGS),
    // Secrets in answers, and answers that aren't true.
    (DESCRIBE, "key-as-label-in-an-answer", NO_SUCH_KEY),
    (DESCRIBE, "long-label-in-an-answer", NO_SUCH_KEY),
    (DESCRIBE, "no-key-in-an-answer", NO_SUCH_KEY),
    (DESCRIBE, "revision-of-another-file", "the component answered for another file"),
    (DESCRIBE, "code-of-the-host", "the component failed in a way that only the host can"),
    (PUT, "say-stored-and-write-nothing", OTHERWISE),
    (REMOVE, "say-removed-and-remove-nothing", OTHERWISE),
    // Secrets in what is kept for other calls.
    (REVEAL, "keep-before-the-ring-was-lent", NOT_A_KEY),
    (REVEAL, "keep-for-everyone", NOT_A_KEY),
    (REVEAL, "keep-under-another-version", NOT_A_KEY),
    (REVEAL, "keep-under-another-index", NOT_A_KEY),
    (REVEAL, "keep-under-other-parameters", NOT_A_KEY),
    (REVEAL, "keep-under-another-derivation", NOT_A_KEY),
    (PUT, "settings-that-hold-a-secret", NO_SETTINGS),
    (PUT, "trap-before-a-write", TRAP),
];

/// What is answered by an error of the contract or does no harm.
const ANSWERED: &[(Verb, &str, ErrorCode, &str)] = &[
    (INSPECT, "memory-in-one-place", ErrorCode::Malformed, "the component reports malformed"),
    (DESCRIBE, "key-in-a-message", ErrorCode::Malformed, "the component reports malformed"),
    (PUT, "record-over-64-kib", ErrorCode::TooLarge, "more than the 65536 allowed"),
];

/// What writes a record that nobody without the key can tell from a good one, before this becomes of it.
const WRITTEN: &[(&str, ErrorCode, &str)] = &[
    ("write-twice", ErrorCode::Malformed, "the component reports malformed"),
    ("write-an-iv-twice", ErrorCode::Sandbox, IV),
    ("trap-after-a-write", ErrorCode::Sandbox, TRAP),
    ("write-a-record-and-then-none", ErrorCode::Sandbox, NO_RECORD),
    ("write-and-say-not-found", ErrorCode::NotFound, "there is no credential for this user"),
];

/// What is stopped once it has begun the settings of the directory.
const AFTER_SETTINGS: &[(&str, &str)] = &[
    ("counter-that-skips", COUNTER),
    ("counter-that-begins-at-0", COUNTER),
    ("another-salt", NO_SETTINGS),
];

/// The dummies are stopped alike.
const DUMMIES: &[(&[u8], &str)] = &[
    (moat_test_guests::SPREADING, TABLE),
    (moat_test_guests::BORN_SPREAD, TABLE),
    (moat_test_guests::MANY_INSTANCES, "instance count too high"),
    (moat_test_guests::MANY_MEMORIES, "memory count too high"),
    (moat_test_guests::MANY_TABLES, "table count too high"),
    (moat_test_guests::BORN_ENDLESS, DEADLINE),
    (moat_test_guests::BORN_TRAPPING, TRAP),
];

/// A directory with the records of anna and of the user that a component is called for.
struct Scene {
    store: Store,
    /// A vault that reads anna's record when a component is done.
    good: Vault,
    /// A record of `template`, to make others of.
    template: String,
}

impl Scene {
    fn new() -> Self {
        let store = Store::new();
        store.put("anna", "horse");
        store.put("template", "battery");
        let template = fs::read_to_string(store.file("template")).unwrap();
        fs::remove_file(store.file("template")).unwrap();
        fs::write(store.beside("x"), "not in the directory").unwrap();
        let good = store.vault(KEY);
        Self { store, good, template }
    }

    /// A vault over the directory, with this component.
    fn vault(&self, component: &[u8]) -> Vault {
        // SAFETY: the bytes are what `Engine::precompile_component` returned to a build script.
        let sandbox = unsafe { Sandbox::from_precompiled(component) }.unwrap();
        let mut limits = Limits::default();
        limits.deadline = Duration::from_millis(500);
        Vault::builder(self.store.directory(), KeyRing::new(MasterKey::new(KEY.as_bytes())))
            .sandbox(Arc::new(sandbox))
            .limits(limits)
            .build()
            .unwrap()
    }

    /// Calls the component for a user with a record, and looks at everything before and afterwards.
    fn call(&self, vault: &Vault, verb: Verb, user: &str) -> Outcome {
        support::write_private(
            &self.store.file(user),
            self.template.replace("template", user).as_bytes(),
        );
        let before = self.snapshot();

        let (vault, user) = (vault.clone(), UserId::parse(user).unwrap());
        let (done, outcome) = mpsc::channel();
        thread::spawn(move || done.send(verb(&vault, &user)));
        let (code, message) = match outcome.recv_timeout(Duration::from_secs(2)) {
            Ok(Some(error)) => (Some(error.code()), error.to_string()),
            Ok(None) => (None, "it did what it was asked".to_owned()),
            Err(_) => (None, "it is still running".to_owned()),
        };

        let after = self.snapshot();
        let paths: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        let changed = paths.into_iter().filter(|path| before.get(*path) != after.get(*path));
        let changed = changed.cloned().collect();
        let anna = self.good.reveal(&UserId::parse("anna").unwrap()).unwrap();
        assert_eq!(anna.credential().expose_password(), "horse");
        Outcome { code, message, changed }
    }

    /// All files in and around the directory.
    fn snapshot(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let around = self.store.beside("").read_dir().unwrap();
        let inside = self.store.path().read_dir().unwrap();
        let paths = around.chain(inside).map(|entry| entry.unwrap().path());
        paths
            .filter(|path| path.is_file())
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect()
    }
}

/// What came of a call.
#[derive(Debug)]
struct Outcome {
    /// `None`: it came to no error.
    code: Option<ErrorCode>,
    message: String,
    /// The files that are not as they were.
    changed: Vec<PathBuf>,
}

impl Outcome {
    /// Whether this is the error, in a message for people that holds no secret.
    fn is(&self, code: ErrorCode, message: &str) -> bool {
        self.code == Some(code)
            && self.message.contains(message)
            && self.message.len() < 300
            && !self.message.contains(KEY)
    }
}

#[test]
fn every_misdeed_is_stopped_and_changes_nothing() {
    let scene = Scene::new();
    let vault = scene.vault(moat_test_guests::HOSTILE);
    let mut unstopped = Vec::new();
    for (verb, misdeed, reason) in STOPPED {
        let outcome = scene.call(&vault, *verb, misdeed);
        fs::remove_file(scene.store.file(misdeed)).ok();
        if !outcome.is(ErrorCode::Sandbox, reason) || !outcome.changed.is_empty() {
            unstopped.push(format!("{misdeed}: not {reason:?} but {outcome:?}"));
        }
    }
    assert!(unstopped.is_empty(), "\n{}", unstopped.join("\n"));
}

#[test]
fn what_a_component_is_answered_changes_nothing_either() {
    let scene = Scene::new();
    let vault = scene.vault(moat_test_guests::HOSTILE);
    for (verb, misdeed, code, message) in ANSWERED {
        let outcome = scene.call(&vault, *verb, misdeed);
        assert!(outcome.is(*code, message), "{misdeed}: {outcome:?}");
        assert!(outcome.changed.is_empty(), "{misdeed}: {outcome:?}");
    }
}

#[test]
fn what_was_written_stays_and_is_one_whole_record_of_the_user() {
    let scene = Scene::new();
    let vault = scene.vault(moat_test_guests::HOSTILE);
    for (misdeed, code, message) in WRITTEN {
        let outcome = scene.call(&vault, PUT, misdeed);
        assert!(outcome.is(*code, message), "{misdeed}: {outcome:?}");
        assert_eq!(outcome.changed, [scene.store.file(misdeed)], "{misdeed}");
        let error = scene.good.reveal(&UserId::parse(misdeed).unwrap()).err().unwrap();
        assert_eq!(error.code(), ErrorCode::WrongKeyOrTampered, "{misdeed}");
    }
}

/// The salt that new settings have is one that the call was given, and stays.
#[test]
fn settings_that_were_begun_stay_as_they_are() {
    for (misdeed, message) in AFTER_SETTINGS {
        let scene = Scene::new();
        let vault = scene.vault(moat_test_guests::HOSTILE);
        let outcome = scene.call(&vault, PUT, misdeed);
        assert!(outcome.is(ErrorCode::Sandbox, message), "{misdeed}: {outcome:?}");
        assert_eq!(outcome.changed, [scene.store.path().join("moat.json")], "{misdeed}");
        let settings = fs::read_to_string(&outcome.changed[0]).unwrap();
        assert!(settings.contains(r#""rounds":600000"#), "{settings}");
    }
}

/// What it removed is gone, whatever it says of that.
#[test]
fn a_removal_that_is_denied_is_one() {
    let scene = Scene::new();
    let vault = scene.vault(moat_test_guests::HOSTILE);
    let misdeed = "remove-and-say-unchanged";
    let outcome = scene.call(&vault, REMOVE, misdeed);
    assert!(outcome.is(ErrorCode::Sandbox, OTHERWISE), "{outcome:?}");
    assert_eq!(outcome.changed, [scene.store.file(misdeed)]);
}

#[test]
fn a_component_that_does_too_much_before_it_is_called_is_stopped() {
    let scene = Scene::new();
    for (dummy, reason) in DUMMIES {
        let outcome = scene.call(&scene.vault(dummy), INSPECT, "bob");
        assert!(outcome.is(ErrorCode::Sandbox, reason), "{reason}: {outcome:?}");
        assert!(outcome.changed.is_empty(), "{reason}: {outcome:?}");
    }
}
