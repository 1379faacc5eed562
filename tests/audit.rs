//! The audit log: that everything is in it, that nothing can be changed in it unseen, and that nothing happens
//! without it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use hmac::{Hmac, Mac};
use moat::audit::{
    self, AuditKey, AuditKeys, AuditLog, AuditPolicy, FindingKind, Head, Phase, Rotation,
    Verification,
};
use moat::{Credential, ErrorCode, MigrateOptions, PutOptions, Sandbox, UserId, Vault};
use proptest::prelude::*;
use serde_json::Value;
use sha2::{Digest, Sha256};
use support::{KEY, MOAT, Store, Tool, expect, run, run_with_input, tool, write_private};

const AUDIT_KEY: &[u8] = b"the key of the audit log";
const OTHER_KEY: &[u8] = b"another key of the log";

/// A store with a log beside it.
struct Audited {
    store: Store,
}

impl Audited {
    fn new() -> Self {
        let store = Store::new();
        fs::create_dir(store.beside("log")).unwrap();
        write_private(&store.beside("audit-key"), AUDIT_KEY);
        Self { store }
    }

    fn path(&self) -> PathBuf {
        self.store.beside("log").join("audit.log")
    }

    /// The files of the log, those that were set aside first: their names are longer.
    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.store.beside("log")).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort_by_key(|path| (path == &self.path(), path.clone()));
        files
    }

    /// Removes the oldest of the files that were set aside as `audit.log.…`, and its copies.
    fn remove_oldest(&self) {
        let is_aside = |path: &&PathBuf| path.to_str().unwrap().contains("audit.log.");
        let Some(oldest) = self.files().iter().find(is_aside).cloned() else { return };
        let removed = fs::read_to_string(oldest).unwrap();
        let is_copy = |path: &PathBuf| removed.starts_with(&fs::read_to_string(path).unwrap());
        for path in self.files().iter().filter(|path| **path != self.path() && is_copy(path)) {
            fs::remove_file(path).unwrap();
        }
    }

    fn dir(&self) -> Dir {
        Dir::open_ambient_dir(self.store.beside("log"), ambient_authority()).unwrap()
    }

    fn log(&self, rotation: Rotation) -> AuditLog {
        AuditLog::new(self.dir(), "audit.log", AuditKey::new(AUDIT_KEY).unwrap(), rotation)
    }

    fn vault(&self, log: AuditLog) -> Vault {
        let keys = moat::KeyRing::new(moat::MasterKey::new(KEY.as_bytes()).with_id("2026"));
        Vault::builder(self.store.directory(), keys).audit(log).build().unwrap()
    }

    /// The program, with this log.
    fn moat(&self, arguments: &[&str]) -> Command {
        let mut command = self.store.moat(arguments);
        self.surround(&mut command);
        command
    }

    fn surround<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("FOSSAWORK_AUDIT_LOG", self.path())
            .env("FOSSAWORK_AUDIT_KEY_FILE", self.store.beside("audit-key"))
    }

    fn put(&self, user: &str) -> Output {
        let put = ["put", user, "--username", "someone", "--password-stdin"];
        run_with_input(&mut self.moat(&put), "horse")
    }

    fn verify_against(&self, head: Option<&Head>) -> Verification {
        let mut keys = AuditKeys::new(Some(AuditKey::new(AUDIT_KEY).unwrap()), None);
        audit::verify(&self.dir(), "audit.log", &mut keys, head).unwrap()
    }

    fn verify(&self) -> Verification {
        self.verify_against(None)
    }

    fn head(&self) -> Head {
        self.verify().head(&AuditKey::new(AUDIT_KEY).unwrap()).unwrap()
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    fn lines(&self) -> Vec<String> {
        self.text().split_inclusive('\n').map(str::to_owned).collect()
    }

    fn operations(&self) -> Vec<audit::AuditedOperation> {
        audit::operations(&self.dir(), "audit.log").unwrap().map(Result::unwrap).collect()
    }
}

fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

fn json(output: &Output, code: i32) -> Value {
    serde_json::from_str(&expect(code, output).0).unwrap()
}

