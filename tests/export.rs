//! `export`: every value comes out and back in again as it is, the clear is only where it was insisted on, and it is all of it
//! or nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use support::callers::python;
use support::{MOAT, Store, Tool, expect, run, run_with_input, tests, tool, write_private};

use crate::values::every_kind_of_character;

/// A recipient whose identity nobody has.
const RECIPIENT: &str = "age1tn6gqla80s2ahyv565ghq77rz34msysdyq6vsvrhj5g5fuce5qgqeadml8";

fn moat(store: &Store, code: i32, arguments: &[&str]) -> (String, String) {
    expect(code, &run(&mut store.moat(arguments)))
}

/// An identity and its recipient, as `age-keygen` makes them.
fn age_key(keygen: Tool, path: &Path) -> String {
    expect(0, &run(keygen.command().arg("-o").arg(path)));
    let text = fs::read_to_string(path).unwrap();
    text.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap().to_owned()
}

/// A directory with credentials of all kinds of values.
fn store() -> Store {
    let store = Store::new();
    let all = every_kind_of_character();
    let document = json!({
        "username": all, "password": format!("x{all}"), "fields": { "all": all, "empty": "", "é x": "\n" },
    });
    let mut put = store.moat(&["put", "anna", "--json-stdin"]);
    expect(0, &run_with_input(&mut put, &document.to_string()));
    store.put("bob", "horse");
    moat(&store, 0, &["touch", "bob"]);
    moat(&store, 0, &["mark", "bob", "--valid"]);
    store
}

/// What there is of a user, without what belongs to the record.
fn revealed(store: &Store, user: &str) -> Value {
    let (stdout, _) = moat(store, 0, &["get", user, "--reveal", "--json"]);
    let mut found: Value = serde_json::from_str(&stdout).unwrap();
    for member in ["encryption_version", "key_id"] {
        found.as_object_mut().unwrap().remove(member);
    }
    found
}

#[test]
fn every_value_comes_out_and_back_in_again() {
    let (Some(age), Some(keygen)) = (tool("age"), tool("age-keygen")) else { return };
    let store = store();
    let identity = store.beside("identity");
    let recipient = age_key(keygen, &identity);
    let identity = identity.to_str().unwrap();
    let protections =
        [&["--recipient", &recipient][..], &["-a", "-r", &recipient], &["--plaintext"]];
    for (number, protection) in protections.into_iter().enumerate() {
        let file = store.beside(&format!("export{number}"));
        let path = file.to_str().unwrap();
        let export = [&["export", "--output", path], protection].concat();
        let (stdout, _) = moat(&store, 0, &export);
        assert_eq!(stdout, format!("exported 2 credentials to {path}\n"));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        if number < 2 {
            let decrypted = run(age.command().args(["-d", "-i", identity, path]));
            let (document, _) = expect(0, &decrypted);
            assert!(
                document.starts_with("{\"format\":\"moat-export\",\"version\":1,"),
                "{document}"
            );
        }
        let other = Store::new();
        let (stdout, _) = moat(&other, 0, &["import", "moat", path, "--identity", identity]);
        assert!(
            stdout.contains("new       anna: username, password, all, empty, é x\n"),
            "{stdout}"
        );
        assert!(stdout.contains("new       bob: username, password\n"), "{stdout}");
        for user in ["anna", "bob"] {
            assert_eq!(revealed(&other, user), revealed(&store, user));
        }
    }
}

