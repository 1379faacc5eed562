//! The packages for other languages, as their READMEs have them.

use std::fs;
use std::process::Command;

use serde_json::Value;
use support::callers::{C, CHROMIUM, Node, below_host, c, component, node, python, readme_blocks};
use support::{KEY, Store, expect, run, target_tmpdir, tests, tool, write_private};

/// Gives a command the master key, and a directory to work in where `credentials` are.
fn run_beside(store: &Store, command: &mut Command) -> (String, String) {
    let command = store.surround(command).env("HOME", store.beside(""));
    expect(0, &run(command.current_dir(store.beside(""))))
}

/// A piece of JavaScript with the npm package's `NodeDirectory`, and one of Python, each where its package is.
fn over_a_directory(in_node: &str, in_python: &str) -> Vec<Command> {
    let with_library = |node: Node| {
        let library = node.path("dist/lib/node/node-directory.js");
        node.eval(&format!("import {{ NodeDirectory }} from {library:?};\n{in_node}"))
    };
    let in_node = node().map(with_library);
    let in_python = python().map(|python| python.eval(in_python));
    in_node.into_iter().chain(in_python).collect()
}

#[test]
fn the_python_packages_readme_does_what_it_says() {
    let Some(python) = python() else { return };
    let store = Store::new();
    let script = store.beside("readme.py");
    fs::write(&script, readme_blocks("bindings/python/README.md", "python")).unwrap();
    let (stdout, _) = run_beside(&store, &mut python.run(&script));
    let lines: Vec<_> = stdout.lines().collect();
    assert_eq!((lines[0], lines.len()), ("correct horse example.com", 7), "{stdout}");
    assert!(lines[1].ends_with("+00:00"), "{stdout}");
    assert!(lines[2].starts_with("not-found - ") && lines[2].contains("user 'bob'"), "{stdout}");
    assert_eq!(lines[3..], ["correct horse", "battery staple", "None", "carl"]);
    let get = ["get", "carl", "--field", "password"];
    assert_eq!(expect(0, &run(&mut store.moat(&get))).0, "battery staple\n");
}

#[test]
fn the_npm_packages_readme_does_what_it_says() {
    let Some(node) = node() else { return };
    let store = Store::new();
    fs::write(node.path("readme.mjs"), readme_blocks("bindings/javascript/README.md", "js"))
        .unwrap();
    let (stdout, _) = run_beside(&store, &mut node.run("readme.mjs"));
    let lines: Vec<_> = stdout.lines().collect();
    assert!(stdout.contains("username: 'anna'") && !stdout.contains("horse"), "{stdout}");
    let end = ["} 13", "example.com", "anna@example.com", "true not-found bob credentials"];
    assert_eq!(lines[lines.len() - 4..], end);
    let get = ["get", "anna@example.com", "--field", "password"];
    assert_eq!(expect(0, &run(&mut store.moat(&get))).0, "correct horse\n");
}

/// Whatever a component names, no host of these reads, writes or removes anything outside of the directory.
#[test]
fn no_name_leads_out_of_the_directory() {
    let in_node = r#"
        const directory = new NodeDirectory('credentials', 10);
        for (const name of ['../key', '..', '.', '', 'a/b', '/etc/passwd', 'a\0b']) {
            for (const work of [
                () => directory.read(name),
                () => directory.write(name, new Uint8Array(1)),
                () => directory.write(name, new Uint8Array(1), 'x'),
                () => directory.remove(name),
                () => directory.remove(name, 'x'),
            ]) {
                try { work(); console.log('done', name); } catch (error) { console.log(error.code); }
            }
        }"#;
    let in_python = r#"
from moat.directory import Directory
from moat import MoatError
directory = Directory("credentials", 10)
for name in ("../key", "..", ".", "", "a/b", "/etc/passwd", "a\0b"):
    for work in (
        lambda: directory.read(name),
        lambda: directory.write(name, b"x", None),
        lambda: directory.write(name, b"x", "x"),
        lambda: directory.remove(name, None),
        lambda: directory.remove(name, "x"),
    ):
        try:
            work()
            print("done", name)
        except MoatError as error:
            print(error.code)
"#;
    for mut command in over_a_directory(in_node, in_python) {
        let store = Store::new();
        write_private(&store.beside("key"), b"not to be touched");
        let (stdout, _) = run_beside(&store, &mut command);
        assert_eq!(stdout, "denied\n".repeat(7 * 5), "{command:?}");
        assert_eq!(fs::read(store.beside("key")).unwrap(), b"not to be touched");
    }
}

