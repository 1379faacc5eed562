//! Whatever the program prints as JSON is as `host/docs/output.schema.json` says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use support::callers::{below_host, python};
use support::{KEY, Store, expect, fixture, run, run_with_input, write_private};

/// Commands that print no JSON, because what they print is for others than programs.
const WITHOUT_JSON: [&str; 3] = ["complete", "completions", "exec"];

/// Definitions that are no command's.
const SHARED: [&str; 20] = [
    "audit-entry",
    "credential",
    "envelope",
    "error",
    "error-code",
    "event",
    "hash",
    "hidden-fields",
    "import-report",
    "key-label",
    "listed-expiry",
    "members",
    "record-error",
    "record-time",
    "revealed",
    "ring-key",
    "time",
    "user-id",
    "version",
    "written-file",
];

fn path() -> PathBuf {
    below_host("docs/output.schema.json")
}

fn definitions() -> BTreeMap<String, Value> {
    let schema: Value = serde_json::from_slice(&fs::read(path()).unwrap()).unwrap();
    serde_json::from_value(schema["$defs"].clone()).unwrap()
}

/// The names of all commands, with `-` for a space: those that have a manual page and no commands of their own.
fn commands() -> BTreeSet<String> {
    let store = Store::new();
    let pages = store.beside("man");
    fs::create_dir(&pages).unwrap();
    expect(0, &run(&mut store.moat(&["man", "--out", pages.to_str().unwrap()])));
    let names =
        fs::read_dir(pages).unwrap().map(|page| page.unwrap().file_name().into_string().unwrap());
    let names: BTreeSet<String> = names
        .filter_map(|name| Some(name.strip_prefix("moat-")?.strip_suffix(".1")?.to_owned()))
        .collect();
    let has_commands =
        |name: &&String| names.iter().any(|other| other.starts_with(&format!("{name}-")));
    names.iter().filter(|name| !has_commands(name)).cloned().collect()
}

#[test]
fn every_command_has_a_definition() {
    let defined: BTreeSet<String> = definitions().into_keys().collect();
    let commands: BTreeSet<String> =
        commands().into_iter().filter(|name| !WITHOUT_JSON.contains(&name.as_str())).collect();
    let missing: Vec<_> = commands.difference(&defined).collect();
    assert!(missing.is_empty(), "without a definition: {missing:?}");
    let others: Vec<_> =
        defined.difference(&commands).filter(|name| !SHARED.contains(&name.as_str())).collect();
    assert!(others.is_empty(), "of no command: {others:?}");
}

/// Every object says what is in it, and that there is nothing else.
#[test]
fn definitions_are_closed_and_described() {
    fn check(at: &str, schema: &Value) {
        let Some(members) = schema.as_object() else { return };
        if members.contains_key("properties") && !["/members", "/envelope"].contains(&at) {
            let is_closed =
                |name| members.get(name).is_some_and(|value| value != &Value::Bool(true));
            assert!(
                is_closed("additionalProperties") || is_closed("unevaluatedProperties"),
                "{at}"
            );
            assert!(
                members.contains_key("required") && members.contains_key("description"),
                "{at}"
            );
        }
        for (name, member) in members {
            match member {
                Value::Object(_) => check(&format!("{at}/{name}"), member),
                Value::Array(all) => {
                    all.iter().for_each(|member| check(&format!("{at}/{name}"), member))
                }
                _ => {}
            }
        }
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let is_described =
                ["description", "$ref", "const"].iter().any(|key| property.get(key).is_some());
            // Those of the log are described in its manual.
            let one_of = property.get("anyOf").is_some() || at.starts_with("/audit-entry");
            assert!(
                is_described
                    || one_of
                    || property["type"] == "object"
                    || property["type"] == "array",
                "{at}: {name}"
            );
        }
    }
    for (name, definition) in definitions() {
        check(&format!("/{name}"), &definition);
    }
}

/// What the commands printed, each with the name of its definition.
struct Printed {
    store: Store,
    pairs: Vec<(String, Value)>,
}

