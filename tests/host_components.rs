//! The hosts in other languages trust the component no more than the Rust host does.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use moat_test_guests::HOSTILE_COMPONENT;
use support::callers::{C, Node, c, component, node, node_with, python};
use support::{KEY, Store, done, expect, run, set_up, sha256, tests, write_private};

/// A call beyond its grant: the function, and what the component does in it, as `hostile` has it.
const BEYOND_THE_GRANT: &[(&str, &str)] = &[
    ("inspect", "read-above"),
    ("inspect", "read-below"),
    ("inspect", "read-an-absolute-path"),
    ("inspect", "read-the-lock"),
    ("inspect", "read-another-user"),
    ("inspect", "read-no-name"),
    ("inspect", "read-a-name-with-nul"),
    ("inspect", "read-a-name-in-other-case"),
    ("inspect", "read-a-long-name"),
    ("inspect", "take-the-keys"),
    ("reveal", "tell-a-key"),
    ("reveal", "list"),
    ("reveal", "write"),
    ("remove", "remove-another-user"),
];

const NO_RECORD: &str = "it tried to write something that is not a record of this user: ";

/// What those hosts stop besides that check what is written and keep derived keys, and why.
const STOPPED: &[(&str, &str, &str)] = &[
    ("put", "write-another-user", "not granted"),
    ("put", "write-beside-the-records", "not granted"),
    ("put", "remove", "not granted"),
    ("reveal", "take-the-key-of-another-user", "not granted"),
    ("reveal", "replace-the-key-of-another-user", "not granted"),
    ("reveal", "keep-a-mebibyte", "it offered something that is not a derived key"),
    ("put", "no-json", NO_RECORD),
    ("put", "no-text", NO_RECORD),
    ("put", "nothing", NO_RECORD),
    ("put", "record-of-another-user", NO_RECORD),
    ("put", "record-in-the-clear", NO_RECORD),
    ("put", "record-of-no-version", NO_RECORD),
    ("put", "record-of-an-unknown-version", NO_RECORD),
    ("put", "member-given-twice", NO_RECORD),
    ("put", "member-given-twice-in-disguise", NO_RECORD),
    ("put", "garbage-after-the-record", NO_RECORD),
    ("put", "token-too-short", NO_RECORD),
    ("put", "token-that-is-no-base64", NO_RECORD),
    ("put", "token-of-another-format", NO_RECORD),
    ("put", "token-of-odd-length", NO_RECORD),
    ("put", "token-from-the-far-future", NO_RECORD),
    ("put", "token-from-long-ago", NO_RECORD),
    ("put", "token-as-before", "repeats the IV"),
    ("put", "token-as-before-in-disguise", "repeats the IV"),
    ("put", "token-as-before-in-the-other-encoding", "repeats the IV"),
    ("put", "iv-as-before", "repeats the IV"),
    ("put", "settings-that-hold-a-secret", "it is not the settings of a directory"),
];

/// The hostile component's file.
fn hostile() -> PathBuf {
    set_up("hostile.wasm", sha256(HOSTILE_COMPONENT).as_bytes(), |path| {
        fs::write(path, HOSTILE_COMPONENT).unwrap();
    })
}

/// What makes calls of the component with this file and digest, in Python and in C.
fn calls_of(component: &Path, digest: &str) -> BTreeMap<&'static str, Command> {
    let in_python =
        python().map(|python| ("python", python.run(tests().join("host_components/calls.py"))));
    let in_c = c().map(|c| {
        let program = c.compile(&tests().join("host_components/calls.c"), &C::OBJECTS);
        ("c", Command::new(program))
    });
    let mut all: BTreeMap<_, _> = in_python.into_iter().chain(in_c).collect();
    all.values_mut().for_each(|command| _ = command.arg(component).arg(digest));
    all
}

fn calls_in_node(library: &Path) -> Command {
    let mut command = Command::new("node");
    command.arg(tests().join("host_components/calls.mjs")).arg(library);
    command
}

/// Makes calls over a directory, and returns a line for each.
fn answers(store: &Store, command: &mut Command, calls: &[(&str, &str)]) -> Vec<String> {
    command.args(calls.iter().flat_map(|(function, user)| [function, user]));
    let (stdout, _) = expect(0, &run(store.surround(command).current_dir(store.beside(""))));
    stdout.lines().map(str::to_owned).collect()
}

