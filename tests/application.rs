//! The FossaWork application in the same directory: it takes no lock, writes in place, and writes local times.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use moat::{MigrateOptions, UserId};
use serde_json::Value;
use support::callers::{Python, c, component, node, python};
use support::writers;
use support::{KEY, Store, expect, long, run, run_with_input, sha256, tool, wait_until};

fn saves(python: &Python, store: &Store, user: &str, saves: usize) -> Command {
    let mut application = python.script("application.py");
    application.arg(store.path()).args([user, &saves.to_string()]);
    application
}

/// What a credential was saved with by the application, in this time zone.
fn save(python: &Python, store: &Store, user: &str, zone: &str) {
    expect(0, &run(saves(python, store, user, 1).env("TZ", zone)));
}

/// By default a few hundred saves, with `MOAT_LONG=1` five thousand.
#[test]
fn hardly_a_save_of_the_application_is_undone_and_none_is_taken_for_malformed() {
    let Some(python) = python() else { return };
    let store = Store::new();
    save(&python, &store, "anna", "UTC");
    let anna = UserId::parse("anna").unwrap();
    let is_over = AtomicBool::new(false);
    let until_over = |mut work: Box<dyn FnMut(usize) -> Option<String> + Send>| {
        let mut failures = BTreeMap::<String, usize>::new();
        for round in 0.. {
            if is_over.load(Ordering::Relaxed) {
                break;
            }
            if let Some(failure) = work(round) {
                *failures.entry(failure).or_default() += 1;
            }
        }
        failures
    };
    let verbs: [&[&str]; 5] = [
        &["mark", "anna", "--valid"],
        &["touch", "anna"],
        &["verify", "anna"],
        &["migrate", "--user", "anna", "--token-encoding", "app"],
        &["rotate", "--user", "anna"],
    ];
    let program = |round: usize| {
        let output = run(&mut store.moat(&[verbs[round % verbs.len()], &["--json"]].concat()));
        (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let vault = store.vault(KEY);
    let library = |round: usize| {
        let users = [anna.clone()];
        let options = MigrateOptions::default();
        let done = match round % 4 {
            0 => vault.mark_used(&anna).map(drop),
            1 => vault.mark_validated(&anna, true).map(drop),
            2 => vault.reveal(&anna).map(drop),
            _ => vault.migrate(&users, &options).and_then(|mut all| all.remove(0)).map(drop),
        };
        done.err().map(|error| error.to_string())
    };
    let mut package = python.eval(
        "import sys, moat
vault = moat.Vault(sys.argv[1])
while True:
    try:
        vault.mark_used('anna')
        vault.reveal('anna')
    except moat.MoatError as error:
        print(error, flush=True)",
    );
    package.arg(store.path()).env("FOSSAWORK_MASTER_KEY", KEY).stdout(Stdio::piped());
    let mut package = package.spawn().unwrap();
    let rounds = if long() { 5_000 } else { 400 };
    let (counts, failures) = thread::scope(|scope| {
        let program = scope.spawn(|| until_over(Box::new(program)));
        let library = scope.spawn(|| until_over(Box::new(library)));
        let counts = expect(0, &run(&mut saves(&python, &store, "anna", rounds))).0;
        is_over.store(true, Ordering::Relaxed);
        (counts, [program, library].map(|worker| worker.join().unwrap()))
    });
    package.kill().unwrap();
    let printed = package.wait_with_output().unwrap().stdout;
    let counts: Value = serde_json::from_str(&counts).unwrap();
    println!("{counts} {failures:?}");
    // What host/docs/format.md says of the rest: without a second look, one in forty is undone.
    assert!(counts["undone"].as_u64().unwrap() <= 1 + rounds as u64 / 1000, "{counts}");
    // One that loses to each of many saves in a row says so.
    let printed = String::from_utf8_lossy(&printed);
    let mut told =
        failures.iter().flat_map(BTreeMap::keys).map(String::as_str).chain(printed.lines());
    assert!(
        told.all(|failure| failure.contains("changed by somebody else")),
        "{failures:?} {printed}"
    );
}

/// A save in the moment between the last comparison and the rename, which a tracer makes long.
#[test]
fn what_is_saved_while_a_record_is_replaced_is_put_back() {
    let Some(strace) = tool("strace") else { return };
    let tracer = || {
        let mut slow = strace.command();
        let renames = "rename,renameat,renameat2";
        slow.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={renames}")]);
        slow.args(["-e", &format!("inject={renames}:delay_enter=300000:when=1")]);
        slow
    };
    let slowly = |command: &Command| {
        let mut slow = tracer();
        slow.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            slow.env(name, value.unwrap_or_default());
        }
        slow.current_dir(command.get_current_dir().unwrap());
        slow
    };
    let until_it_is_about_to_be_renamed = |store: &Store| {
        wait_until(|| store.path().join(".moat.tmp").exists());
        thread::sleep(Duration::from_millis(100));
    };
    for writer in writers::all() {
        let store = Store::new();
        let file = store.file("anna");
        let [old, ours, theirs] = [r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":3}"#];
        fs::write(&file, old).unwrap();
        fs::write(store.beside("new"), ours).unwrap();
        let revision = &sha256(old.as_bytes())[..32];
        let command = writer.command(&store, &["write", "anna.cred", "new", revision]);
        let child = slowly(&command).stdout(Stdio::piped()).spawn().unwrap();
        until_it_is_about_to_be_renamed(&store);
        // As the application does: cut off, and then written, not at once.
        let mut opened = File::create(&file).unwrap();
        wait_until(|| fs::read(&file).is_ok_and(|found| found == ours.as_bytes()));
        opened.write_all(theirs.as_bytes()).unwrap();
        drop(opened);
        let (stdout, _) = expect(0, &child.wait_with_output().unwrap());
        assert_eq!(stdout.trim(), "conflict", "{}", writer.name);
        assert_eq!(fs::read_to_string(&file).unwrap(), theirs, "{}", writer.name);
        assert_eq!(store.names(), [".moat.lock", "anna.cred"], "{}", writer.name);
    }
    // The program starts again with what was saved.
    let Some(python) = python() else { return };
    let store = Store::new();
    let record = || fs::read(store.file("anna")).unwrap();
    save(&python, &store, "anna", "UTC");
    let old = record();
    expect(0, &run(&mut saves(&python, &store, "anna", 2)));
    let theirs = record();
    fs::write(store.file("anna"), old).unwrap();
    let mut mark = store.moat_under(tracer(), &["mark", "anna", "--valid"]);
    let child = mark.stdout(Stdio::piped()).spawn().unwrap();
    until_it_is_about_to_be_renamed(&store);
    fs::write(store.file("anna"), theirs).unwrap();
    expect(0, &child.wait_with_output().unwrap());
    let revealed = store.vault(KEY).reveal(&UserId::parse("anna").unwrap()).unwrap();
    assert_eq!(revealed.credential().expose_password(), "password 1");
    assert_eq!(revealed.summary().validation_attempts, 1);
}

/// Programs that print anna's password, in all languages.
fn readers(store: &Store) -> Vec<(&'static str, Command)> {
    let mut readers = vec![("rust", store.moat(&["get", "anna", "--field", "password"]))];
    let directory = store.path();
    if let Some(python) = python() {
        let code =
            "import sys, moat; print(moat.Vault(sys.argv[1]).reveal('anna').credential.password)";
        let mut command = python.eval(code);
        command.arg(&directory).env("FOSSAWORK_MASTER_KEY", KEY);
        readers.push(("python", command));
    }
    if let Some(node) = node() {
        let code = format!(
            "import {{ Vault }} from {:?};
             console.log((await Vault.open({directory:?}).reveal('anna')).credential.password);",
            node.path("dist/lib/node/index.js")
        );
        let mut command = node.eval(&code);
        command.env("FOSSAWORK_MASTER_KEY", KEY);
        readers.push(("node", command));
    }
    if let Some(c) = c() {
        let mut command = c.program("get");
        command.arg(component()).arg(&directory).args(["anna", "--password"]);
        command.env("FOSSAWORK_MASTER_KEY", KEY);
        readers.push(("c", command));
    }
    readers
}

/// It is written in the midst of the reading, in all languages; what stays as it is isn't waited for.
#[test]
fn a_record_that_is_being_written_is_waited_for() {
    let store = Store::new();
    store.put("anna", "horse");
    let record = fs::read(store.file("anna")).unwrap();
    for (name, mut reader) in readers(&store) {
        for torn in [0, 10, record.len() - 1] {
            let file = store.file("anna");
            let is_over = AtomicBool::new(false);
            let output = thread::scope(|scope| {
                // As often as it takes for the reader to come.
                scope.spawn(|| {
                    while !is_over.load(Ordering::Relaxed) {
                        let mut opened = File::create(&file).unwrap();
                        opened.write_all(&record[..torn]).unwrap();
                        thread::sleep(Duration::from_millis(60));
                        opened.write_all(&record[torn..]).unwrap();
                        thread::sleep(Duration::from_millis(20));
                    }
                });
                let output = run(&mut reader);
                is_over.store(true, Ordering::Relaxed);
                output
            });
            assert_eq!(expect(0, &output).0.trim(), "horse", "{name}, {torn}");
        }
        fs::write(store.file("anna"), &record[..10]).unwrap();
        let output = run(&mut reader);
        let all = [output.stdout, output.stderr].concat();
        let all = String::from_utf8_lossy(&all).to_lowercase();
        assert!(!output.status.success() && all.contains("json object"), "{name}: {all}");
        fs::write(store.file("anna"), &record).unwrap();
    }
}

/// Everything that writes, in a directory of the application's records: the application reads what comes of it.
#[test]
fn the_application_reads_what_every_verb_writes() {
    let Some(python) = python() else { return };
    let store = Store::new();
    for user in ["anna", "bob", "carl"] {
        save(&python, &store, user, "UTC");
    }
    let verbs: [(&[&str], &str); 14] = [
        (&["put", "dora", "--username", "d", "--password-stdin"], "horse"),
        (&["put", "bob", "--username", "b", "--password-stdin"], "horse"),
        (&["put", "emil", "--json-stdin"], r#"{"username":"e","password":"horse"}"#),
        (&["put", "fritz", "--username", "f", "--generate"], ""),
        (&["set", "anna", "--password-stdin", "--expires", "90d"], "horse"),
        (&["set", "anna", "--field", "pin=4711"], ""),
        (&["touch", "anna"], ""),
        (&["mark", "anna", "--valid"], ""),
        (&["copy", "anna", "greta"], ""),
        (&["rename", "carl", "karl"], ""),
        (&["migrate"], ""),
        (&["rotate"], ""),
        (&["import", "env", "--user", "hans", "variables"], ""),
        (&["history", "--keep", "3"], ""),
    ];
    fs::write(store.beside("variables"), "PASSWORD=horse\n").unwrap();
    for (verb, input) in verbs {
        let mut moat = store.moat(verb);
        expect(0, &run_with_input(moat.current_dir(store.beside("")), input));
        let names = store.names();
        let users = names.iter().filter_map(|name| name.strip_suffix(".cred"));
        for user in users {
            let mut read = python.script("exchange.py");
            read.arg("read").arg(store.path()).args([user, "--form", "app"]);
            expect(0, &run(&mut read));
        }
    }
}

/// The true time is inside, local; outside is the time of the last write.
#[test]
fn ages_of_its_credentials_are_told_by_the_local_time_inside() {
    let Some(python) = python() else { return };
    let store = Store::new();
    // Hours ago by the clock of a zone in the west, and hours ahead by one in the east.
    for (user, zone) in [("west", "WWW10"), ("east", "EEE-10")] {
        save(&python, &store, user, zone);
        expect(0, &run(store.moat(&["touch", user]).env("TZ", zone)));
    }
    let put =
        ["put", "ours", "--username", "x", "--password-stdin", "--token-encoding", "documented"];
    expect(0, &run_with_input(&mut store.moat(&put), "horse"));
    let listed = |zone: &str, age: &str| {
        let mut list = store.moat(&["list", "--older-than", age]);
        expect(0, &run(list.env("TZ", zone))).0.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(listed("WWW10", "1h"), [""; 0]);
    assert_eq!(listed("UTC", "1h"), ["west"]);
    assert_eq!(listed("EEE-10", "19h"), ["west"]);
    let setting = |arguments: &[&str]| {
        let mut list = store.moat(&[&["list", "--older-than", "9h"], arguments].concat());
        expect(0, &run(list.env("TZ", "EEE-10").env("FOSSAWORK_TIME_ZONE", "UTC"))).0
    };
    assert_eq!(setting(&[]), "west\n");
    assert_eq!(setting(&["--time-zone", "WWW10"]), "");
    assert_eq!(setting(&["--time-zone", "Etc/GMT-10"]), "west\n");
    let (_, stderr) = expect(2, &run(&mut store.moat(&["list", "--time-zone", "Berlin"])));
    assert!(stderr.contains("there is no such time zone"), "{stderr}");

    // With the zone, all times that are shown are in UTC.
    let seen = |user: &str, zone: &str| -> Value {
        let output = run(store.moat(&["get", user, "--json"]).env("TZ", zone));
        serde_json::from_str(&expect(0, &output).0).unwrap()
    };
    let [here, there] = [seen("west", "WWW10"), seen("west", "UTC")];
    let hours =
        |value: &Value| -> i32 { value["created_at"].as_str().unwrap()[11..13].parse().unwrap() };
    assert_eq!((hours(&here) - hours(&there)).rem_euclid(24), 10, "{here} {there}");

    // Without a key, the age of all others is told, and of these it is said why it can't be.
    let without_key = |age: &str, code: i32| {
        let mut list = store.moat(&["list", "--older-than", age]);
        expect(code, &run(list.env_remove("FOSSAWORK_MASTER_KEY")))
    };
    assert!(without_key("0s", 4).1.contains("there is no master key"));
    for user in ["west", "east"] {
        fs::remove_file(store.file(user)).unwrap();
    }
    assert_eq!(without_key("1h", 0).0, "");
}

/// As host/docs/keys.md has it.
#[test]
fn after_a_rotation_the_application_gets_its_key() {
    let Some(python) = python() else { return };
    let store = Store::new();
    save(&python, &store, "anna", "UTC");
    fs::create_dir(store.beside("ring")).unwrap();
    let moat = |arguments: &[&str], input: &str| {
        let mut moat = store.moat(&[arguments, &["--keyring", "ring/ring.json"]].concat());
        let moat = moat.env_remove("FOSSAWORK_MASTER_KEY").current_dir(store.beside(""));
        expect(0, &run_with_input(moat, input)).0
    };
    moat(&["keys", "add", "--id", "old", "--key-stdin"], KEY);
    moat(&["keys", "add", "--id", "new", "--primary"], "");
    moat(&["rotate"], "");
    moat(&["keys", "export", "new", "--out", "new-key"], "");
    moat(&["keys", "export", "old", "--out", "old-key"], "");
    let exported = |name: &str| fs::read_to_string(store.beside(name)).unwrap();
    assert_eq!(exported("old-key"), KEY);
    assert_eq!(fs::metadata(store.beside("new-key")).unwrap().permissions().mode() & 0o777, 0o600);

    // With the old key it still saves, and that is found; with the new one it goes on.
    save(&python, &store, "bob", "UTC");
    assert!(moat(&["rotate"], "").starts_with("1 rotated, 1 already"));
    for user in ["anna", "bob"] {
        let mut read = python.script("exchange.py");
        read.arg("read").arg(store.path()).args([user, "--form", "app"]);
        expect(0, &run(read.env("FOSSAWORK_MASTER_KEY", exported("new-key"))));
    }
    let mut save = saves(&python, &store, "anna", 1);
    expect(0, &run(save.env("FOSSAWORK_MASTER_KEY", exported("new-key"))));
    moat(&["get", "anna"], "");
}