impl Printed {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.store.moat(arguments);
        command.arg("--json").current_dir(self.store.beside(""));
        command.env("FOSSAWORK_AUDIT_LOG", self.store.beside("log/audit.log"));
        command
    }

    /// Notes what a command that exits with this code printed.
    fn note(&mut self, name: &str, code: i32, output: &Output) {
        let (stdout, stderr) = expect(code, output);
        if !stdout.is_empty() {
            self.pairs.push((name.to_owned(), serde_json::from_str(&stdout).unwrap()));
        }
        for line in stderr.lines() {
            let value: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
            let definition = if value.get("error").is_some() { "error" } else { "event" };
            self.pairs.push((definition.to_owned(), value));
        }
    }

    fn run(&mut self, code: i32, arguments: &[&str]) {
        self.run_with_input(code, arguments, "");
    }

    fn run_with_input(&mut self, code: i32, arguments: &[&str], input: &str) {
        let words: Vec<&str> =
            arguments.iter().copied().take_while(|word| !word.starts_with('-')).collect();
        let has_verbs = matches!(words.first(), Some(&("keys" | "audit" | "import")));
        let name = words[..if has_verbs { 2 } else { 1 }].join("-");
        let output = run_with_input(&mut self.command(arguments), input);
        self.note(&name, code, &output);
    }
}

