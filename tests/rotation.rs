//! `rotate`: from one master key to the next, whatever happens meanwhile.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use moat::{Credential, PutOptions, UserId};
use serde_json::Value;
use support::{KEY, MOAT, Store, expect, long, run, run_with_input, tool, write_private};

const NEW_KEY: &str = "tomorrow's key, which is to be the primary one";

fn password(user: &str) -> String {
    format!("the password of {user}")
}

/// A directory in which so many users have a record under the old key.
fn filled(users: usize, version: &str) -> Store {
    let store = Store::new();
    let vault = store.vault(KEY);
    let options = PutOptions::default().version(version);
    for user in (0..users).map(|n| format!("user{n:04}")) {
        let credential = Credential::new("someone", password(&user));
        vault.put(&UserId::parse(&user).unwrap(), &credential, &options).unwrap();
    }
    store
}

/// The program with the new key as the primary one, and the old one to open with.
fn with_both(store: &Store, arguments: &[&str]) -> Command {
    let mut command = store.moat(arguments);
    command.env("FOSSAWORK_MASTER_KEY", NEW_KEY).env("FOSSAWORK_MASTER_KEY_PREVIOUS", KEY);
    command
}

fn summary(output: &std::process::Output, code: i32) -> Value {
    let (stdout, _) = expect(code, output);
    serde_json::from_str::<Value>(&stdout).unwrap()["summary"].take()
}

fn files(store: &Store) -> BTreeMap<String, Vec<u8>> {
    let names = store.names().into_iter().filter(|name| name.ends_with(".cred"));
    names.map(|name| (name.clone(), fs::read(store.path().join(name)).unwrap())).collect()
}

/// Whether all records open with the new key alone, to what was stored.
fn expect_all_new(store: &Store, users: usize) {
    let vault = store.vault(NEW_KEY);
    let mut found = 0;
    for user in vault.users().map(Result::unwrap) {
        let revealed = vault.reveal(&user).unwrap();
        assert_eq!(revealed.credential().expose_password(), password(user.as_str()));
        found += 1;
    }
    assert_eq!(found, users);
}

#[test]
fn what_is_stale_is_rotated_and_only_that() {
    for version in ["1.0", "2.0"] {
        let store = filled(5, version);
        let before = files(&store);
        let status = summary(&run(&mut with_both(&store, &["rotate", "--status", "--json"])), 0);
        assert_eq!(
            status,
            serde_json::json!({"dry_run": true, "done": 0, "stale": 5, "failed": 0, "keys": [{"id": null, "primary": false, "records": 5}]})
        );
        summary(&run(&mut with_both(&store, &["rotate", "--dry-run", "--json"])), 0);
        assert_eq!(files(&store), before);
        assert!(!store.names().contains(&".moat.batch.lock".to_owned()));

        let one = ["rotate", "--json", "--user", "user0003"];
        assert_eq!(summary(&run(&mut with_both(&store, &one)), 0)["stale"], 1);
        let (text, _) = expect(0, &run(&mut with_both(&store, &["rotate"])));
        assert_eq!(text, "4 rotated, 1 already encrypted with the primary key, 0 failed\n");
        let after = files(&store);
        expect_all_new(&store, 5);

        let again = summary(&run(&mut with_both(&store, &["rotate", "--json"])), 0);
        assert_eq!((&again["done"], &again["stale"]), (&5.into(), &0.into()));
        assert_eq!(files(&store), after, "a record under the primary key was written");
    }
}

#[test]
fn what_does_not_open_is_named_at_the_end_and_left_alone() {
    let store = filled(3, "1.0");
    let record = fs::read_to_string(store.file("user0001")).unwrap();
    let at = record.find("gAAAA").unwrap() + 40;
    let other = if &record[at..=at] == "A" { "B" } else { "A" };
    let damaged = format!("{}{other}{}", &record[..at], &record[at + 1..]);
    fs::write(store.file("user0001"), &damaged).unwrap();
    fs::write(store.file("user0002"), "{").unwrap();

    let (text, _) = expect(5, &run(&mut with_both(&store, &["rotate"])));
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("failed  user0001: no master key decrypts the record"), "{text}");
    assert!(lines[1].starts_with("failed  user0002: the record is not a JSON object"), "{text}");
    assert_eq!(lines[2], "1 rotated, 0 already encrypted with the primary key, 2 failed");
    assert_eq!(fs::read_to_string(store.file("user0001")).unwrap(), damaged);
}

