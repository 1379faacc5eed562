//! `import`: each source as the program that it comes from writes it, what no source should have, and that all is decided on
//! before anything is written.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use moat::TokenEncoding;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use support::{KEY, Store, Tool, done, expect, run, run_with_input, tool, write_private};

/// What is in every secret value here, and in no output.
const CANARY: &str = "canary";

/// Runs the program on a source at this path, which has to end with this code and show no secret.
fn import(store: &Store, code: i32, arguments: &[&str]) -> (String, String) {
    check(code, &run(&mut store.moat(&[&["import"], arguments].concat())))
}

/// The same with a source on standard input.
fn import_text(store: &Store, code: i32, arguments: &[&str], text: &str) -> (String, String) {
    let mut command = store.moat(&[&["import"], arguments].concat());
    check(code, &run_with_input(&mut command, text))
}

fn check(code: i32, output: &Output) -> (String, String) {
    let (stdout, stderr) = expect(code, output);
    assert!(!stdout.contains(CANARY) && !stderr.contains(CANARY), "{stdout}{stderr}");
    (stdout, stderr)
}

/// A credential as `get --reveal --json` prints it.
fn revealed(store: &Store, user: &str) -> Value {
    let (stdout, _) = expect(0, &run(&mut store.moat(&["get", user, "--reveal", "--json"])));
    serde_json::from_str(&stdout).unwrap()
}

/// User name, password and fields.
#[track_caller]
fn has(store: &Store, user: &str, username: &str, password: &str, fields: &Value) {
    let found = revealed(store, user);
    let found = (&found["username"], &found["password"], &found["fields"]);
    assert_eq!(found, (&json!(username), &json!(password), fields), "{user}");
}

/// All files of the directory, with what is in them.
fn files(store: &Store) -> Vec<(String, Vec<u8>)> {
    let names = store.names().into_iter();
    names.map(|name| (name.clone(), fs::read(store.path().join(name)).unwrap())).collect()
}

/// A user's own `gpg` with a key, without a passphrase.
struct Keyring {
    gpg: Tool,
    home: PathBuf,
}

impl Keyring {
    fn new(gpg: Tool, store: &Store) -> Self {
        let home = store.beside("gnupg");
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, PermissionsExt::from_mode(0o700)).unwrap();
        let keyring = Self { gpg, home };
        let mut generate = keyring.gpg();
        generate.args(["--pinentry-mode", "loopback", "--passphrase", "", "--quick-gen-key"]);
        done(generate.args(["test", "future-default", "default", "never"]));
        keyring
    }

    fn gpg(&self) -> Command {
        let mut gpg = self.gpg.command();
        gpg.args(["--batch", "--quiet"]).env("GNUPGHOME", &self.home);
        gpg
    }

    /// An entry of a password store.
    fn encrypt(&self, path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut encrypt = self.gpg();
        encrypt.args(["--trust-model", "always", "-r", "test", "-o"]).arg(path).arg("-e");
        expect(0, &run_with_input(&mut encrypt, text));
    }

    fn moat(&self, store: &Store, arguments: &[&str]) -> Command {
        let mut moat = store.moat(&[&["import"], arguments].concat());
        moat.env("GNUPGHOME", &self.home);
        moat
    }
}

impl Drop for Keyring {
    /// Ends the agent that `gpg` started.
    fn drop(&mut self) {
        let mut end = Command::new("gpgconf");
        let _ = end.args(["--kill", "all"]).env("GNUPGHOME", &self.home).status();
    }
}