/// In pages of any size, the names are those of the contract's order (`wit/directory.wit`), each once.
#[test]
fn the_pages_of_a_directory_are_in_the_contracts_order() {
    let names = [
        ".cred",
        "anna",
        "anna.cred",
        "anna b.cred",
        "anna-x.cred",
        "anna.cred.cred",
        "anna.cred.backup_20250616_130236",
        "anna.x.cred",
        "annab.cred",
        "o.cred",
        "o'x.cred",
        "\u{ff5e}.cred",
        "\u{ff5e} a.cred",
        "\u{1f511}.cred",
    ];
    let in_node = r#"
        const directory = new NodeDirectory('credentials', 10);
        for (let limit = 1; limit <= 15; limit += 1) {
            const all = [];
            for (let cursor, more = true; more;) {
                const page = directory.names(cursor, limit);
                all.push(...page.names);
                cursor = page.next;
                more = cursor !== undefined;
            }
            console.log(JSON.stringify(all));
        }"#;
    let in_python = r#"
import json
from moat.directory import Directory
directory = Directory("credentials", 10)
for limit in range(1, 16):
    names, cursor = directory.names(None, limit)
    while cursor is not None:
        page, cursor = directory.names(cursor, limit)
        names += page
    print(json.dumps(names))
"#;
    for mut command in over_a_directory(in_node, in_python) {
        let store = Store::new();
        names.iter().for_each(|name| write_private(&store.path().join(name), b""));
        let (stdout, _) = run_beside(&store, &mut command);
        let pages: Vec<Vec<String>> =
            stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(pages.len(), 15);
        assert!(pages.iter().all(|all| *all == names), "{command:?}: {stdout}");
    }
}

#[test]
fn no_page_of_a_directory_has_more_names_than_4096() {
    let in_node =
        "console.log(new NodeDirectory('credentials', 10).names(undefined, 9999).names.length)";
    let in_python = "from moat.directory import Directory
print(len(Directory('credentials', 10).names(None, 9999)[0]))";
    let store = Store::new();
    (0..5000).for_each(|n| write_private(&store.file(&n.to_string()), b""));
    for mut command in over_a_directory(in_node, in_python) {
        assert_eq!(run_beside(&store, &mut command).0, "4096\n", "{command:?}");
    }
}

/// A user's way through the page, which sends nothing.
#[test]
fn the_page_opens_a_record_and_is_silent() {
    let (Some(_), Some(node)) = (tool(CHROMIUM), node()) else { return };
    let store = Store::new();
    store.put("anna@example.com", "correct horse battery staple");
    write_private(&store.beside("key"), KEY.as_bytes());
    let screenshot = target_tmpdir().join("page.png");
    let mut page = node.run("conformance/page.mjs");
    page.arg(node.path("dist/page")).arg(store.file("anna@example.com"));
    let (stdout, _) = expect(0, &run(page.arg(store.beside("key")).arg(&screenshot)));
    let seen: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(seen["shown"]["Password"], "correct horse battery staple", "{stdout}");
    assert_eq!(seen["afterLoad"], 0, "{stdout}");
    println!("{stdout}the screenshot is {}", screenshot.display());
}

