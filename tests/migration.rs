//! `migrate` over whole directories: every legacy kind, what goes wrong, and what must not remain.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use moat::{Credential, PutOptions, TokenEncoding, UserId};
use serde_json::Value;
use support::callers::{Python, python};
use support::{KEY, Store, expect, fixture, long, run, tool, write_private};

/// The key of all samples but three.
const SAMPLE_KEY: &str = "dOeYXjxXfw4nRNKwE-4Pwbdn9R7ctlgGN9weENuP-S0";

/// The samples that can stand in one directory, under one key.
fn samples() -> Vec<Value> {
    let samples = fixture("fossawork-samples.json");
    let cases = samples["cases"].as_array().unwrap();
    cases.iter().filter(|case| case["master_key"] == SAMPLE_KEY).cloned().collect()
}

fn contents(case: &Value) -> Vec<u8> {
    STANDARD.decode(case["content_b64"].as_str().unwrap()).unwrap()
}

/// A directory with all of them.
fn mixed() -> Store {
    let store = Store::new();
    for case in samples() {
        write_private(&store.path().join(case["file"].as_str().unwrap()), &contents(&case));
    }
    store
}

fn migrate(store: &Store, arguments: &[&str]) -> Command {
    let mut command = store.moat(&[&["migrate"], arguments].concat());
    command.env("FOSSAWORK_MASTER_KEY", SAMPLE_KEY);
    command
}

/// What stands in the directory: each file with its inode, times and contents.
fn snapshot(store: &Store) -> BTreeMap<String, (u64, i64, i64, Vec<u8>)> {
    let directory = fs::metadata(store.path()).unwrap();
    let mut files = BTreeMap::from([(
        ".".to_owned(),
        (directory.ino(), directory.mtime(), directory.mtime_nsec(), Vec::new()),
    )]);
    for name in store.names() {
        let path = store.path().join(&name);
        let metadata = fs::metadata(&path).unwrap();
        let contents = fs::read(&path).unwrap();
        files.insert(name, (metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), contents));
    }
    files
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn action<'v>(report: &'v Value, file: &str) -> &'v str {
    let records = report["records"].as_array().unwrap();
    let record = records.iter().find(|record| record["file"] == file).unwrap();
    record["action"].as_str().unwrap()
}