#[test]
fn what_pass_keeps_is_imported() {
    let (Some(gpg), Some(pass)) = (tool("gpg"), tool("pass")) else { return };
    let store = Store::new();
    let keyring = Keyring::new(gpg, &store);
    let place = store.beside("passwords");
    let pass = |arguments: &[&str], input: &str| {
        let mut command = pass.command();
        command.env("PASSWORD_STORE_DIR", &place).env("GNUPGHOME", &keyring.home);
        expect(0, &run_with_input(command.args(arguments), input));
    };
    pass(&["init", "test"], "");
    let text = "canary horse\nuser: anna\nurl: https://github.com\notpauth://totp/x?secret=canary\nsee canary\n";
    pass(&["insert", "--multiline", "web/github.com"], text);
    pass(&["insert", "--multiline", "db"], "canary db\n");
    pass(&["insert", "--multiline", "empty"], "\n");
    fs::write(place.join("README.md"), "no entry").unwrap();
    symlink("db.gpg", place.join("link.gpg")).unwrap();
    symlink("/", place.join("root")).unwrap();

    let report = "\
new       db: password
ignored   empty: there is nothing in it
ignored   link.gpg: it is not a file, but a link or something else
ignored   README.md: it is not encrypted by gpg or age
ignored   root: it is not a file, but a link or something else
new       web.github.com from web/github.com: username, password, url, otpauth, notes
";
    let sorted = |text: &str| {
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        lines.join("\n")
    };
    let mut moat = keyring.moat(&store, &["pass", "--dry-run"]);
    let (stdout, _) = check(0, &run(moat.env("PASSWORD_STORE_DIR", &place)));
    let end = "2 would be added, 0 would be replaced, 0 skipped, 4 ignored; nothing was written\n";
    assert_eq!(sorted(&stdout), sorted(&format!("{report}{end}")));
    assert_eq!(store.names(), [""; 0]);

    let mut moat = keyring.moat(&store, &["pass", place.to_str().unwrap()]);
    let (stdout, stderr) = check(0, &run(&mut moat));
    let end = "2 added, 0 replaced, 0 skipped, 4 ignored\n";
    assert_eq!(sorted(&stdout), sorted(&format!("{report}{end}")));
    assert_eq!(stderr, "");
    has(&store, "db", "", "canary db", &json!({}));
    let fields = json!({
        "url": "https://github.com", "otpauth": "otpauth://totp/x?secret=canary", "notes": "see canary",
    });
    has(&store, "web.github.com", "anna", "canary horse", &fields);
}

#[test]
fn an_entry_that_can_not_be_decrypted_is_named_and_nothing_is_written() {
    let Some(gpg) = tool("gpg") else { return };
    let store = Store::new();
    let keyring = Keyring::new(gpg, &store);
    let place = store.beside("passwords");
    keyring.encrypt(&place.join("a.gpg"), "canary");
    keyring.encrypt(&place.join("large.gpg"), &"canary".repeat(20_000));
    let folder = place.to_str().unwrap();
    let (stdout, _) = check(0, &run(&mut keyring.moat(&store, &["pass", folder, "--dry-run"])));
    assert!(stdout.contains("ignored   large.gpg: it has more than 64 KiB"), "{stdout}");
    fs::write(place.join("b.gpg"), "canary, not encrypted").unwrap();
    let place = place.to_str().unwrap();
    let (_, stderr) = check(2, &run(&mut keyring.moat(&store, &["pass", place])));
    assert!(stderr.starts_with("gpg: "), "{stderr}");
    assert!(stderr.contains("error: b.gpg: gpg failed with exit status: 2"), "{stderr}");
    assert!(stderr.contains("`gpg --decrypt` has to decrypt"), "{stderr}");
    assert_eq!(store.names(), [""; 0]);

    let mut moat = keyring.moat(&store, &["pass", place]);
    let (_, stderr) = check(2, &run(moat.env("PATH", store.beside("nothing"))));
    assert!(stderr.contains("running gpg: No such file") && stderr.contains("install"), "{stderr}");
}

#[test]
fn no_key_reaches_gpg() {
    let store = Store::new();
    let place = store.beside("passwords");
    fs::create_dir(&place).unwrap();
    fs::write(place.join("a.gpg"), "").unwrap();
    let programs = store.beside("programs");
    fs::create_dir(&programs).unwrap();
    let gpg = programs.join("gpg");
    fs::write(&gpg, "#!/bin/sh\n/usr/bin/env\n").unwrap();
    fs::set_permissions(&gpg, PermissionsExt::from_mode(0o700)).unwrap();
    let mut moat = store.moat(&["import", "pass", place.to_str().unwrap()]);
    expect(0, &run(moat.env("PATH", &programs).env("SEEN", "1")));
    let found = revealed(&store, "a").to_string();
    assert!(found.contains("SEEN=1") && !found.contains(KEY), "{found}");
}

/// An identity and its recipient, as `age-keygen` makes them.
fn age_key(keygen: Tool, path: &Path) -> String {
    expect(0, &run(keygen.command().arg("-o").arg(path)));
    let text = fs::read_to_string(path).unwrap();
    text.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap().to_owned()
}