#[test]
fn what_every_command_prints_is_as_defined() {
    let Some(python) = python() else { return };
    let store = Store::new();
    fs::create_dir(store.beside("log")).unwrap();
    let mut printed = Printed { store, pairs: Vec::new() };
    let p = &mut printed;

    let mut init = p.command(&["init", "--dir", "new", "--master-key-file", "new-key"]);
    p.note("init", 0, &run(init.env_remove("FOSSAWORK_MASTER_KEY")));
    p.run(0, &["keygen"]);
    p.run(0, &["keygen", "--out", "key"]);
    p.run(0, &["generate"]);
    p.run(0, &["generate", "--words", "4"]);
    let put =
        ["put", "anna", "--username", "anna", "--password-stdin", "--field", "site=example.com"];
    p.run_with_input(0, &put, "horse");
    p.run_with_input(0, &put, "horse");
    p.run_with_input(
        0,
        &["put", "bob", "--username", "b", "--password-stdin", "--format", "2.0"],
        "horse",
    );
    p.run_with_input(
        0,
        &["put", "carl", "--username", "c", "--password-stdin", "--drop-fields"],
        "horse",
    );
    p.run(0, &["set", "anna", "--field", "pin=4711"]);
    for editor in ["true", "sed -i s/4711/4712/"] {
        let mut edit = p.command(&["edit", "anna"]);
        p.note("edit", 0, &run(edit.env("EDITOR", editor)));
    }
    for arguments in [
        &["get", "anna"][..],
        &["get", "anna", "--reveal"],
        &["get", "bob"],
        &["get", "anna", "-vv"],
    ] {
        p.run(0, arguments);
    }
    for field in ["password", "site", "is_valid", "validation_attempts", "key_id"] {
        p.run(0, &["get", "anna", "--field", "username", "--field", field]);
    }
    p.run(0, &["list"]);
    p.run(0, &["list", "--long"]);
    p.run(0, &["set", "anna", "--expires", "30d"]);
    p.run(0, &["set", "bob", "--expires", "2020-01-31"]);
    p.run(0, &["list", "--expires-within", "90d"]);
    p.run(0, &["list", "--expires-within", "90d", "--long"]);
    p.run(0, &["history", "--keep", "3"]);
    p.run(0, &["set", "anna", "--field", "pin=4713"]);
    p.run(0, &["history", "anna"]);
    p.run(0, &["get", "anna", "--earlier", "1", "--reveal"]);
    p.run(0, &["restore", "anna"]);
    p.run(0, &["copy", "anna", "anna2"]);
    p.run(0, &["rename", "anna2", "anna3"]);
    p.run(0, &["touch", "anna"]);
    p.run(0, &["mark", "anna", "--valid"]);
    p.run(0, &["mark", "bob", "--invalid"]);
    p.run(0, &["inspect", "anna"]);
    p.run(0, &["inspect", "bob"]);
    p.run(0, &["delete", "anna3"]);
    p.run(0, &["component"]);
    p.run(0, &["component", "--out", "component.wasm"]);
    fs::write(p.store.beside("template"), "{{ moat://anna/password }}").unwrap();
    p.run(0, &["inject", "--in-file", "template", "--out-file", "filled"]);
    import_and_export(p);
    fs::create_dir(p.store.beside("man")).unwrap();
    p.run(0, &["man", "--out", "man"]);

    // Records of all kinds, and what is none.
    for case in fixture("fossawork-samples.json")["cases"].as_array().unwrap() {
        let (file, contents) =
            (case["file"].as_str().unwrap(), case["content_b64"].as_str().unwrap());
        write_private(&p.store.path().join(file), &STANDARD.decode(contents).unwrap());
    }
    let secrets = json!({ "username": "p", "password": "horse" }).to_string();
    let plain = json!({
        "user_id": "plain",
        "encrypted_data": STANDARD.encode(secrets),
        "created_at": "2024-01-01T00:00:00",
        "crypto_available": false,
    });
    write_private(&p.store.file("plain"), plain.to_string().as_bytes());
    write_private(&p.store.file("zoe"), b"damaged");
    write_private(&p.store.path().join("notes.txt"), b"");
    write_private(&p.store.path().join("plain.cred.backup"), plain.to_string().as_bytes());
    p.run(0, &["list", "--long"]);
    p.run(0, &["inspect", "plain"]);
    p.run(5, &["verify"]);
    p.run(7, &["migrate", "--dry-run"]);
    p.run(
        7,
        &[
            "migrate",
            "--accept-plaintext",
            "--accept-default-key",
            "--remove-plaintext-backups",
            "--to",
            "2.0",
        ],
    );
    p.run(5, &["rotate", "--status"]);
    p.run(5, &["rotate"]);
    p.run(1, &["check"]);
    p.run(1, &["check", "--fix"]);
    fs::remove_file(p.store.file("zoe")).unwrap();
    fs::copy(p.store.file("anna"), p.store.beside("old")).unwrap();
    p.run(0, &["touch", "anna"]);
    fs::copy(p.store.beside("old"), p.store.file("anna")).unwrap();
    let verify = run(&mut p.command(&["verify", "--against-log"]));
    let code = verify.status.code().unwrap();
    assert!([5, 10].contains(&code), "{code}");
    p.note("verify", code, &verify);

    p.run(0, &["audit", "show"]);
    p.run(0, &["audit", "verify"]);
    p.run(0, &["audit", "head"]);
    p.run(0, &["audit", "report"]);
    p.run(0, &["audit", "hash", "anna"]);
    p.run(0, &["list", "--audit-hash-users"]);
    let log = fs::read_to_string(p.store.beside("log/audit.log")).unwrap();
    let entries =
        log.lines().map(|line| ("audit-entry".to_owned(), serde_json::from_str(line).unwrap()));
    p.pairs.extend(entries);
    fs::write(p.store.beside("log/audit.log"), log.replacen("anna", "eve", 1)).unwrap();
    p.run(10, &["audit", "show"]);
    p.run(10, &["audit", "verify"]);

    with_a_ring(p);

    // Failures.
    p.run(2, &["get"]);
    p.run(2, &["frobnicate"]);
    p.run(2, &["get", "../x"]);
    let mut command = p.command(&["get", "nobody"]);
    p.note("get", 3, &run(command.env_remove("FOSSAWORK_AUDIT_LOG")));
    let mut command = p.command(&["get", "anna"]);
    p.note("get", 4, &run(command.env_remove("FOSSAWORK_MASTER_KEY")));
    let mut command = p.command(&["get", "anna"]);
    let command = command
        .env("FOSSAWORK_MASTER_KEY", "another key of enough bytes")
        .env_remove("FOSSAWORK_AUDIT_LOG");
    p.note("get", 5, &run(command));
    let mut command = p.command(&["list", "--dir", "nowhere"]);
    p.note("list", 9, &run(command.env_remove("FOSSAWORK_AUDIT_LOG")));

    let Printed { pairs, .. } = printed;
    let noted: BTreeSet<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
    let commands = commands();
    let silent: Vec<_> = commands
        .iter()
        .filter(|name| !WITHOUT_JSON.contains(&name.as_str()) && !noted.contains(name.as_str()))
        .collect();
    assert!(silent.is_empty(), "not tried: {silent:?}");
    let lines: String = pairs.iter().map(|pair| format!("{}\n", json!(pair))).collect();
    let mut script = python.script("validate.py");
    expect(0, &run_with_input(script.arg(path()), &lines));
    // And what is not as defined is found.
    let wrong = "[\"delete\",{\"user_id\":\"anna\",\"deleted\":true,\"more\":1}]\n";
    let (stdout, _) = expect(1, &run_with_input(python.script("validate.py").arg(path()), wrong));
    assert!(stdout.contains("'more' was unexpected"), "{stdout}");
    let wrong = "[\"touch\",{\"user_id\":\"anna\",\"more\":1}]\n";
    let (stdout, _) = expect(1, &run_with_input(python.script("validate.py").arg(path()), wrong));
    assert!(
        stdout.contains("'more' was unexpected") && stdout.contains("is a required"),
        "{stdout}"
    );
}