#[test]
fn a_component_that_is_taken_over_is_stopped_in_every_host() {
    let file = hostile();
    let mut hosts = calls_of(&file, &sha256(HOSTILE_COMPONENT));
    let library = |node: Node| node.path("dist/lib/node/index.js");
    if let Some(library) = node_with("javascript-hostile", &file).map(library) {
        hosts.insert("node", calls_in_node(&library));
    }
    let mut unstopped = Vec::new();
    for (host, mut command) in hosts {
        let granted =
            BEYOND_THE_GRANT.iter().map(|(call, misdeed)| (*call, *misdeed, "not granted"));
        // The host in C keeps no keys, and looks at nothing that is written.
        let more = STOPPED.iter().copied().filter(|_| host != "c");
        let cases: Vec<_> = granted.chain(more).collect();
        let store = Store::new();
        store.put("anna", "horse");
        let template = fs::read_to_string(store.file("anna")).unwrap();
        for (_, misdeed, _) in &cases {
            let record = template.replace("\"anna\"", &format!("{misdeed:?}"));
            write_private(&store.file(misdeed), record.as_bytes());
        }
        let files = || {
            let names = store.names().into_iter();
            names
                .map(|name| (name.clone(), fs::read(store.path().join(name)).unwrap()))
                .collect::<BTreeMap<_, _>>()
        };
        let before = files();
        let calls: Vec<_> = cases.iter().map(|(call, misdeed, _)| (*call, *misdeed)).collect();
        let answers = answers(&store, &mut command, &calls);
        assert_eq!(answers.len(), cases.len(), "{host}: {answers:?}");
        for ((call, misdeed, reason), answer) in cases.iter().zip(&answers) {
            let tells =
                [KEY, ".cred", "../", "passwd", ".lock"].iter().any(|told| answer.contains(told));
            if !answer.starts_with("sandbox: ") || !answer.contains(reason) || tells {
                unstopped.push(format!("{host}: {call} {misdeed}: {answer}"));
            }
        }
        let after = files();
        let names = before.keys().chain(after.keys());
        let changed = names.filter(|name| before.get(*name) != after.get(*name));
        unstopped.extend(changed.map(|name| format!("{host}: {name} is not as it was")));
    }
    assert!(unstopped.is_empty(), "\n{}", unstopped.join("\n"));
}