#[test]
fn the_example_in_c_opens_a_record() {
    let Some(c) = c() else { return };
    let store = Store::new();
    store.put("anna", "correct horse");
    let get = |arguments: &[&str]| {
        let mut get = c.program("get");
        run(store.surround(&mut get).arg(component()).arg(store.path()).args(arguments))
    };
    let (stdout, _) = expect(0, &get(&["anna"]));
    assert_eq!(stdout, "username  someone\npassword  read, 13 bytes (--password prints it)\n");
    assert_eq!(expect(0, &get(&["anna", "--password"])).0, "correct horse\n");
    let (stdout, stderr) = expect(1, &get(&["bob"]));
    assert_eq!(stdout, "");
    assert_eq!(stderr, "error: not-found: there is no credential for this user\n");
}

#[test]
fn the_component_goes_through_a_registry_and_comes_back() {
    let (Some(_), Some(python)) = (tool("docker-registry"), python()) else { return };
    let mut script = python.run(below_host("examples/oci/try.py"));
    let (stdout, _) = expect(0, &run(script.arg(component())));
    let seen: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(seen["component"], format!("sha256:{}", moat::component::digest()));
    println!("{stdout}");
}

/// A call for which the system lacks something fails as `unavailable`, and isn't made later instead.
#[test]
fn what_the_system_does_not_give_is_unavailable() {
    let in_python = r#"
import os, threading
from moat import Credential, MasterKey, Unavailable, Vault
vault = Vault("credentials", keys=MasterKey(b"sixteen bytes or more"))
def attempt(work):
    try:
        work()
    except Unavailable as error:
        print(error.code)
def put(user):
    attempt(lambda: vault.put(user, Credential("someone", "horse")))
def refuse(*_):
    raise RuntimeError("can't start new thread")
start, threading.Thread.start = threading.Thread.start, refuse
attempt(lambda: vault.configure(None, "app"))
threading.Thread.start = start
def fail(_):
    raise OSError("no random bytes")
urandom, os.urandom = os.urandom, fail
put("bob")
os.urandom = urandom
put("carl")
print(*vault.users())
assert not os.path.exists("credentials/moat.json")
"#;
    let in_node = |node: &Node| {
        let library = node.path("dist/lib/node/index.js");
        node.eval(&format!(
            r#"
import {{ Vault }} from {library:?};
const keys = [{{ material: 'sixteen bytes or more' }}];
const vault = Vault.open('credentials', {{ keys }});
const put = (user) => vault.put(user, {{ username: 'someone', password: 'horse' }})
  .catch((error) => console.log(error.code));
const {{ instantiate }} = WebAssembly;
WebAssembly.instantiate = async () => {{ throw new RangeError('Out of memory'); }};
await put('anna');
WebAssembly.instantiate = instantiate;
const getRandomValues = crypto.getRandomValues.bind(crypto);
crypto.getRandomValues = () => {{ throw new Error('no random bytes'); }};
await put('bob');
crypto.getRandomValues = getRandomValues;
await put('carl');
for await (const user of vault.users()) console.log(user);
"#
        ))
    };
    let in_python = python().map(|python| python.eval(in_python));
    let in_node = node().map(|node| in_node(&node));
    for mut command in in_python.into_iter().chain(in_node) {
        let (stdout, _) = run_beside(&Store::new(), &mut command);
        assert_eq!(stdout, "unavailable\nunavailable\ncarl\n", "{command:?}");
    }

    let Some(c) = c() else { return };
    let source = tests().join("writers/no_random_bytes.c");
    let program = c.compile(&source, &C::OBJECTS);
    let store = Store::new();
    store.put("anna", "horse");
    let before = fs::read(store.file("anna")).unwrap();
    let mut mark = Command::new(program);
    let (stdout, _) = expect(0, &run(store.surround(mark.arg(component()).arg(store.path()))));
    assert_eq!(stdout, "unavailable: the system gives no random bytes\n");
    assert_eq!(fs::read(store.file("anna")).unwrap(), before);
}