fn age_encrypt(age: Tool, recipient: &str, options: &[&str], path: &Path, text: &str) {
    let mut command = age.command();
    expect(0, &run_with_input(command.args(options).args(["-r", recipient, "-o"]).arg(path), text));
}

#[test]
fn what_gopass_keeps_is_imported_also_if_it_is_encrypted_with_age() {
    let (Some(age), Some(keygen)) = (tool("age"), tool("age-keygen")) else { return };
    let store = Store::new();
    let identity = store.beside("identity");
    let recipient = age_key(keygen, &identity);
    let place = store.beside("stores");
    fs::create_dir(&place).unwrap();
    let text = "canary\nhint: x\n---\nuser: anna\nport: 5432\n";
    age_encrypt(age, &recipient, &[], &place.join("db.age"), text);
    let place = place.to_str().unwrap();
    let (_, stderr) = import(&store, 2, &["gopass", place]);
    assert!(stderr.contains("db.age: it is encrypted with age"), "{stderr}");
    assert!(stderr.contains("--identity FILE"), "{stderr}");
    import(&store, 0, &["gopass", place, "--identity", identity.to_str().unwrap()]);
    has(&store, "db", "anna", "canary", &json!({ "hint": "x", "port": "5432" }));
}

/// An export with one entry of each kind.
fn bitwarden() -> Value {
    json!({
        "encrypted": false,
        "folders": [{ "id": "f1", "name": "Web/Mail" }],
        "items": [
            {
                "passwordHistory": [{ "lastUsedDate": "2024-01-01T00:00:00.000Z", "password": "canary old" }],
                "revisionDate": "2024-05-01T10:00:00.000Z", "creationDate": "2023-05-01T10:00:00.000Z",
                "deletedDate": null, "id": "1", "organizationId": null, "folderId": "f1", "type": 1, "reprompt": 0,
                "name": "example.com", "notes": "canary\nnote", "favorite": false,
                "fields": [
                    { "name": "PIN", "value": "canary 4711", "type": 1, "linkedId": null },
                    { "name": "password", "value": "canary too", "type": 0, "linkedId": null },
                    { "name": "linked", "value": null, "type": 3, "linkedId": 100 },
                ],
                "login": {
                    "fido2Credentials": [{ "credentialId": "canary" }],
                    "uris": [{ "match": null, "uri": "https://a.example" }, { "match": 1, "uri": "https://b.example" }],
                    "username": "anna", "password": "canary \u{1f511}", "totp": "canary",
                    "passwordRevisionDate": "2024-02-03T04:05:06.789Z",
                },
                "collectionIds": null,
            },
            {
                "type": 2, "name": "Note", "notes": "canary note", "secureNote": { "type": 0 }, "folderId": null,
                "creationDate": "2023-05-01T10:00:00.000Z",
            },
            {
                "type": 3, "name": "Card",
                "card": { "cardholderName": "A", "brand": "Visa", "number": "canary", "expMonth": "1", "expYear": "2030", "code": "canary" },
            },
            {
                "type": 4, "name": "Me",
                "identity": { "title": null, "firstName": "A", "address1": "x", "address2": "y", "ssn": "canary", "username": "anna" },
            },
            { "type": 5, "name": "Key", "sshKey": { "privateKey": "canary", "publicKey": "p", "keyFingerprint": "f" } },
            { "type": 6, "name": "Future", "future": { "secret": "canary" } },
        ],
    })
}