#[test]
fn each_recipient_can_decrypt() {
    let (Some(age), Some(keygen)) = (tool("age"), tool("age-keygen")) else { return };
    let store = store();
    let [first, second, third] = ["first", "second", "third"].map(|name| store.beside(name));
    let recipients = [&first, &second, &third].map(|path| age_key(keygen, path));
    let list = store.beside("recipients");
    fs::write(&list, format!("# ours\n\n{}\n  {}\n", recipients[1], recipients[2])).unwrap();
    let export = ["export", "bob", "bob", "-a", "-r", &recipients[0], "-R", list.to_str().unwrap()];
    let (stdout, _) = moat(&store, 0, &export);
    assert!(stdout.starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n"), "{stdout}");
    for identity in [first, second, third] {
        let mut decrypt = age.command();
        let (text, _) =
            expect(0, &run_with_input(decrypt.arg("-d").arg("-i").arg(&identity), &stdout));
        let document: Value = serde_json::from_str(&text).unwrap();
        let credentials = document["credentials"].as_array().unwrap();
        assert_eq!(credentials.len(), 1);
        assert_eq!(credentials[0]["password"], "horse");
    }
}

#[test]
fn a_document_is_as_the_schema_says() {
    let Some(python) = python() else { return };
    let store = store();
    let schema = tests().join("../host/docs/export.schema.json");
    let validate = |document: &str| {
        let mut validator = python.script("export_schema.py");
        run_with_input(validator.arg(&schema), document)
    };
    let (document, _) = moat(&store, 0, &["export", "--plaintext"]);
    expect(0, &validate(&document));
    expect(0, &validate(&moat(&Store::new(), 0, &["export", "--plaintext"]).0));
    let mut altered: Value = serde_json::from_str(&document).unwrap();
    for member in ["user_id", "password", "fields", "created_at", "validation_attempts"] {
        let mut altered = altered.clone();
        altered["credentials"][0].as_object_mut().unwrap().remove(member);
        expect(1, &validate(&altered.to_string()));
    }
    altered["credentials"][0]["fields"] = json!({ "x": 1 });
    expect(1, &validate(&altered.to_string()));
}

#[test]
fn only_who_insists_gets_the_clear() {
    let store = store();
    let (_, stderr) = moat(&store, 2, &["export"]);
    assert!(stderr.contains("missing one of "), "{stderr}");
    let (_, stderr) = moat(&store, 2, &["export", "--plaintext", "--recipient", RECIPIENT]);
    assert!(stderr.contains("can't be used with"), "{stderr}");
    let (_, stderr) = moat(&store, 0, &["export", "--plaintext"]);
    assert!(stderr.contains("has all passwords in the clear"), "{stderr}");
    let encrypted = run(&mut store.moat(&["export", "--recipient", RECIPIENT]));
    assert_eq!(encrypted.status.code(), Some(0));
    assert!(encrypted.stdout.starts_with(b"age-encryption.org/v1\n"));
    assert!(!String::from_utf8_lossy(&encrypted.stdout).contains("horse"));

    let Some(python) = python() else { return };
    let at_a_terminal = |arguments: &[&str]| {
        let mut command = python.script("pty_prompt.py");
        command.arg(MOAT.as_str()).arg("export").args(arguments).env("TERM", "xterm");
        store.surround(&mut command);
        run_with_input(&mut command, "")
    };
    let (shown, _) = expect(2, &at_a_terminal(&["--plaintext"]));
    assert!(shown.contains("would show all passwords") && !shown.contains("horse"), "{shown}");
    let (shown, _) = expect(2, &at_a_terminal(&["--recipient", RECIPIENT]));
    assert!(shown.contains("use --armor"), "{shown}");
    let (shown, _) = expect(0, &at_a_terminal(&["--recipient", RECIPIENT, "--armor"]));
    assert!(shown.contains("-----END AGE ENCRYPTED FILE-----"), "{shown}");
}

#[test]
fn what_is_no_recipient_is_refused() {
    let store = store();
    let list = store.beside("recipients");
    let path = list.to_str().unwrap();
    let secret = "AGE-SECRET-KEY-1P7MPK7W6Q4KQ2WF3Y4Z8E63YWW7S8MKZEMNJ3PNHNRGHRFK3907QM50RKY";
    for (contents, message) in [
        ("", "there is no recipient in it"),
        ("# none\n", "there is no recipient in it"),
        ("\nage1xyz\n", "line 2: not an age recipient"),
        (secret, "line 1: this is a private key"),
    ] {
        fs::write(&list, contents).unwrap();
        let (_, stderr) = moat(&store, 2, &["export", "-R", path]);
        assert!(stderr.contains(message) && !stderr.contains("P7MPK7W6"), "{stderr}");
    }
    let (_, stderr) = moat(&store, 2, &["export", "--recipient", secret]);
    assert!(stderr.contains("this is a private key") && !stderr.contains("P7MPK7W6"), "{stderr}");
    let (_, stderr) = moat(&store, 2, &["export", "-R", "missing"]);
    assert!(stderr.contains("missing: No such file"), "{stderr}");
}

#[test]
fn an_export_is_whole_or_there_is_none() {
    let store = store();
    let file = store.beside("export");
    let path = file.to_str().unwrap();
    let export = ["export", "--recipient", RECIPIENT, "--output", path];
    write_private(&store.file("carl"), b"{");
    let (stdout, stderr) = moat(&store, 6, &export);
    assert!(stderr.contains("error: carl: ") && stdout.is_empty(), "{stderr}");
    assert_eq!(expect(6, &run(&mut store.moat(&["export", "--plaintext"]))).0, "");
    let (_, stderr) = moat(&store, 3, &[&export[..], &["nobody"]].concat());
    assert!(stderr.contains("error: nobody: "), "{stderr}");
    assert!(!file.exists());

    fs::remove_file(store.file("carl")).unwrap();
    fs::write(&file, "what is there").unwrap();
    let (_, stderr) = moat(&store, 8, &export);
    assert!(stderr.contains("already exists") && stderr.contains("--force"), "{stderr}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "what is there");
    moat(&store, 0, &[&export[..], &["--force"]].concat());
    assert!(fs::read(&file).unwrap().starts_with(b"age-encryption.org/v1\n"));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

/// What writes the file never has a password: it gets what its confined child has encrypted.
#[test]
fn what_opens_the_credentials_is_confined_and_what_writes_the_file_is_not_it() {
    let Some(strace) = tool("strace") else { return };
    let store = store();
    let trace = store.beside("trace");
    let file = store.beside("export");
    let mut strace = strace.command();
    strace.args(["-f", "-e", "trace=openat,openat2,landlock_restrict_self,seccomp", "-o"]);
    strace.arg(&trace);
    let export = ["export", "--recipient", RECIPIENT, "--output", file.to_str().unwrap()];
    expect(0, &run(&mut store.moat_under(strace, &export)));
    let trace = fs::read_to_string(&trace).unwrap();
    let process = |what: &str| {
        let line = trace
            .lines()
            .find(|line| line.contains(what))
            .unwrap_or_else(|| panic!("{what}: {trace}"));
        line.split_once(' ').unwrap().0.to_owned()
    };
    let opener = process("\"anna.cred\"");
    assert_eq!(process("landlock_restrict_self("), opener);
    assert_ne!(process(&format!("{:?}", file.to_str().unwrap())), opener);
}

#[test]
fn what_others_can_read_is_warned_of() {
    let store = store();
    let mut shell = Command::new("sh");
    let script = "umask 022; exec \"$0\" export --plaintext > \"$1\"";
    store.surround(&mut shell).args(["-c", script, &MOAT]).arg(store.beside("out"));
    let (_, stderr) = expect(0, &run(&mut shell));
    assert!(stderr.contains("others can read the file") && stderr.contains("0644"), "{stderr}");
}