#[test]
fn every_operation_is_written_down_before_and_after() {
    let audited = Audited::new();
    let vault = audited.vault(audited.log(Rotation::default()));
    let (anna, bert) = (user("anna"), user("bert"));
    let horse = Credential::new("someone", "horse");
    vault.put(&anna, &horse, &PutOptions::default()).unwrap();
    vault.put(&bert, &horse, &PutOptions::default()).unwrap();
    vault.on_behalf_of("a plugin\n").reveal(&anna).unwrap();
    vault.reveal(&user("nobody")).unwrap_err();
    vault.describe(&anna).unwrap();
    vault.inspect(&anna).unwrap();
    vault.mark_used(&anna).unwrap();
    vault.mark_validated(&anna, true).unwrap();
    assert_eq!(vault.users().count(), 2);
    assert_eq!(vault.leftovers().count(), 0);
    let both = [anna.clone(), bert.clone()];
    vault.verify(&both).unwrap();
    let mut dry_run = MigrateOptions::default();
    dry_run.version = Some("2.0".to_owned());
    dry_run.dry_run = true;
    vault.migrate(&both, &dry_run).unwrap();
    dry_run.dry_run = false;
    vault.migrate(&both, &dry_run).unwrap();
    vault.rewrap(&both, false).unwrap();
    vault.configure(Some("2.0"), None).unwrap();
    vault.remove_backup("anna.cred.backup").map(drop).unwrap_or_default();
    vault.remove(&bert, None).unwrap();

    let names: Vec<_> = audited
        .operations()
        .into_iter()
        .map(|operation| {
            let (intent, outcome) = (operation.intent.unwrap(), operation.outcome.unwrap());
            assert_eq!((intent.phase, outcome.phase), (Phase::Intent, Phase::Outcome));
            assert!(intent.sequence < outcome.sequence && intent.time <= outcome.time);
            assert_eq!(intent.component.unwrap(), moat::component::digest());
            assert!(outcome.duration_us.is_some());
            assert_eq!(
                intent.grant.unwrap().contains(&"master keys".to_owned()),
                outcome.operation == "configure"
                    || outcome.operation != "inspect"
                        && outcome.operation != "remove"
                        && outcome.user.is_some()
            );
            let [user, key] = [outcome.user, outcome.key_id].map(Option::unwrap_or_default);
            let changed =
                outcome.changed.map_or("", |changed| if changed { "changed" } else { "as it was" });
            let actor = if outcome.actor == "a plugin\n" { "plugin" } else { "" };
            [outcome.operation.as_str(), &user, &outcome.outcome.unwrap(), &key, changed, actor]
                .join(" ")
                .trim_end()
                .to_owned()
        })
        .collect();
    let expected = [
        "put anna done 2026 changed",
        "put bert done 2026 changed",
        "reveal anna done 2026  plugin",
        "reveal nobody not-found",
        "describe anna done 2026",
        "inspect anna done",
        "mark-used anna done 2026 changed",
        "mark-validated anna done 2026 changed",
        "users  done",
        "leftovers  done",
        "verify anna done 2026",
        "verify bert done 2026",
        "migrate anna done 2026 as it was",
        "migrate bert done 2026 as it was",
        "migrate anna done 2026 changed",
        "migrate bert done 2026 changed",
        "rewrap anna done 2026 as it was",
        "rewrap bert done 2026 as it was",
        "configure  done  changed",
        "remove bert done  changed",
    ];
    assert_eq!(names, expected);
    // Each write names the revision that it replaced, and the last the one that is there.
    let outcomes = audited.operations().into_iter().filter_map(|operation| operation.outcome);
    let mut last = None;
    for outcome in outcomes.filter(|outcome| outcome.user.as_deref() == Some("anna")) {
        assert_eq!(outcome.revision.is_some(), outcome.changed == Some(true), "{outcome:?}");
        if outcome.revision.is_some() {
            assert_eq!(outcome.replaces, last);
            last = outcome.revision;
        }
    }
    assert_eq!(last.unwrap(), audited.store.vault(KEY).inspect(&anna).unwrap().revision);
    let verification = audited.verify();
    assert_eq!((verification.finding, verification.entries), (None, 2 * expected.len() as u64));
    let mode = fs::metadata(audited.path()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
}

/// What the host did is in the log, whatever the component says of it.
#[test]
fn a_component_that_denies_what_it_did_is_not_believed() {
    let audited = Audited::new();
    for user in ["write-and-say-not-found", "remove-and-say-unchanged", "key-as-label-in-an-answer"]
    {
        audited.store.put(user, "horse");
    }
    // SAFETY: the bytes are what `Engine::precompile_component` returned to a build script.
    let hostile = unsafe { Sandbox::from_precompiled(moat_test_guests::HOSTILE) }.unwrap();
    let keys = moat::KeyRing::new(moat::MasterKey::new(KEY.as_bytes()));
    let vault = Vault::builder(audited.store.directory(), keys)
        .sandbox(Arc::new(hostile))
        .audit(audited.log(Rotation::default()))
        .build()
        .unwrap();
    let horse = Credential::new("someone", "horse");
    let written = user("write-and-say-not-found");
    vault.put(&written, &horse, &PutOptions::default()).unwrap_err();
    vault.remove(&user("remove-and-say-unchanged"), None).unwrap_err();
    vault.describe(&user("key-as-label-in-an-answer")).unwrap_err();
    // A dry run has no grant to write.
    let mut dry_run = MigrateOptions::default();
    dry_run.dry_run = true;
    let answers = vault.migrate(std::slice::from_ref(&written), &dry_run);
    assert_eq!(answers.unwrap_err().code(), ErrorCode::Sandbox);

    let outcomes = audited.operations().into_iter().map(|operation| operation.outcome.unwrap());
    let outcomes: Vec<_> = outcomes
        .map(|outcome| {
            (outcome.operation, outcome.outcome.unwrap(), outcome.changed, outcome.revision)
        })
        .collect();
    let revision = audited.store.vault(KEY).inspect(&written).unwrap().revision;
    let row = |operation: &str, outcome: &str, changed, revision| {
        (operation.to_owned(), outcome.to_owned(), changed, revision)
    };
    assert_eq!(
        outcomes,
        [
            row("put", "not-found", Some(true), Some(revision)),
            row("remove", "sandbox", Some(true), None),
            row("describe", "sandbox", None, None),
            row("migrate", "sandbox", Some(false), None),
        ]
    );
    assert!(!audited.text().contains(KEY));
}

/// The log of three operations.
fn three_operations() -> Audited {
    let audited = Audited::new();
    let vault = audited.vault(audited.log(Rotation::default()));
    let horse = Credential::new("someone", "horse");
    vault.put(&user("anna"), &horse, &PutOptions::default()).unwrap();
    vault.reveal(&user("anna")).unwrap();
    vault.inspect(&user("anna")).unwrap();
    audited
}

#[test]
fn each_byte_that_is_changed_is_seen() {
    let audited = three_operations();
    let whole = audited.text().into_bytes();
    let mut line = 1;
    for at in 0..whole.len() {
        for flip in [0x01, 0x80] {
            let mut altered = whole.clone();
            altered[at] ^= flip;
            fs::write(audited.path(), altered).unwrap();
            let finding = audited.verify().finding.unwrap_or_else(|| panic!("byte {at}"));
            // No later entry shows that the last one was signed with another key.
            let is_unknown = line == 6 && finding.kind == FindingKind::UnknownKey;
            assert!(is_unknown || finding.kind == FindingKind::Altered, "byte {at}: {finding}");
            // With its line break gone, what is left of the first entry is seen from the third.
            let sequence = if line == 1 && whole[at] == b'\n' { 2 } else { line };
            assert_eq!((finding.line, finding.sequence), (line, sequence), "byte {at}: {finding}");
        }
        line += u64::from(whole[at] == b'\n');
    }
}

#[test]
fn each_line_that_is_removed_swapped_or_put_in_is_seen() {
    let audited = three_operations();
    let lines = audited.lines();
    let head = audited.head();
    let other = three_operations().lines();
    let find = |lines: &[String]| {
        fs::write(audited.path(), lines.concat()).unwrap();
        let finding = audited.verify_against(Some(&head)).finding;
        finding.map(|finding| (finding.kind, finding.sequence))
    };
    assert_eq!(find(&lines), None);
    for at in 0..lines.len() {
        let sequence = at as u64 + 1;
        let mut removed = lines.clone();
        removed.remove(at);
        let expected = match at {
            5 => Some((FindingKind::Cut, 6)),
            _ => Some((FindingKind::Missing, sequence)),
        };
        assert_eq!(find(&removed), expected, "removed {at}");
        assert_eq!(audited.verify().notes.len(), 0, "removed {at}");

        for inserted in
            [&other[at], "nonsense\n", &lines[at.saturating_sub(1)].replace("anna", "bert")]
        {
            let mut lines = lines.clone();
            lines.insert(at, inserted.to_owned());
            let (kind, found) = find(&lines).unwrap();
            // At the beginning nothing is expected yet, so that the one after is what doesn't fit.
            let expected = [FindingKind::Inserted, FindingKind::Altered, FindingKind::AnotherLog];
            assert!(
                expected.contains(&kind) && (kind == expected[0] || at == 0),
                "inserted at {at}: {kind:?}"
            );
            assert!(found == sequence || at == 0, "inserted at {at}: {found}");
        }
        if at > 0 {
            let mut copied = lines.clone();
            copied.insert(at, lines[at - 1].clone());
            assert_eq!(find(&copied), Some((FindingKind::Inserted, sequence)), "copied {at}");
            let mut swapped = lines.clone();
            swapped.swap(at - 1, at);
            let expected = Some((FindingKind::Reordered, at as u64));
            assert_eq!(find(&swapped), expected, "swapped {at}");
        }
    }
    for kept in 0..lines.len() {
        let found = find(&lines[..kept]);
        assert_eq!(found, Some((FindingKind::Cut, kept as u64 + 1)), "cut to {kept}");
        assert_eq!(audited.verify().finding, None, "it can't be seen without the head");
    }
    // A log that was started again after its end was cut off.
    fs::write(audited.path(), lines[..4].concat()).unwrap();
    let vault = audited.vault(audited.log(Rotation::default()));
    vault.inspect(&user("anna")).unwrap();
    assert_eq!(audited.verify().finding, None);
    let finding = audited.verify_against(Some(&head)).finding.unwrap();
    assert_eq!((finding.kind, finding.sequence), (FindingKind::Altered, 6));
}

/// What anyone can write who has no key: all entries of a log's files from this one on, altered, under a key that nobody has,
/// chained as they should be.
fn forged(files: &[PathBuf], from: u64) {
    let mut previous: Option<String> = None;
    for file in files {
        let text = fs::read_to_string(file).unwrap();
        let mut forged = String::new();
        for line in text.split_inclusive('\n') {
            let entry: Value = serde_json::from_str(line).unwrap();
            let mut line = line.to_owned();
            if entry["sequence"].as_u64().unwrap() >= from {
                line = line.replace("\"operation\":\"reveal\"", "\"operation\":\"describe\"");
                line = line.replace(entry["audit_key"].as_str().unwrap(), "00112233445566ff");
                if let Some(previous) = &previous {
                    line = line.replace(entry["previous"].as_str().unwrap(), previous);
                }
                line = line.replace(entry["mac"].as_str().unwrap(), &"5a".repeat(32));
            }
            previous = Some(support::sha256(line.as_bytes()));
            forged += &line;
        }
        fs::write(file, forged).unwrap();
    }
}

/// Forged from the first entry or a later one on, with a genuine operation after: the first forged entry is named, whether
/// the log is under one key, under a later one too, or in several files.
#[test]
fn what_was_forged_without_a_key_is_named_though_genuine_entries_follow() {
    let horse = Credential::new("someone", "horse");
    for (files, keys) in [(1, 1), (1, 2), (4, 1)] {
        for from in [1, 3, 5] {
            let audited = Audited::new();
            let rotation = Rotation { size: (files > 1).then_some(1_000), age: None };
            let mut log = audited.log(rotation);
            audited.vault(log.clone()).put(&user("anna"), &horse, &PutOptions::default()).unwrap();
            if keys == 2 {
                let former = AuditKeys::new(Some(AuditKey::new(AUDIT_KEY).unwrap()), None);
                let key = AuditKey::new(OTHER_KEY).unwrap();
                log = AuditLog::new(audited.dir(), "audit.log", key, rotation)
                    .with_former_keys(former);
            }
            let vault = audited.vault(log);
            for _ in 0..2 {
                vault.reveal(&user("anna")).unwrap();
            }
            let verify = || {
                let keys = [AUDIT_KEY, OTHER_KEY].map(|key| AuditKey::new(key).unwrap());
                let mut keys = AuditKeys::new(keys, None);
                audit::verify(&audited.dir(), "audit.log", &mut keys, None).unwrap()
            };
            assert_eq!(verify().finding, None, "{files} files, {keys} keys");

            forged(&audited.files(), from);
            vault.reveal(&user("anna")).unwrap();
            let verification = verify();
            let finding = verification.finding.clone().unwrap();
            assert_eq!(
                (finding.kind, finding.sequence),
                (FindingKind::UnknownKey, from),
                "{files} files, {keys} keys: {finding}"
            );
            assert!(verification.head(&AuditKey::new(AUDIT_KEY).unwrap()).is_none());
        }
    }
}

/// Appended under the log's own key, whose tags nobody else can make.
#[test]
fn what_was_appended_without_the_key_is_named_though_genuine_entries_follow() {
    let audited = three_operations();
    let last = audited.lines()[5].clone();
    let entry: Value = serde_json::from_str(&last).unwrap();
    let link = support::sha256(last.as_bytes());
    let appended = last
        .replace("\"sequence\":6", "\"sequence\":7")
        .replace(entry["previous"].as_str().unwrap(), &link)
        .replace(entry["mac"].as_str().unwrap(), &"5a".repeat(32));
    fs::write(audited.path(), audited.text() + &appended).unwrap();
    let vault = audited.vault(audited.log(Rotation::default()));
    vault.inspect(&user("anna")).unwrap();
    let finding = audited.verify().finding.unwrap();
    assert_eq!((finding.kind, finding.sequence), (FindingKind::Altered, 7), "{finding}");
    // The next entry says what its writer found.
    let takeover = &serde_json::from_str::<Value>(&audited.lines()[7]).unwrap()["takeover"];
    assert_eq!(
        (&takeover["from_key"], &takeover["verified"]),
        (&entry["audit_key"], &false.into())
    );
}

/// One copy of the live file, one that was set aside later, and one that was made twice: all of it is there once.
/// A genuine log, of another directory under the same key.
#[test]
fn another_log_in_its_place_is_found() {
    let audited = three_operations();
    let head = audited.head();
    let other = three_operations();
    let vault = audited.vault(audited.log(Rotation::default()));
    vault.inspect(&user("anna")).unwrap();
    let files = [audited.path(), audited.path().with_extension("log.000000000007")];

    fs::copy(other.path(), audited.path()).unwrap();
    let finding = audited.verify_against(Some(&head)).finding.unwrap();
    assert_eq!((finding.kind, finding.sequence), (FindingKind::AnotherLog, 1), "{finding}");
    // It is whole, for whoever has nothing to compare it with; a process that wrote the other doesn't go on in it.
    assert_eq!(audited.verify().finding, None);
    let error = vault.inspect(&user("anna")).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Audit);
    assert!(error.to_string().contains("another log"), "{error}");

    // Nor do files of both become one log.
    let set_aside = audited.vault(audited.log(Rotation { size: Some(1), age: None }));
    set_aside.inspect(&user("anna")).unwrap();
    fs::remove_file(&files[0]).unwrap();
    assert!(audited.verify().finding.is_none());
    let mixed = other.path().with_extension("log.000000000007");
    let third = three_operations();
    fs::rename(third.path(), mixed).unwrap();
    assert!(other.verify().finding.is_some());
}