#[test]
fn what_bitwarden_exports_is_imported() {
    let store = Store::new();
    let export = store.beside("bitwarden.json");
    fs::write(&export, bitwarden().to_string()).unwrap();
    let (stdout, stderr) = import(&store, 0, &["bitwarden", export.to_str().unwrap()]);
    assert_eq!(
        stdout,
        "\
new       Web.Mail.example.com from Web/Mail/example.com: username, password, url, url-2, totp, PIN, password-2, notes; not taken: 1 passkey, the field \"linked\", which has no value, 1 previous password
new       Note: notes
new       Card: cardholder, brand, number, expiry month, expiry year, code
new       Me: first name, address, address-2, social security number, username-2
new       Key: private key, public key, fingerprint
ignored   Future: it is of a kind that is not known here
5 added, 0 replaced, 0 skipped, 1 ignored
"
    );
    // It was written with the usual mode.
    assert!(stderr.contains("others can read") && stderr.contains("(mode 0644)"), "{stderr}");
    assert!(stderr.contains("still has these passwords in the clear: delete it"), "{stderr}");
    let fields = json!({
        "url": "https://a.example", "url-2": "https://b.example", "totp": "canary", "PIN": "canary 4711",
        "password-2": "canary too", "notes": "canary\nnote",
    });
    has(&store, "Web.Mail.example.com", "anna", "canary \u{1f511}", &fields);
    let created = &revealed(&store, "Web.Mail.example.com")["created_at"];
    assert_eq!(created, "2024-02-03T04:05:06.789Z");
    has(&store, "Note", "", "", &json!({ "notes": "canary note" }));
    assert_eq!(revealed(&store, "Card")["fields"]["number"], "canary");

    let encrypted = json!({ "encrypted": true, "passwordProtected": true, "data": "canary" });
    let (_, stderr) = import_text(&store, 2, &["bitwarden", "-"], &encrypted.to_string());
    assert!(
        stderr.contains("is encrypted") && stderr.contains("not as .json (Encrypted)"),
        "{stderr}"
    );
}

#[test]
fn what_keepassxc_exports_is_imported() {
    let Some(keepassxc) = tool("keepassxc-cli") else { return };
    let store = Store::new();
    let database = store.beside("x.kdbx");
    let keepassxc = |arguments: &[&str]| {
        let mut command = keepassxc.command();
        command.args(&arguments[..1]).arg("-q").args(&arguments[1..]).arg(&database);
        command.env("QT_QPA_PLATFORM", "offscreen").env("HOME", store.beside(""));
        command
    };
    expect(0, &run_with_input(&mut keepassxc(&["db-create", "-p"]), "pw\npw\n"));
    expect(0, &run_with_input(keepassxc(&["mkdir"]).arg("Web"), "pw\n"));
    let values = ["add", "-u", "anna", "--url", "https://x.example", "--notes", "canary", "-p"];
    let mut add = keepassxc(&values);
    expect(0, &run_with_input(add.arg("Web/git,hub"), "pw\ncanary \"x\", \\ y\n"));
    let (csv, _) = expect(0, &run_with_input(&mut keepassxc(&["export", "-f", "csv"]), "pw\n"));
    import_text(&store, 0, &["keepass", "-"], &csv);
    let fields = json!({ "url": "https://x.example", "notes": "canary" });
    has(&store, "Web.git,hub", "anna", "canary \"x\", \\ y", &fields);
}

#[test]
fn both_kinds_of_csv_of_keepass_are_told_apart() {
    let store = Store::new();
    let xc = "\u{feff}\"Group\",\"Title\",\"Username\",\"Password\",\"URL\",\"Notes\",\"TOTP\",\"Icon\",\"Last Modified\",\"Created\"\r\n\
        \"Root/Web/Deep\",\"a/b\",\"anna\",\"canary \"\"q\"\", \\\",\"\",\"two\r\nlines, canary\",\"otpauth://totp/x?secret=canary\",\"0\",\"2023-01-01T00:00:00Z\",\"2023-01-01T00:00:00Z\"\r\n";
    let (stdout, _) = import_text(&store, 0, &["keepass", "-"], xc);
    assert!(
        stdout.starts_with(
            "new       Web.Deep.a_b from Web/Deep/a/b: username, password, notes, otpauth\n"
        ),
        "{stdout}"
    );
    let fields =
        json!({ "notes": "two\r\nlines, canary", "otpauth": "otpauth://totp/x?secret=canary" });
    has(&store, "Web.Deep.a_b", "anna", "canary \"q\", \\", &fields);

    let keepass = "\"Account\",\"Login Name\",\"Password\",\"Web Site\",\"Comments\"\n\
        \"old\",\"anna\",\"canary \\\"q\\\", \\\\\",\"https://x.example\",\"two\nlines\"\n";
    import_text(&store, 0, &["keepass", "-"], keepass);
    let fields = json!({ "url": "https://x.example", "notes": "two\nlines" });
    has(&store, "old", "anna", "canary \"q\", \\", &fields);
}