fn import_and_export(p: &mut Printed) {
    let file = |name: &str, text: &str| write_private(&p.store.beside(name), text.as_bytes());
    file(
        "kee.csv",
        "Group,Title,Username,Password,URL,Notes\nRoot,site,x,horse,,\nRoot,none,,,,\n",
    );
    file(
        "bit.json",
        r#"{"items":[{"type":1,"name":"mail","login":{"username":"y","password":"z"}}]}"#,
    );
    file("variables", "PASSWORD=horse\nAPI_KEY=abc\n");
    fs::create_dir(p.store.beside("store")).unwrap();
    p.run(0, &["import", "keepass", "kee.csv", "--dry-run"]);
    p.run(0, &["import", "bitwarden", "bit.json", "--dry-run"]);
    for store in ["pass", "gopass"] {
        p.run(0, &["import", store, "store", "--dry-run"]);
    }
    p.run(0, &["import", "env", "variables", "--user", "app"]);
    p.run(8, &["import", "env", "variables", "--user", "app"]);
    p.run(0, &["import", "env", "variables", "--user", "app", "--existing", "skip"]);
    p.run(0, &["import", "env", "variables", "--user", "app", "--existing", "replace"]);
    p.run(0, &["export", "app", "--plaintext", "--output", "all.json"]);
    p.run(0, &["import", "moat", "all.json", "--prefix", "copy."]);
    p.run(0, &["delete", "app"]);
    p.run(0, &["delete", "copy.app"]);
}

/// What only a key ring has, in a directory of its own.
fn with_a_ring(p: &mut Printed) {
    let ring = |p: &Printed, arguments: &[&str]| {
        let mut command =
            p.command(&[arguments, &["--dir", "ringed", "--keyring", "ring.json"]].concat());
        command.env_remove("FOSSAWORK_MASTER_KEY").env_remove("FOSSAWORK_AUDIT_LOG");
        command
    };
    fs::create_dir(p.store.beside("ringed")).unwrap();
    let run_in = |p: &mut Printed, name: &str, code: i32, arguments: &[&str], input: &str| {
        let output = run_with_input(&mut ring(p, arguments), input);
        p.note(name, code, &output);
    };
    run_in(p, "keys-add", 0, &["keys", "add", "--id", "one"], "");
    run_in(p, "put", 0, &["put", "anna", "--username", "a", "--password-stdin"], "horse");
    run_in(p, "keys-add", 0, &["keys", "add", "--id", "two"], "");
    run_in(p, "keys-promote", 0, &["keys", "promote", "two"], "");
    run_in(p, "keys-list", 0, &["keys", "list"], "");
    run_in(p, "keys-list", 0, &["keys", "list", "--no-records"], "");
    run_in(p, "rotate", 0, &["rotate", "--status"], "");
    run_in(p, "rotate", 0, &["rotate", "--if-older-than", "90d"], "");
    run_in(p, "rotate", 0, &["rotate", "--if-older-than", "90d"], "");
    run_in(p, "keys-restore", 0, &["keys", "restore", "one"], "");
    run_in(p, "keys-retire", 0, &["keys", "retire", "one"], "");
    run_in(p, "keys-export", 0, &["keys", "export", "one", "--out", "exported-key"], "");
    run_in(p, "keys-erase", 0, &["keys", "erase", "one", "--yes"], "");
    run_in(p, "keys-add", 2, &["keys", "add", "--id", "two"], "");
    run_in(p, "keys-add", 0, &["keys", "add", "--key-stdin"], KEY);
    run_in(p, "check", 0, &["check"], "");
}