#[test]
fn a_copy_of_a_file_beside_it_is_no_alarm() {
    let audited = three_operations();
    let beside = |name: &str| audited.store.beside("log").join(name);
    fs::copy(audited.path(), beside("audit.log.bak")).unwrap();
    let vault = audited.vault(audited.log(Rotation { size: Some(1), age: None }));
    vault.inspect(&user("anna")).unwrap();
    fs::copy(audited.path(), beside("audit.log-copy")).unwrap();
    fs::copy(audited.path(), beside("audit.log.copy")).unwrap();
    let verification = audited.verify();
    let (entries, finding) = (verification.entries, verification.finding);
    assert_eq!((entries, finding), (8, None));
    assert_eq!(audit::operations(&audited.dir(), "audit.log").unwrap().count(), 4);
    // What is not a copy is.
    let text = audited.text();
    fs::write(beside("audit.log.copy"), text.replace("anna", "bert")).unwrap();
    assert!(audited.verify().finding.is_some());
}

/// What happens to a log in its life.
#[derive(Clone, Copy, Debug)]
enum Happens {
    /// Operations by a program that starts anew, under one of two keys; it has the other as well.
    Program { other_key: bool, operations: usize },
    /// The live file is set aside.
    SetAside,
    /// The live file is copied.
    Copied,
    /// The oldest of the files that were set aside is removed.
    OldestRemoved,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        4 => (any::<bool>(), 1..4_usize)
            .prop_map(|(other_key, operations)| Happens::Program { other_key, operations }),
        1 => Just(Happens::SetAside),
        1 => Just(Happens::Copied),
        1 => Just(Happens::OldestRemoved),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(if support::long() { 1_000 } else { 50 })
    })]

    /// Verified with the key of the last program, and with both.
    #[test]
    fn no_history_is_taken_for_a_forgery(history in prop::collection::vec(happens(), 1..12)) {
        let audited = Audited::new();
        let place = |name: String| audited.store.beside("log").join(name);
        let mut last = AUDIT_KEY;
        for (number, happens) in history.iter().enumerate() {
            match *happens {
                Happens::Program { other_key, operations } => {
                    let (own, other) =
                        if other_key { (OTHER_KEY, AUDIT_KEY) } else { (AUDIT_KEY, OTHER_KEY) };
                    last = own;
                    let [own, other] = [own, other].map(|key| AuditKey::new(key).unwrap());
                    let log = AuditLog::new(audited.dir(), "audit.log", own, Rotation::default())
                        .with_former_keys(AuditKeys::new([other], None));
                    let vault = audited.vault(log);
                    (0..operations).for_each(|_| drop(vault.inspect(&user("anna"))));
                }
                Happens::SetAside => {
                    let _ = fs::rename(audited.path(), place(format!("audit.log.{number:03}")));
                }
                Happens::Copied => {
                    let _ = fs::copy(audited.path(), place(format!("audit.log-{number:03}")));
                }
                Happens::OldestRemoved => audited.remove_oldest(),
            }
        }
        for keys in [vec![last], vec![AUDIT_KEY, OTHER_KEY]] {
            let keys = keys.iter().map(|key| AuditKey::new(key).unwrap());
            let mut keys = AuditKeys::new(keys, None);
            let verified = audit::verify(&audited.dir(), "audit.log", &mut keys, None).unwrap();
            prop_assert!(verified.finding.is_none(), "{:?}", verified.finding);
        }
    }
}