#[test]
fn variables_become_the_fields_of_one_credential() {
    let store = Store::new();
    let text =
        "# settings\nexport API_KEY='canary $x # \"y\"'\nUSERNAME=anna\nDB_PASS=canary2\nEMPTY=\n";
    let (stdout, _) = import_text(&store, 0, &["env", "-", "--user", "app"], text);
    assert!(
        stdout.starts_with("new       app from -: username, API_KEY, DB_PASS, EMPTY\n"),
        "{stdout}"
    );
    let fields = json!({ "API_KEY": "canary $x # \"y\"", "DB_PASS": "canary2", "EMPTY": "" });
    has(&store, "app", "anna", "", &fields);
    let arguments =
        ["env", "-", "--user", "app", "--password-from", "DB_PASS", "--existing", "replace"];
    let (_, stderr) = import_text(&store, 0, &arguments, text);
    assert!(stderr.contains("fields of the previous record were dropped: DB_PASS"), "{stderr}");
    has(&store, "app", "anna", "canary2", &json!({ "API_KEY": "canary $x # \"y\"", "EMPTY": "" }));
    // For a program that reads these variables.
    let exec = ["exec", "app", "--prefix", "", "--", "sh", "-c", "echo \"$API_KEY\""];
    assert_eq!(expect(0, &run(&mut store.moat(&exec))).0, "canary $x # \"y\"\n");

    let before = files(&store);
    for (text, arguments, message) in [
        ("A=canary x\n", &[][..], "line 1: the value of A is ambiguous"),
        ("A='x'\nA='canary'\n", &[], "line 2: A is set twice"),
        ("canary\n", &[], "line 1: expected NAME=VALUE"),
        ("A=canary\n", &["--password-from", "B"], "has no variable of the name B"),
    ] {
        let arguments = [&["env", "-", "--user", "bob"], arguments].concat();
        let (_, stderr) = import_text(&store, 2, &arguments, text);
        assert!(stderr.contains(message) && stderr.contains("nothing was changed"), "{stderr}");
    }
    assert_eq!(files(&store), before);
}

/// A document of `export` with these credentials.
fn document(credentials: &[(&str, &str, Value)]) -> String {
    let credentials: Vec<Value> = credentials
        .iter()
        .map(|(user, password, fields)| {
            json!({
                "user_id": user, "username": "u", "password": password, "fields": fields, "created_at": null,
                "last_used": null, "is_valid": false, "validation_attempts": 0,
            })
        })
        .collect();
    let head =
        json!({ "format": "moat-export", "version": 1, "exported_at": "2026-01-01T00:00:00Z" });
    let mut document = head;
    document["credentials"] = credentials.into();
    document.to_string()
}

#[test]
fn what_is_there_stays_unless_it_is_to_be_replaced() {
    let store = Store::new();
    store.put("bob", "canary before");
    store.put("carl", "canary before");
    let before = files(&store);
    let text = document(&[
        ("anna", "canary", json!({})),
        ("bob", "canary", json!({})),
        ("carl", "canary", json!({})),
    ]);
    for options in [&[][..], &["--dry-run"]] {
        let arguments = [&["moat", "-"], options].concat();
        let (stdout, stderr) = import_text(&store, 8, &arguments, &text);
        assert!(stdout.contains("new       anna") && stdout.contains("exists    bob"), "{stdout}");
        assert!(stderr.contains("there is a credential already: bob, carl"), "{stderr}");
        assert!(stderr.contains("--existing skip"), "{stderr}");
        assert_eq!(files(&store), before);
    }
    let (stdout, _) = import_text(&store, 0, &["moat", "-", "--existing", "skip"], &text);
    assert!(stdout.ends_with("1 added, 0 replaced, 2 skipped, 0 ignored\n"), "{stdout}");
    has(&store, "anna", "u", "canary", &json!({}));
    has(&store, "bob", "someone", "canary before", &json!({}));
    let (stdout, _) = import_text(&store, 0, &["moat", "-", "--existing", "replace"], &text);
    assert!(stdout.ends_with("0 added, 3 replaced, 0 skipped, 0 ignored\n"), "{stdout}");
    has(&store, "bob", "u", "canary", &json!({}));
    let (stdout, _) = import_text(&store, 0, &["moat", "-", "--prefix", "old.", "--json"], &text);
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(report["summary"]["added"], 3);
    assert_eq!(
        report["entries"][0],
        json!({
            "entry": "anna", "status": "new", "user_id": "old.anna", "values": ["username", "password"],
            "not_taken": [], "reason": null,
        })
    );
    has(&store, "old.anna", "u", "canary", &json!({}));
}