#[test]
fn of_two_at_once_one_works_and_the_other_says_so() {
    let store = filled(40, "1.0");
    let first = with_both(&store, &["rotate", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let lock = store.path().join(".moat.batch.lock");
    let begun = Instant::now();
    while !lock.exists() && begun.elapsed() < Duration::from_secs(10) {
        thread::sleep(Duration::from_millis(1));
    }
    let (_, error) = expect(8, &run(&mut with_both(&store, &["rotate"])));
    assert!(error.contains("another process is migrating or rotating"), "{error}");
    let (_, error) = expect(8, &run(&mut with_both(&store, &["migrate"])));
    assert!(error.contains("another process is migrating or rotating"), "{error}");
    // Whoever writes one record doesn't wait for it.
    expect(0, &run(&mut with_both(&store, &["touch", "user0039"])));
    assert_eq!(summary(&first.wait_with_output().unwrap(), 0)["failed"], 0);
    expect(0, &run(&mut with_both(&store, &["rotate"])));
    expect_all_new(&store, 40);
}

/// Killed at random moments and run again until it is through.
#[test]
fn killed_and_resumed_it_loses_nothing() {
    let (users, kills) = if long() { (1000, 50) } else { (24, 6) };
    let store = filled(users, "1.0");
    let mut killed = 0;
    for turn in 0..kills {
        let mut child = with_both(&store, &["rotate"]).stdout(Stdio::null()).spawn().unwrap();
        // Spread over the time that a whole rotation takes, if not evenly.
        thread::sleep(Duration::from_millis((turn * 7919 + 40) % 900));
        killed += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        // At each moment every record opens with one of the two keys.
        if !long() {
            let verified = summary(&run(&mut with_both(&store, &["verify", "--json"])), 0);
            assert_eq!(verified["ok"], users);
        }
    }
    assert!(killed > 2, "it was always through before it could be killed");
    let last = summary(&run(&mut with_both(&store, &["rotate", "--json"])), 0);
    assert_eq!(last["failed"], 0);
    expect_all_new(&store, users);
    // What the last kill left is gone with the next write, if the last run had none.
    let mut touch = store.moat(&["touch", "user0000"]);
    expect(0, &run(touch.env("FOSSAWORK_MASTER_KEY", NEW_KEY)));
    assert!(!store.names().iter().any(|name| name.starts_with(".moat.tmp")));
}

/// Killed, or failed by the disk, at its calls that change files: every record opens with one of the two keys, and
/// the next run ends what this one began.
#[test]
fn a_crash_or_a_failing_disk_at_any_call_loses_nothing() {
    let Some(strace) = tool("strace") else { return };
    let users = 3;
    let occurrences = if long() { 1..=8 } else { 1..=2 };
    let mut points = 0;
    let mut failed_some = 0;
    for call in ["openat2", "write", "fsync", "renameat"] {
        for occurrence in occurrences.clone() {
            for fault in ["signal=KILL", "error=ENOSPC", "error=EIO"] {
                let store = filled(users, "1.0");
                let mut strace = strace.command();
                let trace = store.beside("trace");
                let inject = format!("inject={call}:{fault}:when={occurrence}");
                strace
                    .args(["-f", "-e", &format!("trace={call}"), "-e", &inject, "-o"])
                    .arg(&trace);
                let mut rotate = store.moat_under(strace, &["rotate"]);
                rotate.env("FOSSAWORK_MASTER_KEY", NEW_KEY);
                let output = run(rotate.env("FOSSAWORK_MASTER_KEY_PREVIOUS", KEY));
                points += 1;
                failed_some += usize::from(!output.status.success());

                let point = format!("{call} {occurrence} {fault}");
                let verified = run(&mut with_both(&store, &["verify", "--json"]));
                assert_eq!(summary(&verified, 0)["ok"], users, "{point}");
                let rest = summary(&run(&mut with_both(&store, &["rotate", "--json"])), 0);
                assert_eq!(rest["failed"], 0, "{point}");
                expect_all_new(&store, users);
            }
        }
    }
    assert!(failed_some > points / 4, "of {points} runs, just {failed_some} failed");
}

/// The timer's run, killed at random moments, and run again as the timer would.
#[test]
fn the_rotation_of_a_ring_by_a_timer_can_be_killed_anywhere() {
    let (users, kills) = if long() { (200, 50) } else { (12, 8) };
    let store = filled(users, "1.0");
    let ring = store.beside("ring.json");
    let moat = |arguments: &[&str]| {
        let mut command = store.moat(arguments);
        command.env_remove("FOSSAWORK_MASTER_KEY").env("FOSSAWORK_KEYRING", &ring);
        command
    };
    let mut add = moat(&["keys", "add", "--id", "old", "--key-stdin"]);
    expect(0, &run_with_input(&mut add, KEY));
    // As if the key were a year old.
    let text = fs::read_to_string(&ring).unwrap();
    let year = text.split("\"added_at\": \"").nth(1).unwrap()[..4].parse::<u32>().unwrap();
    write_private(&ring, text.replace(&year.to_string(), &(year - 1).to_string()).as_bytes());

    let due = ["rotate", "--if-older-than", "90d", "--new-key", "--json"];
    for turn in 0..kills {
        let mut child = moat(&due).stdout(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis((turn * 131 + 5) % 500));
        child.kill().unwrap();
        child.wait().unwrap();
        // Whenever it was: the ring is whole, and its keys in use open every record.
        let (verified, _) = expect(0, &run(&mut moat(&["verify", "--json"])));
        assert!(verified.contains(&format!("\"ok\":{users}")), "{verified}");
    }
    expect(0, &run(&mut moat(&due)));
    let (again, _) = expect(0, &run(&mut moat(&["rotate", "--if-older-than", "90d"])));
    assert!(again.starts_with("nothing to do"), "{again}");
    let (listed, _) = expect(0, &run(&mut moat(&["keys", "list", "--json"])));
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let keys = listed["keys"].as_array().unwrap();
    let states: Vec<_> = keys.iter().map(|key| (&key["state"], &key["records"])).collect();
    assert_eq!(states, [(&"retired".into(), &0.into()), (&"primary".into(), &users.into())]);
}

/// Whoever has an earlier key can still write records with it: before long they would look like any other.
#[test]
fn a_record_that_is_newer_than_the_primary_key_is_named() {
    let store = Store::new();
    let ring = store.beside("ring.json");
    let moat = |ring: &Path, arguments: &[&str], input: &str| {
        let mut command = store.moat(arguments);
        command.env_remove("FOSSAWORK_MASTER_KEY").arg("--keyring").arg(ring);
        expect(0, &run_with_input(&mut command, input))
    };
    let put = |ring: &Path, user: &str| {
        moat(ring, &["put", user, "--username", "someone", "--password-stdin"], "horse");
    };
    fs::create_dir(store.beside("stolen")).unwrap();
    let stolen = store.beside("stolen/ring.json");
    moat(&ring, &["keys", "add", "--id", "old", "--key-stdin"], KEY);
    put(&ring, "anna");
    fs::copy(&ring, &stolen).unwrap();
    moat(&ring, &["keys", "add", "--id", "new", "--key-stdin", "--primary"], NEW_KEY);
    thread::sleep(Duration::from_millis(1_100));
    put(&stolen, "bob");

    for arguments in [&["rotate", "--status"][..], &["rotate"]] {
        let (_, warnings) = moat(&ring, arguments, "");
        assert!(warnings.contains("after new was added"), "{arguments:?}: {warnings}");
        assert!(warnings.trim_end().ends_with("that key: bob"), "{arguments:?}: {warnings}");
    }
    let (_, warnings) = moat(&ring, &["rotate"], "");
    assert!(!warnings.contains("bob"), "{warnings}");
}

/// A pipe can be read only once.
#[test]
fn the_key_may_come_from_a_pipe() {
    let store = filled(1, "1.0");
    let mut shell = Command::new("sh");
    let script = r#"exec "$0" rotate --master-key-file /dev/stdin"#;
    store.surround(shell.args(["-c", script, MOAT.as_str()])).env_remove("FOSSAWORK_MASTER_KEY");
    let (stdout, _) = expect(0, &run_with_input(&mut shell, KEY));
    assert_eq!(stdout, "0 rotated, 1 already encrypted with the primary key, 0 failed\n");
}