#[test]
fn the_program_names_the_first_fault() {
    let audited = Audited::new();
    expect(0, &audited.put("anna"));
    expect(0, &run(&mut audited.moat(&["get", "anna"])));
    let head = audited.store.beside("head.json");
    let (printed, _) = expect(0, &run(&mut audited.moat(&["audit", "head"])));
    fs::write(&head, &printed).unwrap();
    let verify = ["audit", "verify", "--head", head.to_str().unwrap()];
    let (stdout, _) = expect(0, &run(&mut audited.moat(&verify)));
    assert_eq!(stdout, "intact: 4 entries in 1 file, and it contains the head\n");

    let lines = audited.lines();
    let faults: [(&str, String, &str); 5] = [
        ("altered", lines.concat().replacen("\"anna\"", "\"bert\"", 1), "entry 1 was altered"),
        ("missing", [&lines[..1], &lines[2..]].concat().concat(), "entry 2 is missing"),
        (
            "reordered",
            [&lines[..1], &lines[2..3], &lines[1..2], &lines[3..]].concat().concat(),
            "entry 3 comes before entry 2",
        ),
        (
            "inserted",
            [&lines[..2], &lines[..1], &lines[2..]].concat().concat(),
            "a copy of entry 1 was inserted before entry 3",
        ),
        ("cut", lines[..3].concat(), "it ends with entry 3, but the head is of entry 4"),
    ];
    for (kind, text, message) in faults {
        fs::write(audited.path(), text).unwrap();
        let (_, stderr) = expect(10, &run(&mut audited.moat(&verify)));
        assert!(stderr.contains(message), "{kind}: {stderr}");
        let value = json(&run(audited.moat(&verify).arg("--json")), 10);
        assert_eq!(value["finding"]["kind"], kind);
        assert_eq!(value["whole"], false);
    }
    // A head that somebody made up.
    fs::write(&head, printed.replace("\"sequence\":4", "\"sequence\":3")).unwrap();
    let (_, stderr) = expect(10, &run(&mut audited.moat(&verify)));
    assert!(stderr.contains("the head was altered after it was signed"), "{stderr}");
}

#[test]
fn eight_processes_write_one_chain_even_when_they_are_killed() {
    const PROCESSES: usize = 8;
    const EACH: usize = 130;
    let audited = Audited::new();
    expect(0, &audited.put("anna"));
    let begun = Instant::now();
    let workers: Vec<_> = (0..PROCESSES)
        .map(|number| {
            let mut shell = Command::new("bash");
            audited.store.surround(&mut shell);
            audited.surround(&mut shell).env("MOAT", MOAT.as_str()).stdout(Stdio::null()).stderr(Stdio::piped());
            // Every tenth needs the key; the first two shells' programs are killed at times.
            let script = format!(
                r#"set -m
                for ((n = 0; n < {EACH}; n++)); do
                    if ((n % 10 == 0)); then verb=get; else verb=inspect; fi
                    "$MOAT" "$verb" anna &
                    if (({number} < 2 && n % 5 == 0)); then sleep 0.0$((RANDOM % 30 + 10)); kill -9 $! || true; fi
                    wait $! || true
                done"#
            );
            shell.args(["-c", &script]).spawn().unwrap()
        })
        .collect();
    for worker in workers {
        assert!(worker.wait_with_output().unwrap().status.success());
    }
    let verification = audited.verify();
    assert_eq!(verification.finding, None, "{:?}", verification.notes);
    let operations = audited.operations();
    let unfinished = operations.iter().filter(|operation| operation.outcome.is_none()).count();
    assert!(operations.iter().all(|operation| operation.intent.is_some()));
    let kills = 2 * EACH.div_ceil(5);
    let done = operations.len();
    assert!(done <= PROCESSES * EACH + 1 && done >= PROCESSES * EACH + 1 - kills, "{done}");
    assert!(unfinished <= kills, "{unfinished} unfinished of {kills} killed");
    println!("{done} operations, {unfinished} unfinished, in {:?}", begun.elapsed());

    let shown =
        json(&run(&mut audited.moat(&["audit", "show", "--json", "--outcome", "unfinished"])), 0);
    assert_eq!(shown["operations"].as_array().unwrap().len(), unfinished);
    assert_eq!(shown["summary"]["unfinished"], unfinished);
    let (text, _) = expect(0, &run(&mut audited.moat(&["audit", "show", "--user", "anna"])));
    assert_eq!(text.matches("UNFINISHED").count(), unfinished);
}

/// Runs a script with the log's directory on a full disk of its own.
fn on_a_full_disk(audited: &Audited, script: &str) -> Output {
    let mount = r#"
        log=$(dirname "$FOSSAWORK_AUDIT_LOG")
        mount -t tmpfs -o mode=700,size=512k tmpfs "$log"
        try() { code=0; "$@" >"$BESIDE/stdout" || code=$?; echo "$2 exit $code, $(grep -c horse "$BESIDE/stdout") secrets"; }
    "#;
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "--mount", "bash", "-euc"])
        .arg(mount.to_owned() + script);
    audited.store.surround(&mut command);
    run(audited
        .surround(&mut command)
        .env("MOAT", MOAT.as_str())
        .env("BESIDE", audited.store.beside("")))
}