/// The npm package's library in a place of its own, miscompiled as below, with its digests "altered" alike or "kept".
fn altered(node: &Node, place: &Path, digests: &str) -> PathBuf {
    let package = place.parent().unwrap().join("package.json");
    fs::write(package, r#"{"type":"module"}"#).unwrap();
    let mut script = Command::new("node");
    script.arg(tests().join("host_components/altered.mjs"));
    done(script.arg(node.path("dist/lib")).arg(place).arg(digests));
    place.join("node/index.js")
}

/// The component with a name in it that is another, as one would have it that was miscompiled.
fn miscompiled() -> Vec<u8> {
    let mut bytes = moat::component::BYTES.to_vec();
    for place in memchr::memmem::find_iter(moat::component::BYTES, b"last_used") {
        bytes[place] = b'L';
    }
    bytes
}

#[test]
fn a_host_runs_no_other_component_than_it_was_built_with() {
    let bytes = miscompiled();
    let store = Store::new();
    store.put("anna", "horse");
    let file = store.beside("other.wasm");
    fs::write(&file, &bytes).unwrap();
    let inspect = [("inspect", "anna")];

    for (host, mut command) in calls_of(&file, moat::component::digest()) {
        let output =
            run(store.surround(command.args(["inspect", "anna"])).current_dir(store.beside("")));
        let said = format!("{output:?}");
        assert!(
            said.contains("this is not the expected component: its SHA-256 is "),
            "{host}: {said}"
        );
        assert!(said.contains(&sha256(&bytes)), "{host}: {said}");
    }
    // Named together with its digest, it is run; and so is the own one, by its file alone.
    for (host, mut command) in calls_of(&file, &sha256(&bytes)) {
        assert_eq!(answers(&store, &mut command, &inspect), ["done"], "{host}");
    }
    if let Some(python) = python() {
        let mut command = python.eval(
            "import sys, moat
for component in sys.argv[1:]:
    try: print(list(moat.Vault('credentials', component=component).users()))
    except moat.SandboxFailure as error: print(error)
try: moat.Vault('credentials', component_digest='00')
except ValueError as error: print('refused')",
        );
        let command = store.surround(command.arg(component()).arg(&file));
        let (stdout, _) = expect(0, &run(command.current_dir(store.beside(""))));
        let lines: Vec<_> = stdout.lines().collect();
        assert_eq!((lines[0], lines[2]), ("['anna']", "refused"), "{stdout}");
        assert!(lines[1].ends_with("give its SHA-256 as `component_digest`"), "{stdout}");
    }
    if let Some(node) = node() {
        let library = altered(&node, &store.beside("library"), "kept");
        let mut calls = calls_in_node(&library);
        let output =
            run(store.surround(calls.args(["inspect", "anna"])).current_dir(store.beside("")));
        assert!(format!("{output:?}").contains("install it again"), "{output:?}");
    }
}

#[test]
fn a_component_that_gives_another_answer_may_not_write_in_any_host_that_tests_it() {
    let bytes = miscompiled();
    let store = Store::new();
    let file = store.beside("other.wasm");
    fs::write(&file, &bytes).unwrap();
    let mut hosts = calls_of(&file, &sha256(&bytes));
    hosts.remove("c");
    if let Some(node) = node() {
        let library = altered(&node, &store.beside("library"), "altered");
        hosts.insert("node", calls_in_node(&library));
    }
    for (host, mut command) in hosts {
        let answers = answers(&store, &mut command, &[("put", "anna")]);
        assert_eq!(answers, ["sandbox: the component failed its self-test"], "{host}");
        assert!(store.names().is_empty(), "{host}");
    }
}

/// What one call leaves in the cache, and what others find there.
#[test]
fn a_key_cache_is_no_way_from_one_call_to_another() {
    let in_python = r#"
from moat.cache import KeyCache
from moat.call import Call
from moat.values import record
cache = KeyCache(300)
def call(user):
    return Call("reveal", (user,), None, None, None, cache)
def slot(user, parameters=""):
    return record(ring_index=0, version="1.0", user_id=user, parameters=parameters)
def remember(user, whose, byte, parameters=""):
    call(user).remember(None, slot(whose, parameters), record(material=bytes([byte]) * 32))
def look(user, whose, parameters=""):
    found = call(user).lookup(None, slot(whose, parameters))
    print(found.material[0] if found else "none")
"#;
    // As both languages have it.
    let steps = r#"
remember("mallory", None, 1);
look("mallory", None);
look("anna", None);
remember("anna", "anna", 2);
remember("anna", "anna", 3);
look("anna", "anna");
look("anna", "anna", "others");
"#;
    let in_node = |node: Node| {
        let [call, grant, cache] = ["call", "grant", "key-cache"]
            .map(|name| node.path(&format!("dist/lib/core/{name}.js")));
        node.eval(&format!(
            r#"
const {{ Call }} = await import({call:?});
const {{ Grant }} = await import({grant:?});
const {{ KeyCache }} = await import({cache:?});
const cache = new KeyCache(300);
const call = (user) =>
  new Call({{ cache }}, new Grant('reveal', [user])).imports()['fossawork:credentials/key-cache'];
const slot = (userId, parameters = '') => ({{ ringIndex: 0, version: '1.0', userId, parameters }});
const None = undefined;
const remember = (user, whose, byte, parameters) =>
  call(user).remember(slot(whose, parameters), {{ material: new Uint8Array(32).fill(byte) }});
const look = (user, whose, parameters) =>
  console.log(call(user).lookup(slot(whose, parameters))?.material[0] ?? 'none');
{steps}"#
        ))
    };
    let in_python = python().map(|python| python.eval(&format!("{in_python}{steps}")));
    for mut command in in_python.into_iter().chain(node().map(in_node)) {
        let (stdout, _) = expect(0, &run(&mut command));
        assert_eq!(stdout, "none\nnone\n2\nnone\n", "{command:?}");
    }
}
