//! No key goes that a record still needs, even one that can't be examined just now.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use support::{Store, expect, long, run, run_with_input};

/// A directory of records and a ring of labelled keys, as the program leaves them.
struct Vault {
    store: Store,
    /// The records that decrypted when they were stored and were not deleted since.
    users: BTreeSet<String>,
    obstacles: BTreeMap<String, Obstacle>,
    keys: usize,
}

/// What keeps a sound record from being examined, until it is cleared away.
#[derive(Clone, Copy, Debug)]
enum Obstacle {
    /// A snapshot by `cp -al`.
    HardLink,
    /// A restore as root.
    ForeignOwner,
    /// It has the largest size there is, so that a longer label doesn't fit in.
    TooLarge,
    /// Half of it was overwritten.
    Torn,
    /// It says that it is of a later version.
    UnknownVersion,
}

const OBSTACLES: [Obstacle; 5] = [
    Obstacle::HardLink,
    Obstacle::ForeignOwner,
    Obstacle::TooLarge,
    Obstacle::Torn,
    Obstacle::UnknownVersion,
];

impl Vault {
    fn new() -> Self {
        let vault = Self {
            store: Store::new(),
            users: BTreeSet::new(),
            obstacles: BTreeMap::new(),
            keys: 0,
        };
        fs::create_dir(vault.store.beside("ring")).unwrap();
        fs::set_permissions(vault.store.beside("ring"), PermissionsExt::from_mode(0o700)).unwrap();
        vault
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.store.moat(arguments);
        command
            .env_remove("FOSSAWORK_MASTER_KEY")
            .env("FOSSAWORK_KEYRING", self.store.beside("ring").join("ring.json"));
        command
    }

    fn moat(&self, arguments: &[&str]) -> Output {
        run(&mut self.command(arguments))
    }

    /// Each of these labels is longer than the one before, so that a full record has no room for it.
    fn add_key(&mut self) -> String {
        self.keys += 1;
        let id = self.id(self.keys);
        expect(0, &self.moat(&["keys", "add", "--primary", "--id", &id]));
        id
    }

    fn id(&self, number: usize) -> String {
        format!("key{}", "x".repeat(number))
    }

    fn put(&mut self, user: &str) {
        let mut put = self.command(&["put", user, "--username", user, "--password-stdin"]);
        if run_with_input(&mut put, &password(user)).status.success() {
            self.users.insert(user.to_owned());
        }
    }