#[test]
fn without_room_for_the_log_nothing_is_released_or_changed() {
    let audited = Audited::new();
    audited.store.put("anna", "horse");
    let before = fs::read(audited.store.file("anna")).unwrap();
    write_private(
        &audited.store.file("bert"),
        br#"{"user_id":"bert","username":"b","password":"p"}"#,
    );
    let plain = fs::read(audited.store.file("bert")).unwrap();
    expect(0, &run(&mut audited.store.moat(&["rotate", "--user", "anna"])));
    let names = audited.store.names();
    let output = on_a_full_disk(
        &audited,
        r#"
        "$MOAT" get anna --field password >/dev/null
        cat /dev/zero > "$log/filler" 2>/dev/null || true
        cp "$FOSSAWORK_AUDIT_LOG" "$BESIDE/before"
        try "$MOAT" get anna --field password
        try "$MOAT" exec anna -- true
        try "$MOAT" touch anna
        try "$MOAT" mark anna --valid
        try "$MOAT" delete anna
        try "$MOAT" verify
        try "$MOAT" migrate
        try "$MOAT" rotate
        code=0; printf other | "$MOAT" put anna --username x --password-stdin || code=$?; echo "put exit $code"
        code=0; "$MOAT" check || code=$?; echo "check exit $code"
        cmp "$FOSSAWORK_AUDIT_LOG" "$BESIDE/before" && echo same
        try "$MOAT" get anna --field password --audit best-effort
        try "$MOAT" get anna --field password --audit off
        rm "$log/filler"
        try "$MOAT" get anna --field password
        "$MOAT" audit verify
        "#,
    );
    let (stdout, stderr) = expect(0, &output);
    for verb in ["get", "exec", "touch", "mark", "delete", "verify", "migrate", "rotate"] {
        assert!(
            stdout.contains(&format!("{verb} exit 10, 0 secrets")),
            "{verb}\n{stdout}\n{stderr}"
        );
    }
    for line in ["put exit 10", "check exit 1", "same", "get exit 0, 1 secrets"] {
        assert!(stdout.contains(line), "{line}\n{stdout}\n{stderr}");
    }
    assert!(
        stdout.contains("can't be written, nothing was done: No space left on device"),
        "{stdout}"
    );
    assert_eq!(stdout.matches("get exit 0, 1 secrets").count(), 3, "{stdout}");
    assert!(stdout.ends_with("in 1 file\n"), "{stdout}");
    assert!(stderr.contains("hint: free some space on the disk of the audit log"), "{stderr}");
    assert!(stderr.contains("warning: the audit log \"audit.log\" can't be written"), "{stderr}");
    assert_eq!(fs::read(audited.store.file("anna")).unwrap(), before);
    assert_eq!(fs::read(audited.store.file("bert")).unwrap(), plain);
    assert_eq!(audited.store.names(), names);
}

/// The intent goes through, and everything from then on fails, or the program is killed.
#[test]
fn an_outcome_that_is_not_durable_releases_nothing() {
    let Some(strace) = tool("strace") else { return };
    let audited = Audited::new();
    expect(0, &audited.put("anna"));
    let before = fs::read(audited.store.file("anna")).unwrap();
    for (fault, verb, expected) in [
        (
            "fdatasync:error=EIO:when=1",
            ["get", "anna", "--field", "password"].as_slice(),
            "its answer is withheld",
        ),
        ("fdatasync:error=EIO:when=1", &["touch", "anna"], "nothing was done"),
        (
            "fallocate:error=ENOSPC:when=1",
            &["get", "anna", "--field", "password"],
            "nothing was done",
        ),
        ("flock:error=EIO:when=1", &["get", "anna", "--field", "password"], "nothing was done"),
    ] {
        let mut strace = strace.command();
        strace.args(["-qq", "-f", "-o", "/dev/null", "-e", &format!("inject={fault}")]);
        let mut command = audited.store.moat_under(strace, verb);
        let (stdout, stderr) = expect(10, &run(audited.surround(&mut command)));
        assert_eq!(stdout, "", "{fault}");
        assert!(stderr.contains(expected), "{fault} {verb:?}: {stderr}");
        assert_eq!(fs::read(audited.store.file("anna")).unwrap(), before);
    }
    expect(0, &run(&mut audited.moat(&["get", "anna"])));
    assert_eq!(audited.verify().finding, None);
}

#[test]
fn what_a_crash_cuts_off_is_chained_over() {
    let audited = three_operations();
    let lines = audited.lines();
    let whole = lines.concat();
    for cut in [1, 40, lines[5].len() - 2, lines[5].len() - 1] {
        fs::write(audited.path(), &whole[..whole.len() - cut]).unwrap();
        let verification = audited.verify();
        assert_eq!(verification.finding, None, "{cut}");
        assert_eq!((verification.entries, verification.notes.len()), (5, 1), "{cut}");
        let vault = audited.vault(audited.log(Rotation::default()));
        vault.inspect(&user("anna")).unwrap();
        let verification = audited.verify();
        assert_eq!(verification.finding, None, "{cut}");
        // Without its line break an entry is whole.
        let expected = if cut == 1 { (8, 0) } else { (7, 1) };
        assert_eq!((verification.entries, verification.notes.len()), expected, "{cut}");
        // It is part of the chain from now on.
        let text = audited.text();
        let torn = whole.len() - lines[5].len();
        let mut altered = text.clone().into_bytes();
        altered[torn] ^= 1;
        fs::write(audited.path(), altered).unwrap();
        assert_eq!(audited.verify().finding.unwrap().kind, FindingKind::Altered, "{cut}");
    }
}

/// And it is set aside before anybody has gone on, or a new file is cut off at its beginning.
#[test]
fn what_a_crash_cuts_off_around_a_rotation_is_chained_over() {
    for cut in [1, 40] {
        for begun in ["", "{\"seq", "{\"sequence\":5,\"time\":\"20"] {
            let audited = three_operations();
            let whole = audited.text();
            fs::write(audited.path().with_extension("log.1"), &whole[..whole.len() - cut]).unwrap();
            write_private(&audited.path(), begun.as_bytes());
            let vault = audited.vault(audited.log(Rotation::default()));
            vault.inspect(&user("anna")).unwrap();
            let verification = audited.verify();
            assert_eq!(verification.finding, None, "{cut} {begun}");
            assert_eq!((verification.entries, verification.files), (7, 2), "{cut} {begun}");
        }
    }
    // The very first entry of all.
    let audited = three_operations();
    write_private(&audited.path(), b"{\"sequence\":1,\"ti");
    audited.vault(audited.log(Rotation::default())).inspect(&user("anna")).unwrap();
    let verification = audited.verify();
    assert_eq!((verification.finding, verification.entries), (None, 2));
    assert_eq!(verification.notes.len(), 1);
}

