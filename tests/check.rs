//! `check`: on a good installation it has nothing to say; on each of many bad ones it names the planted fault.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use support::callers::python;
use support::{KEY, MOAT, Store, as_root, expect, fixture, run, run_with_input, write_private};

/// A user who has nothing else.
const NOBODY: u32 = 65534;

/// As the application stored it, with the password in base64.
const IN_THE_CLEAR: &[u8] = br#"{"user_id":"carl","encrypted_data":"eyJ1c2VybmFtZSI6ICJjYXJsIiwgInBhc3N3b3JkIjogImhvcnNlIiwgImNyZWF0ZWRfYXQiOiAiMjAyNi0xMS0wMVQwODowOToxMC42NTQzMjEiLCAibGFzdF91c2VkIjogIjIwMjYtMTEtMDFUMDg6MDk6MTAuNjU0MzIxIiwgImlzX3ZhbGlkIjogdHJ1ZSwgInZhbGlkYXRpb25fYXR0ZW1wdHMiOiAxfQ==","created_at":"2026-11-01T08:09:10.654321","crypto_available":false}"#;

/// Not a strong one, with which new directories get version 2.0.
const RING_KEY: &str = "a key of a ring, which nobody guesses";

/// A good installation: two records under the primary key of a ring, and an audit log.
struct Installation {
    store: Store,
}

impl Installation {
    fn new() -> Self {
        let store = Store::new();
        fs::create_dir(store.beside("log")).unwrap();
        fs::create_dir(store.beside("keys")).unwrap();
        private(&store.beside("keys"), 0o700);
        write_private(&store.beside("audit-key"), b"the key of the audit log");
        let installation = Self { store };
        let add = ["keys", "add", "--id", "first", "--key-stdin"];
        expect(0, &run_with_input(&mut installation.moat(&add), RING_KEY));
        installation.put("anna");
        installation.put("bert");
        installation
    }

    fn moat(&self, arguments: &[&str]) -> Command {
        let mut command = self.store.moat(arguments);
        command
            .env_remove("FOSSAWORK_MASTER_KEY")
            .env("FOSSAWORK_KEYRING", self.store.beside("keys/ring.json"))
            .env("FOSSAWORK_AUDIT_LOG", self.store.beside("log/audit.log"))
            .env("FOSSAWORK_AUDIT_KEY_FILE", self.store.beside("audit-key"));
        command
    }

    fn put(&self, user: &str) {
        self.put_as(user, &[]);
    }

    fn put_as(&self, user: &str, form: &[&str]) {
        let put = ["put", user, "--username", "someone", "--password-stdin"];
        expect(0, &run_with_input(&mut self.moat(&[&put, form].concat()), "horse"));
    }

    /// Changes the settings of the directory, as anyone can who can write to it.
    fn edit_settings(&self, change: impl FnOnce(&str) -> String) {
        let path = self.store.path().join("moat.json");
        let settings = fs::read_to_string(&path).unwrap();
        write_private(&path, change(&settings).as_bytes());
    }

    /// The findings that are not ok, as `level name: finding`, and the exit code.
    fn findings(&self, change: &dyn Fn(&mut Command) -> &mut Command) -> (Vec<String>, i32) {
        let output = run(change(&mut self.moat(&["check", "--json"])));
        let value: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        let checks = value["checks"].as_array().unwrap();
        let counts = ["ok", "warn", "fail"].map(|level| {
            let count = checks.iter().filter(|check| check["level"] == level).count();
            assert_eq!(value["summary"][level], count);
            count
        });
        let code = output.status.code().unwrap();
        assert_eq!(code, i32::from(counts[2] > 0));
        let bad = checks.iter().filter(|check| check["level"] != "ok");
        let text = bad.map(|check| {
            assert!(check["fix"].as_str().is_some_and(|fix| !fix.is_empty()), "{check}");
            let [level, name, finding] =
                ["level", "name", "finding"].map(|key| check[key].as_str().unwrap());
            format!("{level} {name}: {finding}")
        });
        // What the machine that this runs on lacks is not the installation's fault.
        let of_the_machine = ["warn swap", "warn memory", "warn confinement"];
        let text = text.filter(|text| !of_the_machine.iter().any(|known| text.starts_with(known)));
        (text.collect(), code)
    }
}