#[test]
fn a_dry_run_writes_nothing() {
    let store = Store::new();
    store.put("bob", "canary before");
    let before = files(&store);
    let text = document(&[("anna", "canary", json!({}))]);
    let (stdout, _) = import_text(&store, 0, &["moat", "-", "--dry-run"], &text);
    assert!(stdout.ends_with("nothing was written\n"), "{stdout}");
    assert_eq!(files(&store), before);
    let new = store.beside("new");
    let arguments = ["moat", "-", "--dry-run", "--dir", new.to_str().unwrap()];
    import_text(&store, 0, &arguments, &text);
    assert!(!new.exists());
    let arguments = ["moat", "-", "--dir", new.to_str().unwrap()];
    import_text(&store, 0, &arguments, &text);
    assert!(new.join("anna.cred").exists());
}

/// The items of an export of Bitwarden: folder, name, user name.
fn items(items: &[(&str, &str)]) -> String {
    let items: Vec<Value> = items
        .iter()
        .map(|(name, username)| {
            json!({ "type": 1, "name": name, "login": { "username": username, "password": "canary" } })
        })
        .collect();
    json!({ "items": items }).to_string()
}

#[test]
fn entries_of_one_name_are_told_apart_by_their_user_names_or_refused() {
    let store = Store::new();
    let text = items(&[("x.example", "anna"), ("x.example", "bob/2"), ("y", "anna")]);
    import_text(&store, 0, &["bitwarden", "-"], &text);
    assert_eq!(
        expect(0, &run(&mut store.moat(&["list"]))).0,
        "x.example.anna\nx.example.bob_2\ny\n"
    );
    let before = files(&store);
    for (text, reason) in [
        (items(&[("z", "anna"), ("z", "anna")]), "it would become z.anna, as z does"),
        (items(&[("z", ""), ("z", "")]), "it would become z, as z does"),
        (items(&[("z", "a"), ("z", "b"), ("z.a", "")]), "it would become z.a, as z does"),
        (items(&[("", "anna")]), "the user id is empty"),
        (items(&[(&"x".repeat(300), "anna")]), "more than the 250"),
    ] {
        let (stdout, stderr) = import_text(&store, 2, &["bitwarden", "-"], &text);
        assert!(stdout.contains("unusable  ") && stdout.contains(reason), "{reason}: {stdout}");
        assert!(stderr.contains("error: can't be imported: "), "{stderr}");
        assert_eq!(files(&store), before);
    }
}

#[test]
fn names_never_lead_out_of_the_directory() {
    let store = Store::new();
    let text = items(&[
        ("../x", "a"),
        ("..", "a"),
        (".moat.lock", "a"),
        ("a\0b\u{1b}[31m", "a"),
        ("-x", "a"),
    ]);
    import_text(&store, 0, &["bitwarden", "-"], &text);
    assert_eq!(
        expect(0, &run(&mut store.moat(&["list"]))).0,
        "-x\n_.\n_._x\n_moat.lock\na_b_[31m\n"
    );
    for user in ["../x", "", ".x", "a/b"] {
        let text = document(&[(user, "canary", json!({}))]);
        let (stdout, _) = import_text(&store, 2, &["moat", "-"], &text);
        assert!(stdout.contains("the user id "), "{stdout}");
    }
    let reserved = moat::RESERVED_FIELD_NAMES;
    for field in reserved.into_iter().chain(["", "a\nb"]) {
        let text = document(&[("anna", "canary", json!({ field: "canary" }))]);
        let (stdout, _) = import_text(&store, 2, &["moat", "-"], &text);
        assert!(stdout.contains("a field can't be called"), "{stdout}");
    }
}