#[test]
fn the_chain_goes_on_from_file_to_file() {
    let audited = Audited::new();
    let rotation = Rotation { size: Some(3000), age: None };
    let vault = audited.vault(audited.log(rotation));
    let horse = Credential::new("someone", "horse");
    vault.put(&user("anna"), &horse, &PutOptions::default()).unwrap();
    // Somebody else, who doesn't know that the files change.
    let plain = audited.vault(audited.log(Rotation::default()));
    for _ in 0..20 {
        vault.inspect(&user("anna")).unwrap();
        plain.inspect(&user("anna")).unwrap();
    }
    // As logrotate does it.
    fs::rename(audited.path(), audited.path().with_extension("log.1")).unwrap();
    plain.inspect(&user("anna")).unwrap();
    let verification = audited.verify();
    assert_eq!((verification.finding, verification.entries), (None, 84));
    assert!(verification.files > 5, "{}", verification.files);
    let mut files: Vec<_> = fs::read_dir(audited.store.beside("log"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.iter().all(|file| fs::metadata(file).unwrap().len() < 6000));

    // The oldest may be removed; any other is missed.
    let aside = |file: &Path| {
        file.with_file_name(format!("x{}", file.file_name().unwrap().to_str().unwrap()))
    };
    for (number, file) in files.iter().enumerate().skip(1) {
        fs::rename(file, aside(file)).unwrap();
        let verification = audited.verify();
        let name = file.file_name().unwrap().to_str().unwrap();
        if name == "audit.log.000000000001" {
            assert_eq!((verification.finding, verification.notes.len()), (None, 1));
        } else if let Some(finding) = verification.finding {
            assert_eq!(finding.kind, FindingKind::Missing, "{number} {name}");
        } else {
            panic!("{name} is not missed");
        }
        fs::rename(aside(file), file).unwrap();
    }
    let age = Rotation { size: None, age: Some(Duration::ZERO) };
    let files = audited.verify().files;
    audited.vault(audited.log(age)).inspect(&user("anna")).unwrap();
    assert_eq!(audited.verify().files, files + 2);
}

/// Not on the path of everybody.
const LOGROTATE: &str = "/usr/sbin/logrotate";

/// The tool that sets a log aside, with the file that is shipped for it.
fn logrotate(tool: Tool, audited: &Audited, compresses: bool) -> Command {
    let shipped = support::tests().join("../host/units/logrotate.d/moat");
    let path = audited.path().display().to_string();
    let text = fs::read_to_string(shipped).unwrap().replace("/var/log/moat/audit.log", &path);
    let compress = if compresses { "compress\ndelaycompress" } else { "nocompress" };
    let text = text.replace("nocompress", compress);
    let configuration = audited.store.beside("logrotate.conf");
    write_private(&configuration, text.as_bytes());
    let mut logrotate = tool.command();
    logrotate.arg("--force").arg("--state").arg(audited.store.beside("state")).arg(configuration);
    logrotate
}

#[test]
fn a_log_that_is_set_aside_while_it_is_verified_is_whole() {
    let Some(tool) = tool(LOGROTATE) else { return };
    for compresses in [true, false] {
        let audited = three_operations();
        let vault = audited.vault(audited.log(Rotation::default()));
        let mut logrotate = logrotate(tool, &audited, compresses);
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let verifying = scope.spawn(|| {
                let (mut last, mut times) = (Some(6), 0);
                while !is_over.load(Ordering::Relaxed) {
                    let verification = audited.verify();
                    assert_eq!(verification.finding, None, "{:?}", verification.notes);
                    assert!(verification.last() >= last, "{:?}", verification.notes);
                    last = verification.last();
                    times += 1;
                }
                println!("verified {times} times");
            });
            for _ in 0..if support::long() { 300 } else { 30 } {
                vault.inspect(&user("anna")).unwrap();
                expect(0, &run(&mut logrotate));
            }
            is_over.store(true, Ordering::Relaxed);
            verifying.join().unwrap();
        });
    }
}

#[test]
fn a_log_that_logrotate_sets_aside_as_it_is_told_here_is_read_whole() {
    let Some(tool) = tool(LOGROTATE) else { return };
    let audited = three_operations();
    let vault = audited.vault(audited.log(Rotation::default()));
    let mut logrotate = logrotate(tool, &audited, false);
    for turn in 1..=3 {
        expect(0, &run(&mut logrotate));
        vault.inspect(&user("anna")).unwrap();
        let verification = audited.verify();
        assert_eq!((verification.finding, verification.entries), (None, 6 + 2 * turn));
        assert_eq!(verification.notes, Vec::<String>::new());
    }
}

#[test]
fn logrotate_breaks_no_chain() {
    let Some(tool) = tool(LOGROTATE) else { return };
    let audited = three_operations();
    let vault = audited.vault(audited.log(Rotation::default()));
    let mut logrotate = logrotate(tool, &audited, true);
    for turn in 1..=3 {
        expect(0, &run(&mut logrotate));
        vault.inspect(&user("anna")).unwrap();
        let verification = audited.verify();
        assert_eq!(verification.finding, None, "turn {turn}");
        // All but the newest one of those that were set aside are compressed.
        assert_eq!(verification.entries, if turn == 1 { 8 } else { 4 }, "turn {turn}");
        assert_eq!(verification.last(), Some(6 + 2 * turn));
    }
    let log = audited.store.beside("log");
    let unpack = Command::new("sh").args(["-c", "gunzip *.gz"]).current_dir(log).output().unwrap();
    expect(0, &unpack);
    let verification = audited.verify();
    assert_eq!((verification.finding, verification.entries), (None, 12));
    assert_eq!(verification.notes, Vec::<String>::new());
}

/// A log in more files than a process may open, and no file under its name yet, as right after a rotation.
/// A log of an entry in each file.
fn in_many_files(files: usize) -> Audited {
    let audited = Audited::new();
    audited.store.put("anna", "horse");
    let vault = audited.vault(audited.log(Rotation { size: Some(1), age: None }));
    (0..files / 2).for_each(|_| drop(vault.inspect(&user("anna")).unwrap()));
    audited
}

#[test]
fn a_log_may_have_more_files_than_a_process_may_open() {
    const FILES: usize = 200;
    let audited = in_many_files(FILES);
    let moat = |arguments: &[&str]| {
        let mut shell = Command::new("sh");
        shell.args(["-c", "ulimit -n 64; exec \"$0\" \"$@\"", MOAT.as_str()]).args(arguments);
        audited.store.surround(&mut shell);
        run(audited.surround(&mut shell))
    };
    assert_eq!(expect(0, &moat(&["get", "anna", "--field", "password"])).0, "horse\n");
    let (stdout, _) = expect(0, &moat(&["audit", "verify"]));
    assert_eq!(stdout, format!("intact: {} entries in {FILES} files\n", FILES + 2));
    let (stdout, _) = expect(0, &moat(&["audit", "show"]));
    assert!(
        stdout.ends_with(&format!("{} done, 0 failed, 0 unfinished\n", FILES / 2 + 1)),
        "{stdout}"
    );
    let (stdout, _) = expect(0, &moat(&["audit", "report"]));
    assert!(stdout.contains(&format!("in {} operations", FILES / 2 + 1)), "{stdout}");
    let head = json(&moat(&["audit", "head"]), 0);
    assert_eq!(head["sequence"], FILES + 2);
    let (stdout, _) = expect(0, &moat(&["check"]));
    assert!(stdout.contains(&format!("intact: {} entries", FILES + 2)), "{stdout}");
}

#[test]
fn a_log_that_is_compressed_is_left_out_and_named() {
    let audited = three_operations();
    let log = audited.store.beside("log");
    for name in ["audit.log.2.gz", "audit.log.3.gz"] {
        write_private(&log.join(name), b"\x1f\x8b not an entry");
    }
    let verification = audited.verify();
    assert_eq!((verification.finding, verification.entries), (None, 6));
    let note = "skipped, because they don't begin with an entry: audit.log.2.gz, audit.log.3.gz";
    assert!(verification.notes[0].starts_with(note), "{:?}", verification.notes);
    assert_eq!(verification.notes.len(), 1, "{:?}", verification.notes);
}