    fn obstruct(&mut self, user: &str, obstacle: Obstacle) {
        if !self.users.contains(user) || self.obstacles.contains_key(user) {
            return;
        }
        let file = self.store.file(user);
        let text = fs::read_to_string(&file).unwrap();
        fs::write(self.store.beside(user), &text).unwrap();
        match obstacle {
            Obstacle::HardLink => {
                fs::hard_link(&file, self.store.beside(&format!("{user}.snapshot"))).unwrap();
            }
            Obstacle::ForeignOwner => chown(&file, Some(1000), None).unwrap(),
            Obstacle::TooLarge => {
                let rest = text.trim_end().strip_suffix('}').unwrap();
                let full = 64 * 1024 - rest.len() - r#","x":""}"#.len();
                let text = format!(r#"{rest},"x":"{}"}}"#, "x".repeat(full));
                fs::write(&file, text).unwrap();
            }
            Obstacle::Torn => fs::write(&file, &text[..text.len() / 2]).unwrap(),
            Obstacle::UnknownVersion => {
                let later = text.replace(r#"n":"2.0""#, r#"n":"9.0""#);
                assert_ne!(later, text);
                fs::write(&file, later).unwrap();
            }
        }
        self.obstacles.insert(user.to_owned(), obstacle);
    }

    fn clear(&mut self, user: &str) {
        let Some(obstacle) = self.obstacles.remove(user) else { return };
        let file = self.store.file(user);
        match obstacle {
            Obstacle::HardLink => {
                fs::remove_file(self.store.beside(&format!("{user}.snapshot"))).unwrap();
            }
            Obstacle::ForeignOwner => {
                chown(&file, Some(rustix::process::getuid().as_raw()), None).unwrap();
            }
            // Under a shorter label it may have been rewritten meanwhile.
            Obstacle::TooLarge => {
                let text = fs::read_to_string(&file).unwrap();
                let (rest, filling) = text.split_once(r#","x":"x"#).unwrap();
                let end = filling.trim_start_matches('x').strip_prefix('"').unwrap();
                fs::write(&file, format!("{rest}{end}")).unwrap();
            }
            // As it was before, from a copy: that it may be rewritten meanwhile would be a fault.
            Obstacle::Torn | Obstacle::UnknownVersion => {
                fs::copy(self.store.beside(user), &file).unwrap();
            }
        }
    }

    fn delete(&mut self, user: &str) {
        if !self.obstacles.contains_key(user) && self.users.remove(user) {
            fs::remove_file(self.store.file(user)).unwrap();
        }
    }

    fn expect_all_decrypt(&mut self) {
        for user in self.obstacles.keys().cloned().collect::<Vec<_>>() {
            self.clear(&user);
        }
        for user in &self.users {
            let output = self.moat(&["get", user, "--field", "password"]);
            let shown = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{user} is lost: {shown}");
            assert_eq!(String::from_utf8(output.stdout).unwrap(), password(user) + "\n");
        }
    }
}

fn password(user: &str) -> String {
    format!("the password of {user}")
}

#[derive(Clone, Debug)]
enum Step {
    AddKey,
    Put(usize),
    Rotate,
    /// Rotates while a record is deleted.
    RotateAndDelete(usize),
    TimedRotation,
    Retire(usize),
    Erase(usize),
    Obstruct(usize, usize),
    Clear(usize),
}

const USERS: [&str; 4] = ["anna", "bob", "carl", "dora"];

fn step() -> impl Strategy<Value = Step> {
    let (user, key) = (|| 0..USERS.len(), || 1..4_usize);
    prop_oneof![
        1 => Just(Step::AddKey),
        2 => user().prop_map(Step::Put),
        3 => Just(Step::Rotate),
        1 => user().prop_map(Step::RotateAndDelete),
        1 => Just(Step::TimedRotation),
        4 => key().prop_map(Step::Retire),
        4 => key().prop_map(Step::Erase),
        4 => (user(), 0..OBSTACLES.len()).prop_map(|(user, kind)| Step::Obstruct(user, kind)),
        1 => user().prop_map(Step::Clear),
    ]
}

fn take(vault: &mut Vault, step: &Step) {
    match *step {
        Step::AddKey => drop(vault.add_key()),
        Step::Put(user) if !vault.obstacles.contains_key(USERS[user]) => vault.put(USERS[user]),
        Step::Put(_) => {}
        Step::Rotate => drop(vault.moat(&["rotate"])),
        Step::RotateAndDelete(user) => {
            let mut rotate = vault.command(&["rotate"]);
            let mut child = rotate.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            thread::sleep(Duration::from_millis(10));
            vault.delete(USERS[user]);
            child.wait().unwrap();
        }
        Step::TimedRotation => drop(vault.moat(&["rotate", "--if-older-than", "0s", "--new-key"])),
        Step::Retire(key) => drop(vault.moat(&["keys", "retire", &vault.id(key)])),
        Step::Erase(key) => drop(vault.moat(&["keys", "erase", "--yes", &vault.id(key)])),
        Step::Obstruct(user, kind) => vault.obstruct(USERS[user], OBSTACLES[kind]),
        Step::Clear(user) => vault.clear(USERS[user]),
    }
}

/// Whatever is done to the keys, with records that can't be examined among the others: afterwards each of them decrypts
/// that did before.
#[test]
fn whatever_is_retired_and_erased_every_record_still_decrypts() {
    let cases = if long() { 300 } else { 12 };
    let mut runner =
        TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let steps = prop::collection::vec(step(), 4..14);
    runner
        .run(&steps, |steps| {
            let mut vault = Vault::new();
            vault.add_key();
            USERS.iter().for_each(|user| vault.put(user));
            steps.iter().for_each(|step| take(&mut vault, step));
            vault.expect_all_decrypt();
            Ok(())
        })
        .unwrap();
}

/// The shortest way to lose everything: records that a rotation couldn't reach, and a key that went all the same.
#[test]
fn a_key_stays_as_long_as_a_record_can_not_be_examined() {
    for obstacle in OBSTACLES {
        let mut vault = Vault::new();
        let old = vault.add_key();
        ["anna", "bob"].iter().for_each(|user| vault.put(user));
        vault.obstruct("bob", obstacle);
        vault.add_key();
        vault.moat(&["rotate"]);

        let (_, error) = expect(8, &vault.moat(&["keys", "retire", &old]));
        assert!(error.contains("1 record can't be examined"), "{obstacle:?}: {error}");
        assert!(error.contains(&format!("the key {old:?}: bob\n")), "{obstacle:?}: {error}");
        let timed = vault.moat(&["rotate", "--if-older-than", "9999d"]);
        let (text, warning) = expect(5, &timed);
        assert!(text.contains("retired: none"), "{obstacle:?}: {text}");
        assert!(warning.contains("not retired: 1 record can't be examined"), "{warning}");

        vault.clear("bob");
        expect(0, &vault.moat(&["rotate"]));
        expect(0, &vault.moat(&["keys", "retire", &old]));
        vault.expect_all_decrypt();
    }
}

#[test]
fn a_key_is_not_erased_when_a_record_has_come_back() {
    let mut vault = Vault::new();
    let old = vault.add_key();
    vault.put("anna");
    let backup = fs::read(vault.store.file("anna")).unwrap();
    vault.add_key();
    expect(0, &vault.moat(&["rotate"]));
    expect(0, &vault.moat(&["keys", "retire", &old]));
    fs::write(vault.store.file("anna"), backup).unwrap();

    let (_, error) = expect(8, &vault.moat(&["keys", "erase", "--yes", &old]));
    assert!(error.contains(&format!("1 record is encrypted with the key {old:?}")), "{error}");
    assert!(error.contains(&format!("`moat keys restore {old}`")), "{error}");
    expect(0, &vault.moat(&["keys", "restore", &old]));
    expect(0, &vault.moat(&["rotate"]));
    expect(0, &vault.moat(&["keys", "retire", &old]));
    expect(0, &vault.moat(&["keys", "erase", "--yes", &old]));
    vault.expect_all_decrypt();
}

/// What needs none of the ring's keys doesn't keep one: else a planted file could do so for ever.
#[test]
fn an_unencrypted_record_keeps_no_key() {
    let mut vault = Vault::new();
    let old = vault.add_key();
    vault.put("anna");
    let planted = r#"{"user_id":"bob","encrypted_data":"e30=","crypto_available":false}"#;
    fs::write(vault.store.file("bob"), planted).unwrap();
    vault.add_key();
    expect(5, &vault.moat(&["rotate"]));
    expect(0, &vault.moat(&["keys", "retire", &old]));
    vault.expect_all_decrypt();
}