fn private(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

type Plant = fn(&Installation);
type Change = fn(&mut Command) -> &mut Command;

/// A bad installation: what is done to a good one, how the program is called, and what it has to find.
struct Bad(&'static str, Plant, Change, &'static [&'static str]);

/// Some of these can only be planted by root.
const BAD: [Bad; 41] = [
    Bad(
        "no master key",
        |_| {},
        |c| c.env_remove("FOSSAWORK_KEYRING"),
        &["fail master key: there is no master key", "warn records: not examined"],
    ),
    Bad(
        "two sources of it",
        |_| {},
        |c| c.env("FOSSAWORK_MASTER_KEY", KEY),
        &["fail master key: the master key has more than one source", "warn records: not examined"],
    ),
    Bad(
        "a short key",
        |_| {},
        |c| c.env_remove("FOSSAWORK_KEYRING").env("FOSSAWORK_MASTER_KEY", "short"),
        &[
            "fail master key: it has fewer than 16 bytes",
            "fail records: can't be decrypted: anna, bert",
        ],
    ),
    Bad(
        "the default key",
        |_| {},
        |c| c.env_remove("FOSSAWORK_KEYRING").env("FOSSAWORK_MASTER_KEY", "default_key_change_me"),
        &[
            "fail master key: it is the application's published default",
            "fail records: can't be decrypted: anna, bert",
        ],
    ),
    Bad(
        "another key",
        |_| {},
        |c| c.env_remove("FOSSAWORK_KEYRING").env("FOSSAWORK_MASTER_KEY", KEY),
        &["fail records: can't be decrypted: anna, bert"],
    ),
    Bad(
        "a ring that others can read",
        |i| private(&i.store.beside("keys/ring.json"), 0o644),
        |c| c,
        &["fail master key: others can read", "warn records: not examined"],
    ),
    Bad(
        "a ring that is damaged",
        |i| fs::write(i.store.beside("keys/ring.json"), "{").unwrap(),
        |c| c,
        &["fail master key: the key ring", "warn records: not examined"],
    ),
    Bad(
        "a ring among the records",
        |i| {
            assert!(
                fs::copy(i.store.beside("keys/ring.json"), i.store.path().join("ring.json"))
                    .is_ok()
            )
        },
        |c| {
            let path = c
                .get_envs()
                .find(|(name, _)| *name == "FOSSAWORK_CREDENTIALS_DIR")
                .unwrap()
                .1
                .unwrap()
                .to_owned();
            c.env("FOSSAWORK_KEYRING", Path::new(&path).join("ring.json"))
        },
        &["fail key ring: ", "warn files: files that are not credentials: ring.json"],
    ),
    Bad(
        "a ring in a directory that others can write",
        |i| private(&i.store.beside("keys"), 0o777),
        |c| c,
        &["fail master key: others can replace"],
    ),
    Bad(
        "a ring in a directory of somebody else",
        |i| chown(i.store.beside("keys"), Some(12345), None).unwrap(),
        |c| c,
        &["fail master key: uid 12345 can replace"],
    ),
    Bad(
        "a key that a directory leads to which others can write",
        |i| {
            let open = i.store.beside("open");
            fs::create_dir(&open).unwrap();
            private(&open, 0o770);
            symlink(i.store.beside("keys"), open.join("link")).unwrap();
        },
        |c| {
            let ring = c.get_envs().find(|(name, _)| *name == "FOSSAWORK_KEYRING").unwrap().1;
            let beside = Path::new(ring.unwrap()).ancestors().nth(2).unwrap().to_owned();
            c.env("FOSSAWORK_KEYRING", beside.join("open/link/ring.json"))
        },
        &["fail master key: others can replace"],
    ),
    Bad(
        "an old key",
        |_| {},
        |c| c.args(["--key-age", "0s"]),
        &["warn key ring: the primary key \"first\" is 0 days old"],
    ),
    Bad(
        "records under a retired key",
        |i| {
            for arguments in [
                ["keys", "add", "--id", "second", "--primary"].as_slice(),
                &["rotate"],
                &["keys", "retire", "first"],
            ] {
                expect(0, &run(&mut i.moat(arguments)));
            }
            let ring = i.store.beside("keys/ring.json");
            let new = fs::read(&ring).unwrap();
            for arguments in
                [["keys", "restore", "first"].as_slice(), &["keys", "promote", "first"]]
            {
                expect(0, &run(&mut i.moat(arguments)));
            }
            i.put("anna");
            fs::write(ring, new).unwrap();
        },
        |c| c,
        &["fail records: 1 encrypted with the retired key \"first\""],
    ),
    Bad(
        "records to rotate",
        |i| drop(expect(0, &run(&mut i.moat(&["keys", "add", "--id", "second", "--primary"])))),
        |c| c,
        &["warn records: 2 encrypted with \"first\" instead of the primary key"],
    ),
    Bad(
        "old records",
        |_| thread::sleep(Duration::from_millis(1100)),
        |c| c.args(["--credential-age", "0s"]),
        &["warn records: not changed for a long time: "],
    ),
    Bad(
        "a directory that others can write",
        |i| private(&i.store.path(), 0o777),
        |c| c,
        &["fail directory: others can write to", "fail records: not examined"],
    ),
    Bad(
        "a directory in one that others can write",
        |i| private(&i.store.beside(""), 0o770),
        |c| c,
        &[
            "fail master key: others can replace",
            "fail directory: others can replace",
            "fail audit log: others can replace",
            "fail audit log: others can replace",
        ],
    ),
    Bad(
        "a directory in one of somebody else, with the sticky bit",
        |i| {
            chown(i.store.beside(""), Some(12345), None).unwrap();
            private(&i.store.beside(""), 0o1777);
        },
        |c| c,
        &[
            "fail master key: uid 12345 can replace",
            "fail directory: uid 12345 can replace",
            "fail audit log: uid 12345 can replace",
            "fail audit log: uid 12345 can replace",
        ],
    ),
    Bad(
        "an audit key in a directory that others can write",
        |i| {
            fs::create_dir(i.store.beside("open")).unwrap();
            private(&i.store.beside("open"), 0o777);
            fs::copy(i.store.beside("audit-key"), i.store.beside("open/audit-key")).unwrap();
        },
        |c| {
            let key = c.get_envs().find(|(name, _)| *name == "FOSSAWORK_AUDIT_KEY_FILE").unwrap().1;
            let beside = Path::new(key.unwrap()).parent().unwrap().to_owned();
            c.env("FOSSAWORK_AUDIT_KEY_FILE", beside.join("open/audit-key"))
        },
        &["fail audit log: others can replace"],
    ),
    Bad(
        "a directory that others can list",
        |i| private(&i.store.path(), 0o755),
        |c| c,
        &["warn directory: others can see the users' names"],
    ),
    Bad(
        "a directory of somebody else",
        |i| chown(i.store.path(), Some(12345), None).unwrap(),
        |c| c,
        &[
            "fail directory: ",
            "fail files: not owned by the directory's owner: ",
            "fail records: not examined",
        ],
    ),
    Bad(
        "no directory",
        |i| fs::rename(i.store.path(), i.store.beside("moved")).unwrap(),
        |c| c,
        &["warn directory: "],
    ),
    Bad(
        "a record that others can read",
        |i| private(&i.store.file("anna"), 0o640),
        |c| c,
        &["fail files: others can access anna.cred"],
    ),
    Bad(
        "a record of somebody else",
        |i| chown(i.store.file("anna"), Some(12345), None).unwrap(),
        |c| c,
        &[
            "fail files: not owned by the directory's owner: anna.cred",
            "fail records: can't be decrypted: anna",
        ],
    ),
    Bad(
        "a link in place of a record",
        |i| symlink("bert.cred", i.store.file("carl")).unwrap(),
        |c| c,
        &[
            "fail files: symbolic or hard links: carl.cred",
            "fail records: can't be decrypted: carl",
        ],
    ),
    Bad(
        "a record with a second name",
        |i| fs::hard_link(i.store.file("anna"), i.store.beside("second")).unwrap(),
        |c| c,
        &[
            "fail files: symbolic or hard links: anna.cred",
            "fail records: can't be decrypted: anna",
        ],
    ),
    Bad(
        "a directory in place of a record",
        |i| fs::create_dir(i.store.file("carl")).unwrap(),
        |c| c,
        &["fail files: not regular files: carl.cred", "fail records: can't be decrypted: carl"],
    ),
    Bad(
        "what a crash left",
        |i| write_private(&i.store.path().join(".moat.tmp"), b"half"),
        |c| c,
        &["warn files: an interrupted write left"],
    ),
    Bad(
        "damaged settings",
        |i| write_private(&i.store.path().join("moat.json"), b"{"),
        |c| c,
        &["fail files: moat.json is damaged"],
    ),
    Bad(
        "a foreign file",
        |i| write_private(&i.store.path().join("notes.txt"), b"call bert"),
        |c| c,
        &["warn files: files that are not credentials: notes.txt"],
    ),
    Bad(
        "a record in the clear",
        |i| write_private(&i.store.file("carl"), IN_THE_CLEAR),
        |c| c,
        &[
            "fail records: not encrypted: carl",
            "warn records: the FossaWork application can't read anna, bert: their tokens have the documented encoding",
        ],
    ),
    Bad(
        "a record of the application's, and others that it can't read",
        |i| i.put_as("carl", &["--token-encoding", "app"]),
        |c| c,
        &[
            "warn records: the FossaWork application can't read anna, bert: their tokens have the documented encoding",
        ],
    ),
    Bad(
        "settings for the application",
        |i| write_private(&i.store.path().join("moat.json"), br#"{"token_encoding":"app"}"#),
        |c| c,
        &[
            "warn records: the FossaWork application can't read anna, bert: their tokens have the documented encoding",
        ],
    ),
    Bad(
        "a version that the application can't read",
        |i| {
            for (user, form) in [
                ("anna", ["--token-encoding", "app"]),
                ("bert", ["--format", "2.0"]),
                ("carl", ["--format", "2.0"]),
            ] {
                i.put_as(user, &form);
            }
        },
        |c| c,
        &["warn records: the FossaWork application can't read bert, carl: they are version 2.0"],
    ),
    Bad(
        "settings that are gone",
        |i| {
            i.put_as("bert", &["--format", "2.0"]);
            fs::remove_file(i.store.path().join("moat.json")).unwrap();
        },
        |c| c,
        &["fail records: moat.json is missing or doesn't say how keys are derived"],
    ),
    Bad(
        "settings without what authenticates them",
        |i| {
            i.put_as("bert", &["--format", "2.0"]);
            i.edit_settings(|text| text[..text.find(",\"mac\"").unwrap()].to_owned() + "}");
        },
        |c| c,
        &["fail records: moat.json is missing or doesn't say how keys are derived"],
    ),
    Bad(
        "settings with the version set back",
        |i| {
            i.put_as("bert", &["--format", "2.0"]);
            i.edit_settings(|text| text.replacen('{', r#"{"record_version":"1.0","#, 1));
        },
        |c| c,
        &["warn records: new records are of version 1.0, although there are some of version 2.0"],
    ),
    Bad(
        "a copy in the clear",
        |i| write_private(&i.store.path().join("anna.cred.backup_20250616_130236"), IN_THE_CLEAR),
        |c| c,
        &["fail backups: copies with a password in the clear: anna.cred.backup_20250616_130236"],
    ),
    Bad(
        "a damaged record",
        |i| fs::write(i.store.file("bert"), "{\"user_id\":\"bert\"").unwrap(),
        |c| c,
        &["fail records: can't be decrypted: bert"],
    ),
    Bad(
        "no audit log",
        |_| {},
        |c| c.env_remove("FOSSAWORK_AUDIT_LOG"),
        &["warn audit log: none is specified"],
    ),
    Bad(
        "an audit log that was altered",
        |i| {
            let log = i.store.beside("log/audit.log");
            fs::write(&log, fs::read_to_string(&log).unwrap().replacen("\"anna\"", "\"bert\"", 1))
                .unwrap();
        },
        |c| c,
        &["fail audit log: entry 1 was altered"],
    ),
];

#[test]
fn a_good_installation_has_no_finding() {
    let installation = Installation::new();
    assert_eq!(installation.findings(&|c| c), (vec![], 0));
    let (text, _) = expect(0, &run(&mut installation.moat(&["check"])));
    for line in [
        "ok    master key    it comes from the key ring",
        "ok    records       2 can be decrypted",
        "ok    component     it imports 5 interfaces, all of them in the contract",
        "ok    component     it encrypts and decrypts with the known answers",
        "ok    component     it refuses to store anything without a key, with a short key, or in the clear",
        "ok    audit log     intact: ",
        "ok    confinement   the process can't be dumped or traced",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(text.contains(" 0 failed, 0 fixed\n"), "{text}");
}

#[test]
fn each_planted_fault_is_found_and_no_other() {
    let mut wrong = Vec::new();
    for Bad(name, plant, change, expected) in &BAD {
        let installation = Installation::new();
        plant(&installation);
        let before = contents(&installation.store);
        let (found, _) = installation.findings(change);
        let fits = found.len() == expected.len()
            && found.iter().zip(*expected).all(|(found, expected)| found.starts_with(expected));
        if !fits {
            wrong.push(format!("{name}: {found:#?}"));
        }
        assert_eq!(
            contents(&installation.store),
            before,
            "{name}: without --fix nothing is touched"
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_directory_with_the_sticky_bit_is_safe() {
    let installation = Installation::new();
    private(&installation.store.beside(""), 0o1777);
    assert_eq!(installation.findings(&|c| c), (vec![], 0));
}

/// A pipe can be read only once.
#[test]
fn the_key_may_come_from_a_pipe() {
    let store = Store::new();
    store.put("anna", "horse");
    let mut shell = Command::new("bash");
    let check = "\"$0\" check --quiet --master-key-file <(printf %s \"$FOSSAWORK_MASTER_KEY\")";
    store.surround(&mut shell).args(["-c", check, MOAT.as_str()]);
    let (text, _) = expect(0, &run(&mut shell));
    assert!(text.contains("ok    master key    it comes from the file /dev/fd/"), "{text}");
    assert!(text.contains("ok    records       1 can be decrypted"), "{text}");
}

/// Names, modes and contents of what is in the credentials directory.
fn contents(store: &Store) -> Vec<(String, u32, Vec<u8>)> {
    if !store.path().exists() {
        return Vec::new();
    }
    let names = store.names().into_iter();
    let all = names.map(|name| {
        let path = store.path().join(&name);
        let mode = fs::symlink_metadata(&path).unwrap().permissions().mode();
        (name, mode, fs::read(path).unwrap_or_default())
    });
    all.collect()
}

/// A program of another user shares the directory, or has it alone: nothing that is advised would lock it out.
#[test]
fn in_a_directory_of_another_user_root_is_told_so_first() {
    if !as_root("give a directory away") {
        return;
    }
    let store = Store::new();
    store.put("anna", "horse");
    for path in [store.path(), store.file("anna"), store.path().join(".moat.lock")] {
        chown(path, Some(NOBODY), None).unwrap();
    }
    let (stdout, _) = expect(1, &run(&mut store.moat(&["check"])));
    let first = format!(
        "fail  directory     {} belongs to uid {NOBODY}, not to uid 0\n",
        store.path().display()
    );
    assert!(stdout.starts_with(&first), "{stdout}");
    assert!(stdout.contains(&format!("sudo -u '#{NOBODY}' moat")), "{stdout}");
    assert!(!stdout.contains("chown") && !stdout.contains("another user"), "{stdout}");
    // What a program of root's has left there is given back to the owner.
    chown(store.file("anna"), Some(0), None).unwrap();
    let (stdout, _) = expect(1, &run(&mut store.moat(&["check"])));
    assert!(
        stdout.contains(&format!("chown {NOBODY} ")) && !stdout.contains("chown 0"),
        "{stdout}"
    );
}

#[test]
fn an_audit_log_that_others_can_reach_or_replace() {
    let installation = Installation::new();
    private(&installation.store.beside("log/audit.log"), 0o644);
    private(&installation.store.beside("log"), 0o777);
    let (found, _) = installation.findings(&|c| c);
    assert!(found[0].starts_with("fail audit log: others can replace"), "{found:?}");
    assert!(found[1].starts_with("fail audit log: others can access"), "{found:?}");
    assert!(found[2].contains("can't be written, nothing was done"), "{found:?}");
    assert!(found[3].starts_with("warn records: not examined"), "{found:?}");
}

#[test]
fn fix_mends_modes_and_temporary_files_and_nothing_else() {
    let installation = Installation::new();
    let store = &installation.store;
    write_private(&store.file("carl"), IN_THE_CLEAR);
    write_private(&store.path().join("notes.txt"), b"call bert");
    write_private(&store.path().join(".moat.tmp"), b"half");
    private(&store.path(), 0o755);
    private(&store.file("anna"), 0o644);
    private(&store.beside("keys/ring.json"), 0o640);
    private(&store.beside("log/audit.log"), 0o644);
    let (text, _) = expect(1, &run(&mut installation.moat(&["check", "--fix"])));
    assert_eq!(text.matches("  fixed: ").count(), 5, "{text}");
    assert!(text.contains("1 failed, 5 fixed"), "{text}");
    let (found, _) = installation.findings(&|c| c);
    let expected = [
        "fail records: not encrypted: carl",
        "warn records: the FossaWork application can't read anna, bert: their tokens have the documented encoding",
        "warn files: files that are not credentials: notes.txt",
    ];
    assert_eq!(found, expected);
    for (path, mode) in
        [("anna.cred", 0o600), ("carl.cred", 0o600), ("notes.txt", 0o600), (".", 0o700)]
    {
        let found = fs::metadata(store.path().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{path}");
    }
    assert_eq!(fs::read(store.file("carl")).unwrap(), IN_THE_CLEAR);
    assert!(!store.path().join(".moat.tmp").exists());
}

/// What a mode is set of must not be elsewhere.
#[test]
fn fix_follows_no_link() {
    let installation = Installation::new();
    let outside = installation.store.beside("outside");
    fs::write(&outside, "outside").unwrap();
    private(&outside, 0o644);
    symlink(&outside, installation.store.file("carl")).unwrap();
    expect(1, &run(&mut installation.moat(&["check", "--fix"])));
    assert_eq!(fs::metadata(&outside).unwrap().permissions().mode() & 0o777, 0o644);
}

#[test]
fn legacy_records_are_found() {
    let samples = fixture("fossawork-samples.json");
    let store = Store::new();
    let of_kind = |kind: &str| {
        let samples = samples["cases"].as_array().unwrap();
        samples.iter().find(|sample| sample["kind"] == kind).unwrap()
    };
    for kind in ["L0", "L0-backup", "L1", "L2", "L2-bumped"] {
        let [name, content] =
            ["file", "content_b64"].map(|member| of_kind(kind)[member].as_str().unwrap());
        write_private(&store.path().join(name), &STANDARD.decode(content).unwrap());
    }
    let (text, _) = expect(1, &run(&mut store.moat(&["check"])));
    for line in [
        "fail  records       not encrypted: l0-",
        "fail  records       encrypted with the application's published key: l2-4, l2b-2",
        "warn  records       in a legacy format: l1-",
        "fail  backups       copies with a password in the clear: l0-bak.cred.backup_",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(!text.contains("can't be decrypted"), "{text}");
    for flag in ["--accept-plaintext", "--accept-default-key"] {
        let remedy = format!(
            "anyone who could write to the directory could have put them there; moat migrate {flag} --user USER"
        );
        assert!(text.contains(&remedy), "{text}");
    }
}

/// In a directory of version 2.0 nothing says that the application reads there, however its tokens are encoded.
#[test]
fn what_points_at_no_application_is_no_finding() {
    let installation = Installation::new();
    for arguments in [["migrate", "--token-encoding", "app"], ["migrate", "--to", "2.0"]] {
        let arguments: Vec<&str> =
            arguments.into_iter().chain(["--user", "anna", "--user", "bert"]).collect();
        expect(0, &run(&mut installation.moat(&arguments)));
    }
    assert_eq!(installation.findings(&|c| c), (vec![], 0));
}

#[test]
fn a_full_disk_is_found() {
    let store = Store::new();
    let script = r#"
        mount -t tmpfs -o mode=700,size=512k tmpfs "$FOSSAWORK_CREDENTIALS_DIR"
        cat /dev/zero > "$FOSSAWORK_CREDENTIALS_DIR/.moat.tmp" 2>/dev/null || true
        "$MOAT" check
    "#;
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "bash", "-euc", script]);
    let (text, _) = expect(1, &run(store.surround(&mut command).env("MOAT", MOAT.as_str())));
    assert!(text.contains("fail  directory     0 bytes free on its disk"), "{text}");
}

#[test]
fn levels_are_in_colour_at_a_terminal_only() {
    let Some(python) = python() else { return };
    let store = Store::new();
    store.put("anna", "horse");
    let mut command = python.script("pty_prompt.py");
    command.arg(MOAT.as_str()).arg("check").env("TERM", "xterm");
    let (shown, _) = expect(0, &run(command.env("FOSSAWORK_CREDENTIALS_DIR", store.path())));
    for label in ["\u{1b}[1m\u{1b}[32mok\u{1b}[0m    ", "\u{1b}[1m\u{1b}[33mwarn\u{1b}[0m  "] {
        assert!(shown.contains(label), "{shown:?}");
    }
    let (piped, _) = expect(0, &run(&mut store.moat(&["check"])));
    assert!(piped.contains("ok    master key    it comes") && !piped.contains('\u{1b}'), "{piped}");
}