#[test]
fn the_chain_survives_the_rotation_of_keys() {
    let audited = Audited::new();
    let ring = audited.store.beside("ring.json");
    let moat = |arguments: &[&str]| {
        let mut command = audited.moat(arguments);
        command.env_remove("FOSSAWORK_MASTER_KEY").env_remove("FOSSAWORK_AUDIT_KEY_FILE");
        run(command.arg("--keyring").arg(&ring))
    };
    expect(0, &moat(&["keys", "add", "--id", "first"]));
    let put = ["put", "anna", "--username", "someone", "--password-stdin"];
    let mut command = audited.moat(&put);
    command.env_remove("FOSSAWORK_MASTER_KEY").env_remove("FOSSAWORK_AUDIT_KEY_FILE");
    expect(0, &run_with_input(command.arg("--keyring").arg(&ring), "horse"));
    expect(0, &moat(&["keys", "add", "--id", "second", "--primary"]));
    expect(0, &moat(&["rotate"]));
    let ids: BTreeMap<_, _> = audited
        .lines()
        .iter()
        .map(|line| (serde_json::from_str::<Value>(line).unwrap()["audit_key"].to_string(), ()))
        .collect();
    assert_eq!(ids.len(), 2, "each master key has an audit key of its own");
    expect(0, &moat(&["audit", "verify"]));
    expect(0, &moat(&["keys", "retire", "first"]));
    expect(0, &moat(&["audit", "verify"]));
    // With the key gone, what was under it is held by the entries after.
    expect(0, &moat(&["keys", "erase", "first", "--yes"]));
    expect(0, &moat(&["audit", "verify"]));
    let text = audited.text();
    fs::write(audited.path(), text.replacen("\"anna\"", "\"bert\"", 1)).unwrap();
    let (_, stderr) = expect(10, &moat(&["audit", "verify"]));
    assert!(stderr.contains("entry 1 was altered"), "{stderr}");
    // Alone they prove nothing.
    fs::write(audited.path(), text.split_inclusive('\n').take(2).collect::<String>()).unwrap();
    let (_, stderr) = expect(10, &moat(&["audit", "verify"]));
    assert!(stderr.contains("no key that is given verifies the entries from 1 on"), "{stderr}");
}

#[test]
fn users_can_be_hashed() {
    let audited = Audited::new();
    let hashed =
        |arguments: &[&str]| run(audited.moat(arguments).env("FOSSAWORK_AUDIT_HASH_USERS", "1"));
    audited.store.put("anna", "horse");
    expect(0, &hashed(&["get", "anna"]));
    expect(3, &hashed(&["get", "bert"]));
    let text = audited.text();
    assert!(!text.contains("anna") && !text.contains("bert"), "{text}");
    let value = json(&hashed(&["audit", "hash", "anna", "--json"]), 0);
    let hash = value["hashes"][0]["user_hash"].as_str().unwrap();
    assert_eq!(text.matches(hash).count(), 2);
    let shown = json(&hashed(&["audit", "show", "--user", "anna", "--json"]), 0);
    assert_eq!(shown["summary"]["done"], 1);
    assert_eq!(shown["operations"][0]["user_hash"], hash);
    expect(0, &hashed(&["audit", "verify"]));
}

#[test]
fn show_takes_filters() {
    let audited = Audited::new();
    expect(0, &audited.put("anna"));
    expect(0, &audited.put("bert"));
    expect(0, &run(&mut audited.moat(&["get", "anna", "--field", "password"])));
    expect(3, &run(&mut audited.moat(&["get", "nobody"])));
    let count = |filter: &[&str]| {
        let mut show = audited.moat(&["audit", "show", "--json"]);
        json(&run(show.args(filter)), 0)["operations"].as_array().unwrap().len()
    };
    assert_eq!(count(&[]), 4);
    assert_eq!(count(&["--user", "anna"]), 2);
    assert_eq!(count(&["--operation", "put"]), 2);
    assert_eq!(count(&["--outcome", "done"]), 3);
    assert_eq!(count(&["--outcome", "failed"]), 1);
    assert_eq!(count(&["--outcome", "not-found", "--user", "nobody"]), 1);
    assert_eq!(count(&["--outcome", "unfinished"]), 0);
    assert_eq!(count(&["--since", "1h"]), 4);
    assert_eq!(count(&["--until", "1h"]), 0);
    assert_eq!(count(&["--since", "2020-01-01", "--until", "2020-01-01T12:00:00+02:00"]), 0);
    let (_, stderr) =
        expect(2, &run(&mut audited.moat(&["audit", "show", "--since", "yesterday"])));
    assert!(stderr.contains("not an age such as 7d or a time"), "{stderr}");
    expect(2, &run(&mut audited.moat(&["audit", "show", "--operation", "steal"])));
    let (_, stderr) =
        expect(2, &run(audited.moat(&["audit", "show"]).env_remove("FOSSAWORK_AUDIT_LOG")));
    assert!(stderr.contains("no audit log is specified"), "{stderr}");
}

/// Writes a log of made up times, as if it had been written then.
fn history(audited: &Audited, entries: &[(&str, &str, &str, &str)]) {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let key = AuditKey::new(AUDIT_KEY).unwrap();
    let (mut text, mut last) = (String::new(), String::new());
    for (n, (time, actor, user, outcome)) in (1..).zip(entries) {
        let operation = if *actor == "plugin" { "apply" } else { "reveal" };
        let log = if n == 1 { format!("\"log\":\"{n:032x}\",") } else { String::new() };
        let line = format!(
            "{{\"sequence\":{n},\"time\":\"{time}\",{log}\"id\":\"{n:016x}\",\"phase\":\"outcome\",\
             \"operation\":\"{operation}\",\"user\":\"{user}\",\"actor\":\"{actor}\",\"outcome\":\"{outcome}\",\
             \"duration_us\":1,\"audit_key\":\"{}\",\"previous\":\"{}\"",
            key.id(),
            hex(&Sha256::digest(&last)),
        );
        let mac = Hmac::<Sha256>::new_from_slice(AUDIT_KEY).unwrap();
        let mac = mac.chain_update(b"moat audit entry v1\0").chain_update(&line).finalize();
        last = format!("{line},\"mac\":\"{}\"}}\n", hex(&mac.into_bytes()));
        text += &last;
    }
    write_private(&audited.path(), text.as_bytes());
}