#[test]
fn a_mixed_directory_comes_out_as_each_of_its_files_must() {
    let store = mixed();
    let before = snapshot(&store);
    // What is in the clear is converted with this consent alone.
    let arguments = ["--accept-plaintext", "--json", "--dry-run"];
    let (planned, _) = expect(7, &run(&mut migrate(&store, &arguments)));
    assert_eq!(snapshot(&store), before, "a dry run wrote something");

    let (done, warnings) = expect(7, &run(&mut migrate(&store, &arguments[..2])));
    let (planned, done) = (json(&planned), json(&done));
    for case in samples() {
        let file = case["file"].as_str().unwrap();
        let is_user = file.ends_with(".cred");
        let expected: &[&str] = match case["expect_migrate"].as_str().unwrap() {
            "convert" => &["migrated"],
            "convert_only_with_optin" | "refuse" => &["failed"],
            "noop" | "convert_or_refuse" => &["unchanged", "failed"],
            _ => &["backup", "ignored"],
        };
        assert!(expected.contains(&action(&done, file)), "{file}: {}", action(&done, file));
        assert_eq!(
            action(&planned, file).replace("would migrate", "migrated"),
            action(&done, file)
        );
        if action(&done, file) == "migrated" {
            let mode = fs::metadata(store.path().join(file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        } else {
            assert_eq!(fs::read(store.path().join(file)).unwrap(), contents(&case), "{file}");
        }
        assert!(is_user || matches!(action(&done, file), "backup" | "ignored"));
    }
    let count = |action: &str| {
        let records = done["records"].as_array().unwrap();
        records.iter().filter(|record| record["action"] == action).count()
    };
    for (name, action) in [
        ("migrated", "migrated"),
        ("unchanged", "unchanged"),
        ("failed", "failed"),
        ("backups", "backup"),
        ("ignored", "ignored"),
    ] {
        assert_eq!(done["summary"][name], count(action), "{name}");
        assert_eq!(planned["summary"][name], done["summary"][name], "{name}");
    }
    assert_eq!(count("migrated"), 6);
    assert_eq!(count("backup"), 1);
    assert!(warnings.contains("--remove-plaintext-backups"), "{warnings}");

    // A second time there is nothing more to do.
    let (again, _) = expect(7, &run(&mut migrate(&store, &arguments[..2])));
    assert_eq!(json(&again)["summary"]["migrated"], 0);
}

#[test]
fn with_consent_what_was_under_the_published_key_is_migrated_too() {
    let store = mixed();
    let arguments = ["--accept-default-key", "--json", "--user", "l2-3", "--user", "l2b-2"];
    let (done, _) = expect(0, &run(&mut migrate(&store, &arguments)));
    let summary = &json(&done)["summary"];
    assert_eq!((&summary["migrated"], &summary["failed"]), (&2.into(), &0.into()));
    for user in ["l2-3", "l2b-2"] {
        let mut get = store.moat(&["get", user]);
        expect(0, &run(get.env("FOSSAWORK_MASTER_KEY", SAMPLE_KEY)));
    }
    // Those that weren't named are as they were.
    let mut get = store.moat(&["get", "l2-4"]);
    expect(7, &run(get.env("FOSSAWORK_MASTER_KEY", SAMPLE_KEY)));
}

#[test]
fn no_plaintext_remains() {
    let store = Store::new();
    let legacy: Vec<Value> = samples()
        .into_iter()
        .filter(|case| case["kind"] == "L0" || case["file"].as_str().unwrap().contains(".backup_"))
        .collect();
    assert!(legacy.len() >= 4);
    let mut secrets = Vec::new();
    for case in &legacy {
        let file = case["file"].as_str().unwrap();
        write_private(&store.path().join(file), &contents(case));
        let Some(plaintext) = case["plaintext_json"].as_str() else { continue };
        let parsed = json(plaintext);
        secrets.push(parsed["password"].as_str().unwrap().to_owned());
        secrets.push(plaintext.to_owned());
    }
    // The backup's own user is migrated from the same text.
    let backup = "l0-bak.cred.backup_20250616_130236";
    let copy = fs::read(store.path().join(backup)).unwrap();
    write_private(&store.file("l0-bak"), &copy);

    let arguments = ["--accept-plaintext", "--remove-plaintext-backups", "--dry-run"];
    let before = snapshot(&store);
    expect(0, &run(&mut migrate(&store, &arguments)));
    assert_eq!(snapshot(&store), before);
    let (text, _) = expect(0, &run(&mut migrate(&store, &arguments[..2])));
    assert!(text.contains(&format!("removed        {backup}: ")), "{text}");
    assert!(!store.names().iter().any(|name| name.contains("backup")));

    for name in store.names() {
        let contents = fs::read(store.path().join(&name)).unwrap();
        for secret in &secrets {
            for offset in 0..3 {
                // As text, and in base64 at every offset of its three bytes.
                let padded = [&b"\0\0\0"[..offset], secret.as_bytes()].concat();
                let inner = |text: String| {
                    let whole = text.len() - text.len() % 4;
                    text[4..whole.max(4)].to_owned()
                };
                for encoded in [
                    secret.clone(),
                    inner(STANDARD.encode(&padded)),
                    inner(URL_SAFE.encode(&padded)),
                    inner(URL_SAFE_NO_PAD.encode(&padded)),
                ] {
                    let encoded = encoded.trim_end_matches('=').as_bytes();
                    let encoded = &encoded[..encoded.len().saturating_sub(2)];
                    let found = encoded.len() > 4
                        && contents.windows(encoded.len()).any(|part| part == encoded);
                    assert!(!found, "{name} holds a part of a plaintext");
                }
            }
        }
    }
}

#[test]
fn a_backup_stays_while_its_credential_does_not_open() {
    let store = mixed();
    let (text, _) = expect(7, &run(&mut migrate(&store, &["--remove-plaintext-backups"])));
    assert!(text.contains("kept, because its credential can't be decrypted"), "{text}");
    assert!(store.names().iter().any(|name| name.contains("backup")));
}

/// It is as asked for, but not passed over in silence: a password in the clear is still there.
#[test]
fn a_backup_without_a_credential_stays_with_a_warning() {
    let store = Store::new();
    let backup = store.path().join("gone.cred.backup_20250616_130236");
    write_private(&backup, in_the_clear("gone", "horse").as_bytes());
    let arguments = ["migrate", "--remove-plaintext-backups"];
    let (text, warning) = expect(0, &run(&mut store.moat(&arguments)));
    assert!(
        text.contains("credential can't be decrypted: there is no credential for this user"),
        "{text}"
    );
    assert!(text.contains("0 failed; 1 backups left"), "{text}");
    assert!(warning.contains("each with a password in the clear"), "{warning}");
    assert!(backup.exists());
}

#[test]
fn version_2_and_back_again() {
    let Some(python) = python() else { return };
    let store = Store::new();
    for user in ["anna", "bob", "carl"] {
        store.put(user, &format!("{user}'s password"));
    }
    expect(0, &run(&mut store.moat(&["migrate", "--to", "2.0"])));
    let settings = json(&fs::read_to_string(store.path().join("moat.json")).unwrap());
    assert_eq!(settings["record_version"], "2.0");
    store.put("new", "another");
    for user in ["anna", "bob", "carl", "new"] {
        let record = json(&fs::read_to_string(store.file(user)).unwrap());
        assert_eq!(record["encryption_version"], "2.0");
        for member in ["salt", "rounds"] {
            assert_eq!(record["kdf"][member], settings["kdf"][member], "{user}");
        }
    }
    let (password, _) = expect(0, &run(&mut store.moat(&["get", "anna", "--field", "password"])));
    assert_eq!(password, "anna's password\n");

    // A reader of its own, by the documented steps.
    let mut reader = python.script("read_2_0.py");
    let (read, _) = expect(0, &run(store.surround(&mut reader).arg(store.file("bob"))));
    let read = json(&read);
    assert_eq!(read["password"], "bob's password");
    assert_eq!(read["record"]["user_id"], "bob");
    assert_eq!(read["record"]["write_counter"], 1);

    expect(0, &run(&mut store.moat(&["migrate", "--to", "1.0"])));
    for user in ["anna", "bob", "carl", "new"] {
        let record = json(&fs::read_to_string(store.file(user)).unwrap());
        assert_eq!(record["encryption_version"], "1.0");
        assert!(record.get("kdf").is_none() && record.get("write_counter").is_none());
    }
    expect(0, &run(&mut store.moat(&["verify"])));
    store.put("newer", "another");
    let record = json(&fs::read_to_string(store.file("newer")).unwrap());
    assert_eq!(record["encryption_version"], "1.0");
}

#[test]
fn put_chooses_the_version_for_one_record() {
    let store = Store::new();
    let arguments = ["put", "anna", "--username", "a", "--password-stdin", "--format", "2.0"];
    expect(0, &support::run_with_input(&mut store.moat(&arguments), "secret"));
    store.put("bob", "secret");
    let (anna, _) = expect(0, &run(&mut store.moat(&["inspect", "anna", "--json"])));
    let (bob, _) = expect(0, &run(&mut store.moat(&["inspect", "bob", "--json"])));
    assert_eq!(
        (json(&anna)["encryption_version"].as_str(), json(&anna)["write_counter"].as_u64()),
        (Some("2.0"), Some(1))
    );
    assert_eq!(json(&bob)["encryption_version"], "1.0");
    // Replacing keeps the version and counts on.
    store.put("anna", "another");
    let (anna, _) = expect(0, &run(&mut store.moat(&["inspect", "anna", "--json"])));
    assert_eq!(json(&anna)["write_counter"], 2);
    assert_eq!(store.vault(KEY).users().count(), 2);
}

/// As another program may have written it.
#[test]
fn a_record_of_version_2_may_be_spelled_otherwise() {
    let store = Store::new();
    let vectors = fixture("record-2.0.json");
    let case = &vectors["cases"][0];
    let record = case["record"].as_str().unwrap().replace("\":", "\" : ");
    write_private(&store.file("anna@example.com"), record.as_bytes());
    let mut touch = store.moat(&["touch", "anna@example.com"]);
    touch.env("FOSSAWORK_MASTER_KEY", case["master_key"].as_str().unwrap());
    expect(0, &run(&mut touch));
}

#[test]
fn damaged_settings_are_told_and_nothing_is_written() {
    let store = Store::new();
    store.put("anna", "secret");
    fs::write(store.path().join("moat.json"), "{").unwrap();
    let before = snapshot(&store);
    let arguments = ["put", "bob", "--username", "b", "--password-stdin"];
    let put = support::run_with_input(&mut store.moat(&arguments), "secret");
    let (_, error) = expect(6, &put);
    assert!(error.contains("moat.json is not a JSON object"), "{error}");
    let (_, error) = expect(6, &run(&mut store.moat(&["migrate", "--to", "2.0"])));
    assert!(error.contains("moat.json"), "{error}");
    let mut after = snapshot(&store);
    // Its lock is all that the failed migration left.
    after.remove(".moat.batch.lock");
    after.insert(".".to_owned(), before["."].clone());
    assert_eq!(after, before);
    expect(0, &run(&mut store.moat(&["get", "anna"])));
}

/// What anyone can write who has no key: a record in the clear, with a password of their choice.
fn in_the_clear(user: &str, password: &str) -> String {
    let credential = format!(
        r#"{{"username": "someone", "password": "{password}", "created_at": "2025-02-03T08:09:10", "last_used": null, "is_valid": true, "validation_attempts": 0}}"#
    );
    let encoded = URL_SAFE.encode(credential);
    format!(
        r#"{{"user_id": "{user}", "encrypted_data": "{encoded}", "created_at": "2025-02-03T08:09:10", "crypto_available": false}}"#
    )
}

/// Every place at which a text says to run `moat migrate` without saying what it is to take for genuine.
fn plain_advice(text: &str) -> Vec<&str> {
    let lines = text
        .lines()
        .filter(|line| line.split("moat migrate").skip(1).any(|rest| !rest.starts_with(" --")));
    lines.collect()
}

#[test]
fn a_planted_record_in_the_clear_is_never_taken_for_genuine() {
    let store = Store::new();
    for user in ["anna", "bob"] {
        store.put(user, "genuine");
    }
    // Migrated long since: there is no record of the application's here any more.
    expect(0, &run(&mut store.moat(&["migrate", "--to", "2.0"])));
    let planted = ["bob", "newuser"].map(|user| {
        let record = in_the_clear(user, "chosen by an attacker");
        write_private(&store.file(user), record.as_bytes());
        (user, record)
    });

    let mut printed = String::new();
    for arguments in [
        ["migrate"].as_slice(),
        &["migrate", "--dry-run"],
        &["migrate", "--to", "2.0"],
        &["migrate", "--token-encoding", "app"],
        &["migrate", "--to", "1.0", "--user", "bob"],
        &["migrate", "--accept-default-key"],
        &["migrate", "--remove-plaintext-backups"],
        &["check", "--fix"],
        &["check", "--json"],
        &["rotate"],
        &["verify"],
        &["put", "anna", "--username", "anna", "--password-stdin"],
        &["put", "carl", "--username", "carl", "--password-stdin"],
        &["touch", "bob"],
        &["mark", "newuser", "--valid"],
    ] {
        let output = support::run_with_input(&mut store.moat(arguments), "another");
        printed += &String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        for (user, record) in &planted {
            assert_eq!(fs::read_to_string(store.file(user)).unwrap(), *record, "{arguments:?}");
            let get = ["get", user, "--field", "password"];
            let (_, error) = expect(7, &run(&mut store.moat(&get)));
            assert!(error.contains("compare it with a backup"), "{error}");
            printed += &error;
        }
    }
    assert_eq!(plain_advice(&printed), Vec::<&str>::new());
    assert!(!printed.contains("chosen by"), "{printed}");
    // Whom it concerns may be given a new password right away.
    store.put("bob", "new");
    let (password, _) = expect(0, &run(&mut store.moat(&["get", "bob", "--field", "password"])));
    assert_eq!(password, "new\n");
}

#[test]
fn with_consent_what_was_in_the_clear_is_encrypted_as_the_application_reads_it() {
    let Some(python) = python() else { return };
    let store = Store::new();
    write_private(&store.file("carl"), in_the_clear("carl", "horse").as_bytes());
    let before = snapshot(&store);
    let (text, warning) = expect(7, &run(&mut store.moat(&["migrate", "--dry-run"])));
    assert!(text.contains("carl: this legacy record is not encrypted"), "{text}");
    assert!(text.contains("--accept-plaintext"), "{text}");
    assert!(warning.contains("backup"), "{warning}");
    let arguments = ["migrate", "--accept-plaintext", "--dry-run"];
    let (text, _) = expect(0, &run(&mut store.moat(&arguments)));
    assert!(text.contains("would migrate  carl: was not encrypted"), "{text}");
    assert_eq!(snapshot(&store), before);
    expect(0, &run(&mut store.moat(&arguments[..2])));
    assert_eq!(the_application_reads(&python, &store, "carl"), "horse");
}

/// What the application gets from a record.
fn the_application_reads(python: &Python, store: &Store, user: &str) -> String {
    let mut way = python.script("fossawork_way.py");
    let (password, _) = expect(0, &run(store.surround(&mut way).arg(store.path()).arg(user)));
    password.trim_end().to_owned()
}

#[test]
fn a_directory_comes_to_the_form_that_the_application_reads_and_back() {
    let Some(python) = python() else { return };
    let store = legacy(6);
    let app = ["migrate", "--accept-plaintext", "--token-encoding", "app"];
    let before = snapshot(&store);
    let dry_run = [&app[..], &["--dry-run"]].concat();
    let (text, _) = expect(0, &run(&mut store.moat(&dry_run)));
    assert!(text.contains("would migrate  user0002: token had the documented encoding"), "{text}");
    assert_eq!(snapshot(&store), before);

    let (text, _) = expect(0, &run(&mut store.moat(&app)));
    assert!(text.contains("migrated       user0002: token had the documented encoding"), "{text}");
    store.put("new", &password("new"));
    let names = store.names();
    let users = names.iter().filter_map(|name| name.strip_suffix(".cred"));
    for user in users {
        assert_eq!(the_application_reads(&python, &store, user), password(user));
    }
    let before = records(&store);
    let (text, _) = expect(0, &run(&mut store.moat(&app)));
    assert!(text.contains("0 migrated, 7 unchanged"), "{text}");
    assert_eq!(records(&store), before);

    // For one user, the directory's setting stays.
    let one = ["migrate", "--token-encoding", "documented", "--user", "new"];
    let (text, _) = expect(0, &run(&mut store.moat(&one)));
    assert!(text.contains("new: token had the application's encoding"), "{text}");
    let settings = || json(&fs::read_to_string(store.path().join("moat.json")).unwrap());
    assert_eq!(settings()["token_encoding"], "app");
    expect(0, &run(&mut store.moat(&one[..3])));
    assert_eq!(settings()["token_encoding"], "documented");
    let (text, _) = expect(0, &run(&mut store.moat(&["inspect", "user0001"])));
    assert!(text.contains("token encoding  documented"), "{text}");
}

/// Why a backup is still there is reported: its credential can't be decrypted, or its removal failed.
#[test]
fn a_removal_that_fails_is_a_failure() {
    let Some(strace) = tool("strace") else { return };
    let backup = "anna.cred.backup_20250616_130236";
    let store = Store::new();
    store.put("anna", "horse");
    write_private(&store.path().join(backup), in_the_clear("anna", "horse").as_bytes());
    let migrate = |fault: &str, more: &[&str], code| {
        let mut strace = strace.command();
        let inject = format!("inject=unlinkat:error={fault}");
        strace.args(["-f", "-e", "trace=unlinkat", "-e", &inject, "-o"]).arg(store.beside("trace"));
        let arguments = [&["migrate", "--remove-plaintext-backups"], more].concat();
        let printed = expect(code, &run(&mut store.moat_under(strace, &arguments)));
        assert!(store.names().contains(&backup.to_owned()));
        printed
    };
    for (fault, why) in [("EPERM", "Operation not permitted"), ("EIO", "Input/output error")] {
        let (text, warning) = migrate(fault, &[], 9);
        let line = format!("failed         {backup}: removal failed: removing \"{backup}\": {why}");
        assert!(text.contains(&line), "{text}");
        assert!(text.contains("1 unchanged, 1 failed; 1 backups left, 0 removed"), "{text}");
        assert!(warning.contains("1 of the old migration's backups"), "{warning}");

        let printed = json(&migrate(fault, &["--json"], 9).0);
        assert_eq!(action(&printed, backup), "failed");
        assert_eq!(printed["records"][1]["error"]["code"], "directory");
        let counts = ["failed", "backups", "backups_removed"].map(|name| &printed["summary"][name]);
        assert_eq!(counts, [1, 1, 0]);
    }
    // A record that failed, too, counts for the exit code.
    write_private(&store.file("bob"), in_the_clear("bob", "horse").as_bytes());
    let (text, _) = migrate("EPERM", &[], 7);
    assert!(text.contains("2 failed"), "{text}");
}

fn password(user: &str) -> String {
    format!("the password of {user}")
}

/// A directory in which users have records of the legacy kinds and of version 1.0, by turns.
fn legacy(users: usize) -> Store {
    let store = Store::new();
    let vault = store.vault(KEY);
    for n in 0..users {
        let user = format!("user{n:04}");
        if n % 3 == 0 {
            let record = in_the_clear(&user, &password(&user));
            write_private(&store.file(&user), record.as_bytes());
            continue;
        }
        let credential = Credential::new("someone", password(&user));
        let options = PutOptions::default().token_encoding(TokenEncoding::Documented);
        vault.put(&UserId::parse(&user).unwrap(), &credential, &options).unwrap();
        if n % 3 == 1 {
            let mut record = json(&fs::read_to_string(store.file(&user)).unwrap());
            let members = record.as_object_mut().unwrap();
            members.remove("encryption_version").unwrap();
            members.insert("crypto_available".to_owned(), true.into());
            write_private(&store.file(&user), record.to_string().as_bytes());
        }
    }
    store
}

fn records(store: &Store) -> BTreeMap<String, Vec<u8>> {
    let names = store.names().into_iter().filter(|name| name.ends_with(".cred"));
    names.map(|name| (name.clone(), fs::read(store.path().join(name)).unwrap())).collect()
}

/// Each record is the old one, byte for byte, or of version 2.0 and opens to what was in the old one.
fn expect_old_or_new(store: &Store, before: &BTreeMap<String, Vec<u8>>) -> usize {
    let vault = store.vault(KEY);
    let after = records(store);
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    let changed: Vec<_> = after.iter().filter(|(name, record)| before[*name] != **record).collect();
    for (name, _) in &changed {
        let user = UserId::from_file_name(name).unwrap();
        let revealed = vault.reveal(&user).unwrap();
        assert_eq!(revealed.summary().envelope.version.as_deref(), Some("2.0"));
        assert_eq!(revealed.credential().expose_password(), password(user.as_str()));
    }
    changed.len()
}

/// Runs it once more, undisturbed, and looks at everything.
fn expect_through(store: &Store, before: &BTreeMap<String, Vec<u8>>) {
    let arguments = ["--accept-plaintext", "--to", "2.0"];
    let (text, _) = expect(0, &run(&mut migrate(store, &arguments)));
    assert!(text.contains(" 0 failed"), "{text}");
    assert_eq!(expect_old_or_new(store, before), before.len());
    let own = [".moat.batch.lock", ".moat.lock", "moat.json"];
    let others: Vec<_> = store.names();
    let mut others = others.iter().filter(|name| !before.contains_key(*name));
    assert!(others.all(|name| own.contains(&name.as_str())), "{:?}", store.names());
}

/// Killed at random moments and run again until it is through.
#[test]
fn killed_and_resumed_it_loses_nothing() {
    let (users, kills) = if long() { (1000, 50) } else { (24, 6) };
    let store = legacy(users);
    let before = records(&store);
    let mut killed = 0;
    for turn in 0..kills {
        let mut command = migrate(&store, &["--accept-plaintext", "--to", "2.0"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis((turn * 7919 + 40) % 900));
        killed += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        if !long() || turn % 10 == 0 {
            expect_old_or_new(&store, &before);
        }
    }
    assert!(killed > 1, "it was always through before it could be killed");
    expect_through(&store, &before);
}

/// Killed, or failed by the disk, at its calls that change files.
#[test]
fn a_crash_or_a_failing_disk_at_any_call_loses_nothing() {
    let Some(strace) = tool("strace") else { return };
    let occurrences = if long() { 1..=8 } else { 1..=2 };
    let (mut points, mut failed) = (0, 0);
    for call in ["openat2", "write", "fsync", "renameat"] {
        for occurrence in occurrences.clone() {
            for fault in ["signal=KILL", "error=ENOSPC", "error=EIO"] {
                let store = legacy(3);
                let before = records(&store);
                let mut strace = strace.command();
                let inject = format!("inject={call}:{fault}:when={occurrence}");
                strace
                    .args(["-f", "-e", &format!("trace={call}"), "-e", &inject, "-o"])
                    .arg(store.beside("trace"));
                let arguments = ["migrate", "--accept-plaintext", "--to", "2.0"];
                let output = run(&mut store.moat_under(strace, &arguments));
                points += 1;
                failed += usize::from(!output.status.success());
                let printed = [output.stdout, output.stderr].concat();
                assert!(!String::from_utf8_lossy(&printed).contains("the password of"));
                expect_old_or_new(&store, &before);
                expect_through(&store, &before);
            }
        }
    }
    assert!(failed > points / 4, "of {points} runs, just {failed} failed");
}