#[test]
fn what_is_no_source_is_refused_without_quoting_it() {
    let store = Store::new();
    store.put("bob", "canary before");
    let before = files(&store);
    let deep = format!("{}canary{}", "[".repeat(100_000), "]".repeat(100_000));
    let xc = "\"Group\",\"Title\",\"Username\",\"Password\"\n";
    let wide = format!("{xc}{}", "canary,".repeat(1_000));
    for (source, text, message) in [
        ("bitwarden", "", "not an export of Bitwarden"),
        ("bitwarden", "canary", "not an export of Bitwarden"),
        ("bitwarden", "{\"items\":{\"canary\":1}}", "(line 1, column"),
        ("bitwarden", "{}", "it has no \"items\""),
        ("bitwarden", &deep, "not an export of Bitwarden"),
        (
            "bitwarden",
            "{\"items\":[{\"type\":1,\"name\":\"x\",\"notes\":\"\\ud800canary\"}]}",
            "(line 1, column",
        ),
        ("keepass", "", "nothing in the CSV"),
        ("keepass", "canary,canary\n", "no column \"Group\""),
        (
            "keepass",
            "\"Group\",\"Title\",\"Title\",\"Username\",\"Password\"\n",
            "column \"Title\" twice",
        ),
        (
            "keepass",
            "\"Group\",\"Title\",\"Username\",\"Password\"\n\"x\",\"canary\"\n",
            "has 2 values, not 4",
        ),
        ("keepass", &wide, "more than 256 columns"),
        ("moat", "", "not what `moat export` writes"),
        ("moat", &deep, "not what `moat export` writes"),
        (
            "moat",
            "{\"format\":\"moat-export\",\"version\":2,\"exported_at\":\"\",\"credentials\":[]}",
            "this version",
        ),
        (
            "moat",
            "{\"format\":\"canary\",\"version\":1,\"exported_at\":\"\",\"credentials\":[]}",
            "this version",
        ),
        (
            "moat",
            "{\"format\":\"moat-export\",\"version\":1,\"exported_at\":\"\",\"credentials\":[],\"canary\":1}",
            "(line 1, column",
        ),
        ("moat", "age-encryption.org/v1\ncanary", "it is encrypted with age"),
    ] {
        let (_, stderr) = import_text(&store, 2, &[source, "-"], text);
        assert!(stderr.contains(message), "{source}: {stderr}");
        assert!(stderr.contains("nothing was changed"), "{source}: {stderr}");
    }
    // What is not text.
    let latin = store.beside("latin");
    write_private(&latin, b"canary \xff");
    for source in ["bitwarden", "keepass", "moat"] {
        let (_, stderr) = import(&store, 2, &[source, latin.to_str().unwrap()]);
        assert!(stderr.contains("is not UTF-8 text"), "{stderr}");
    }
    let (_, stderr) = import(&store, 2, &["moat", "missing"]);
    assert!(stderr.contains("missing: No such file"), "{stderr}");
    let (_, stderr) = import(&store, 2, &["pass", "missing"]);
    assert!(stderr.contains("missing: No such file"), "{stderr}");
    assert_eq!(files(&store), before);
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_written() {
    let store = Store::new();
    let text = document(&[
        ("anna", "canary", json!({})),
        ("huge", "canary", json!({ "x": "y".repeat(50_000) })),
    ]);
    let (stdout, _) = import_text(&store, 2, &["moat", "-"], &text);
    assert!(stdout.contains("unusable  huge: its values have 500"), "{stdout}");
    assert_eq!(store.names(), [""; 0]);

    // In the application's encoding less fits, which only the attempt shows.
    store.vault(KEY).configure(Some("1.0"), Some(TokenEncoding::App)).unwrap();
    let before = files(&store);
    let text = document(&[
        ("anna", "canary", json!({})),
        ("huge", "canary", json!({ "x": "y".repeat(40_000) })),
    ]);
    let (_, stderr) = import_text(&store, 6, &["moat", "-"], &text);
    assert!(stderr.contains("error: huge: ") && stderr.contains("61440"), "{stderr}");
    let with_record = |(name, _): &(String, Vec<u8>)| name.ends_with(".cred");
    assert!(!files(&store).iter().any(with_record) && !before.iter().any(with_record));
}

#[test]
fn an_import_that_fails_says_how_far_it_came_and_goes_on() {
    let store = Store::new();
    // A record that can't be replaced, since it isn't one.
    fs::write(store.file("bob"), "{").unwrap();
    let text = document(&[
        ("anna", "canary, the longest of all", json!({})),
        ("bob", "canary", json!({})),
        ("carl", "", json!({})),
    ]);
    let (stdout, stderr) = import_text(&store, 6, &["moat", "-", "--existing", "replace"], &text);
    assert!(stdout.ends_with("1 added, 0 replaced, 0 skipped, 0 ignored\n"), "{stdout}");
    assert!(
        stderr.contains("error: bob: ") && stderr.contains("(after 1 of 3 credentials)"),
        "{stderr}"
    );
    assert!(stderr.trim_end().ends_with("; then run this again"), "{stderr}");
    fs::remove_file(store.file("bob")).unwrap();
    let (stdout, _) = import_text(&store, 0, &["moat", "-", "--existing", "replace"], &text);
    assert!(stdout.ends_with("2 added, 1 replaced, 0 skipped, 0 ignored\n"), "{stdout}");
}

#[test]
fn a_signal_ends_an_import_between_two_credentials() {
    let store = Store::new();
    let users: Vec<String> = (0..2_000).map(|number| format!("u{number:04}")).collect();
    let all: Vec<_> = users.iter().map(|user| (user.as_str(), "canary", json!({}))).collect();
    let text = document(&all);
    // One from which no key takes long to derive.
    let key = moat::generate_key().unwrap();
    let import = |options: &[&str]| {
        let mut moat = store.moat(&[&["import", "moat", "-"], options].concat());
        moat.env("FOSSAWORK_MASTER_KEY", key.as_str());
        moat
    };
    let mut moat = import(&[]);
    moat.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = moat.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let records = || store.names().iter().filter(|name| name.ends_with(".cred")).count();
    while records() < 3 && child.try_wait().unwrap().is_none() {
        thread::sleep(Duration::from_millis(5));
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.signal(), Some(15), "{output:?}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    let stored = records();
    assert!(
        stderr.contains(&format!("interrupted after {stored} of 2000 credentials")),
        "{stderr}"
    );
    assert!(stderr.contains("--existing skip to go on"), "{stderr}");
    let again = run_with_input(&mut import(&["--existing", "skip"]), &text);
    let (stdout, _) = check(0, &again);
    let end = format!("{} added, 0 replaced, {stored} skipped, 0 ignored\n", 2_000 - stored);
    assert!(stdout.ends_with(&end), "{end}");
    assert_eq!(records(), 2_000);
}

#[test]
fn a_mistyped_key_imports_nothing() {
    let store = Store::new();
    store.put("bob", "canary before");
    let text = document(&[("anna", "canary", json!({}))]);
    let mut moat = store.moat(&["import", "moat", "-"]);
    moat.env("FOSSAWORK_MASTER_KEY", "another key of more than 16 bytes");
    let (_, stderr) = check(5, &run_with_input(&mut moat, &text));
    assert!(stderr.contains("--allow-new-key"), "{stderr}");
    assert!(!store.file("anna").exists());
}

#[test]
fn what_is_encrypted_with_age_is_decrypted_on_the_way() {
    let (Some(age), Some(keygen)) = (tool("age"), tool("age-keygen")) else { return };
    let store = Store::new();
    let (identity, other) = (store.beside("identity"), store.beside("other"));
    let recipient = age_key(keygen, &identity);
    age_key(keygen, &other);
    let [identity, other] = [&identity, &other].map(|path| path.to_str().unwrap());
    let file = store.beside("export.age");
    let path = file.to_str().unwrap();
    for (number, options) in [&[][..], &["--armor"]].into_iter().enumerate() {
        age_encrypt(age, &recipient, options, &file, &items(&[("x", "anna")]));
        let prefix = format!("{number}.");
        let arguments = ["bitwarden", path, "--identity", identity, "--prefix", &prefix];
        let (_, stderr) = import(&store, 0, &arguments);
        // Nothing is left in the clear.
        assert_eq!(stderr, "");
        has(&store, &format!("{number}.x"), "anna", "canary", &json!({}));
    }
    let (_, stderr) = import(&store, 2, &["bitwarden", path]);
    assert!(stderr.contains("export.age: it is encrypted with age"), "{stderr}");
    let (_, stderr) = import(&store, 2, &["bitwarden", path, "--identity", other]);
    assert!(stderr.contains("to none of the identities in "), "{stderr}");
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() - 100]).unwrap();
    let (_, stderr) = import(&store, 2, &["bitwarden", path, "--identity", identity]);
    assert!(stderr.contains("it is damaged"), "{stderr}");
    fs::set_permissions(identity, PermissionsExt::from_mode(0o644)).unwrap();
    let (_, stderr) = import(&store, 2, &["bitwarden", path, "--identity", identity]);
    assert!(stderr.contains("others can read it (mode 0644)"), "{stderr}");
}