#[test]
fn report_names_what_is_worth_a_look() {
    let audited = Audited::new();
    let mut entries = vec![
        ("2026-01-01T10:00:00.000000Z", "uid:1", "anna", "done"),
        ("2026-01-02T10:00:00.000000Z", "uid:1", "bert", "done"),
        ("2026-05-02T10:00:00.000000Z", "uid:1", "bert", "done"),
        ("2026-05-02T10:00:01.000000Z", "uid:1", "bert", "done"),
        ("2026-06-02T11:00:00.000000Z", "uid:1", "anna", "done"),
        ("2026-06-02T11:01:00.000000Z", "uid:2", "bert", "done"),
        ("2026-06-02T11:02:00.000000Z", "plugin", "anna", "done"),
    ];
    entries.extend([("2026-06-03T12:00:00.000000Z", "uid:1", "carl", "wrong-key-or-tampered"); 6]);
    entries.extend([("2026-06-04T03:10:00.000000Z", "uid:1", "bert", "done"); 12]);
    history(&audited, &entries);
    let report =
        json(&run(&mut audited.moat(&["audit", "report", "--since", "2026-06-01", "--json"])), 0);
    let found: Vec<_> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["message"].as_str().unwrap())
        .collect();
    let expected = [
        "uid:1 used anna on 2026-06-02, after 152 days without any use",
        "uid:2 used bert for the first time, on 2026-06-02",
        "plugin used anna for the first time, on 2026-06-02",
        "6 of 6 operations on carl failed: 6 wrong-key-or-tampered",
        "credentials were used 12 times in the hour from 2026-06-04T03:00 UTC",
    ];
    assert_eq!(found, expected);
    assert_eq!(report["summary"]["operations"], 21);
    assert_eq!(report["summary"]["uses_by_hour"][3], 12);
    let (text, _) =
        expect(0, &run(&mut audited.moat(&["audit", "report", "--since", "2026-06-01"])));
    assert!(text.contains("▁▁▁█▁▁▁▁▁▁▁▃▁▁▁▁▁▁▁▁▁▁▁▁"), "{text}");
    // What was long ago is no news, and with nothing to compare with there is no stranger.
    let report = json(&run(&mut audited.moat(&["audit", "report", "--json"])), 0);
    assert_eq!(report["findings"].as_array().unwrap().len(), 0);
    let report = json(
        &run(&mut audited.moat(&[
            "audit",
            "report",
            "--since",
            "2025-01-01",
            "--hours",
            "0-24",
            "--json",
        ])),
        0,
    );
    let kinds: Vec<_> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["dormant", "dormant", "failures"]);
}

#[test]
fn what_can_not_be_is_refused_with_the_way_out() {
    let audited = Audited::new();
    audited.store.put("anna", "horse");
    let refused = |code: i32, change: &dyn Fn(&mut Command) -> &mut Command, message: &str| {
        let mut command = audited.moat(&["get", "anna", "--field", "password"]);
        change(&mut command);
        let (stdout, stderr) = expect(code, &run(&mut command));
        assert_eq!(stdout, "");
        assert!(stderr.contains(message), "{message}: {stderr}");
    };
    let inside = audited.store.path().join("audit.log");
    refused(
        2,
        &|c| c.env("FOSSAWORK_AUDIT_LOG", &inside),
        "the audit log is in the credentials directory",
    );
    refused(
        10,
        &|c| c.env("FOSSAWORK_AUDIT_LOG", "/nowhere/audit.log"),
        "opening the directory of /nowhere/audit.log",
    );
    refused(
        2,
        &|c| c.env_remove("FOSSAWORK_AUDIT_LOG").env("FOSSAWORK_AUDIT", "required"),
        "no audit log is specified",
    );
    refused(
        2,
        &|c| c.env("FOSSAWORK_AUDIT", "sometimes"),
        "FOSSAWORK_AUDIT: expected off, best-effort or required",
    );
    refused(
        2,
        &|c| c.env("FOSSAWORK_AUDIT_MAX_SIZE", "huge"),
        "FOSSAWORK_AUDIT_MAX_SIZE: not a size",
    );
    write_private(&audited.store.beside("short"), b"short\n");
    refused(
        10,
        &|c| c.env("FOSSAWORK_AUDIT_KEY_FILE", audited.store.beside("short")),
        "the audit key has fewer than 16 bytes",
    );
    refused(4, &|c| c.env("FOSSAWORK_AUDIT_KEY_FILE", "/nowhere"), "/nowhere: No such file");

    // What stands where the log is to be.
    fs::create_dir(audited.path()).unwrap();
    refused(10, &|c| c, "can't be written, nothing was done: Is a directory");
    fs::remove_dir(audited.path()).unwrap();
    std::os::unix::fs::symlink(audited.store.beside("elsewhere"), audited.path()).unwrap();
    refused(10, &|c| c, "can't be written, nothing was done: Too many levels of symbolic links");
    assert!(!audited.store.beside("elsewhere").exists());
    fs::remove_file(audited.path()).unwrap();
    write_private(&audited.path(), b"");
    fs::set_permissions(audited.path(), PermissionsExt::from_mode(0o644)).unwrap();
    refused(10, &|c| c, "others can reach it (mode 0644); make it 0600");
    fs::set_permissions(audited.path(), PermissionsExt::from_mode(0o600)).unwrap();
    fs::hard_link(audited.path(), audited.store.beside("second")).unwrap();
    refused(10, &|c| c, "it has a second name");
    fs::remove_file(audited.store.beside("second")).unwrap();
    fs::write(audited.path(), "not a log\n").unwrap();
    refused(10, &|c| c, "there is no entry at its end");
    fs::write(audited.path(), "").unwrap();
    expect(0, &run(&mut audited.moat(&["get", "anna"])));
    assert_eq!(audited.verify().finding, None);
}

#[test]
fn the_log_and_the_policy_are_the_vaults_own_choice() {
    let audited = Audited::new();
    let horse = Credential::new("someone", "horse");
    let closed = AuditLog::new(
        audited.dir(),
        "audit.log",
        AuditKey::new(AUDIT_KEY).unwrap(),
        Rotation::default(),
    );
    fs::create_dir(audited.path()).unwrap();
    let vault = audited.vault(closed.clone());
    let error = vault.put(&user("anna"), &horse, &PutOptions::default()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Audit);
    assert!(!audited.store.file("anna").exists());
    let vault = audited.vault(closed.with_policy(AuditPolicy::BestEffort));
    vault.put(&user("anna"), &horse, &PutOptions::default()).unwrap();
    assert!(audited.store.file("anna").exists());
}

/// Threads that wait for the same sync share it.
#[test]
fn many_callers_share_a_sync() {
    const THREADS: usize = 64;
    const EACH: usize = 20;
    if std::env::var_os("MOAT_AUDIT_THREADS").is_some() {
        return reveal_from_many_threads(THREADS, EACH);
    }
    let Some(strace) = tool("strace") else { return };
    let mut strace = strace.command();
    let trace = tempfile::NamedTempFile::new().unwrap();
    strace.args(["-qq", "-f", "-e", "trace=fdatasync", "-o"]).arg(trace.path());
    strace.arg(std::env::current_exe().unwrap());
    strace
        .args(["--exact", "audit::many_callers_share_a_sync", "--nocapture"])
        .env("MOAT_AUDIT_THREADS", "1");
    expect(0, &run(&mut strace));
    let syncs = fs::read_to_string(trace.path()).unwrap().matches("fdatasync(").count();
    let operations = THREADS * EACH + 1;
    println!("{operations} operations, {syncs} syncs");
    assert!(syncs > 0 && syncs * 4 < operations, "{syncs} syncs for {operations} operations");
}

fn reveal_from_many_threads(threads: usize, each: usize) {
    let audited = Audited::new();
    let vault = audited.vault(audited.log(Rotation::default()));
    let horse = Credential::new("someone", "horse");
    vault.put(&user("anna"), &horse, &PutOptions::default()).unwrap();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..each).for_each(|_| drop(vault.reveal(&user("anna")).unwrap())));
        }
    });
    let verification = audited.verify();
    assert_eq!(
        (verification.finding, verification.entries),
        (None, 2 * (threads * each + 1) as u64)
    );
}

#[test]
fn events_tell_of_the_entries() {
    let audited = Audited::new();
    audited.store.put("anna", "horse");
    let (_, stderr) = expect(0, &run(&mut audited.moat(&["-vv", "get", "anna"])));
    assert_eq!(stderr.matches("debug: audit sequence=").count(), 2, "{stderr}");
}
