//! The same environment and the same files mean the same master keys to the program and to the hosts in other languages.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;
use std::thread;

use moat::{Credential, KeyRing, MasterKey, PutOptions, UserId, Vault};
use support::callers::{self, C, component};
use support::{KEY, Store, as_root, expect, run, tests, write_private};

const FIRST: &str = "the first key, of 30 characters";
const SECOND: &str = "the second key, of 31 characters";
const THIRD: &str = "the third key, of 30 characters";
const BYTES: &[u8] = b"\xff\xfe a key that is not text \x00\n\r";
/// Of `guest/format/src/strong_key.rs`, with its last character wrong.
const MISTYPED: &str =
    "MOAT-MASTER-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ7P8642";

/// Each user's record is encrypted with a key of its own.
fn users() -> [(&'static str, Vec<u8>); 5] {
    [
        ("bytes", BYTES.to_vec()),
        ("first", FIRST.into()),
        ("first-and-line-break", format!("{FIRST}\n").into()),
        ("second", SECOND.into()),
        ("third", THIRD.into()),
    ]
}

/// A case: its name, what stands beside the directory, the environment, and what comes of it: the users whose records
/// are decrypted, with a star after those of the primary key, or `refused`.
struct Case(&'static str, fn(&Store), &'static [(&'static str, &'static str)], &'static str);

fn file(store: &Store, name: &str, contents: impl AsRef<[u8]>) {
    write_private(&store.beside(name), contents.as_ref());
}

fn ring(store: &Store, from: &str, to: &str) {
    let ring = format!(
        r#"{{
  "moat_keyring": 1,
  "primary": "b",
  "keys": [
    {{"id": "a", "added_at": "2025-01-31T08:00:00Z", "superseded": true, "key": "{FIRST}"}},
    {{"id": "b", "added_at": "2026-01-31T08:00:00.5+01:00", "key": "{SECOND}"}},
    {{"id": "c", "added_at": "2024-01-31T08:00:00Z", "retired": true, "key": "{THIRD}"}},
    {{"id": "d", "added_at": "2024-01-31T08:00:00Z", "key_base64": "//4gYSBrZXkgdGhhdCBpcyBub3QgdGV4dCAACg0="}}
  ]
}}
"#
    );
    assert!(ring.contains(from), "{from}");
    file(store, "ring.json", ring.replacen(from, to, 1));
}

const FILE: (&str, &str) = ("FOSSAWORK_MASTER_KEY_FILE", "key");
const RING: (&str, &str) = ("FOSSAWORK_KEYRING", "ring.json");
const SYSTEMD: (&str, &str) = ("CREDENTIALS_DIRECTORY", ".");

const fn command(command: &'static str) -> (&'static str, &'static str) {
    ("FOSSAWORK_MASTER_KEY_COMMAND", command)
}

const fn variable(key: &'static str) -> (&'static str, &'static str) {
    ("FOSSAWORK_MASTER_KEY", key)
}

const fn previous(keys: &'static str) -> (&'static str, &'static str) {
    ("FOSSAWORK_MASTER_KEY_PREVIOUS", keys)
}

const CASES: &[Case] = &[
    // What is in a file.
    Case("no line break", |s| file(s, "key", FIRST), &[FILE], "first*"),
    Case("a line break", |s| file(s, "key", format!("{FIRST}\n")), &[FILE], "first*"),
    Case("one of Windows", |s| file(s, "key", format!("{FIRST}\r\n")), &[FILE], "first*"),
    Case(
        "two line breaks",
        |s| file(s, "key", format!("{FIRST}\n\n")),
        &[FILE],
        "first-and-line-break*",
    ),
    Case("a carriage return", |s| file(s, "key", format!("{FIRST}\r")), &[FILE], ""),
    Case("a space", |s| file(s, "key", format!(" {FIRST}")), &[FILE], ""),
    Case("not text", |s| file(s, "key", [BYTES, b"\r\n"].concat()), &[FILE], "bytes*"),
    Case("nothing", |s| file(s, "key", ""), &[FILE], "refused"),
    Case("nothing but a line break", |s| file(s, "key", "\r\n"), &[FILE], "refused"),
    Case("more than 64 KiB", |s| file(s, "key", [b'k'; 65537]), &[FILE], "refused"),
    Case("a mistyped key", |s| file(s, "key", MISTYPED), &[FILE], "refused"),
    Case("a ring", |s| ring(s, "", ""), &[("FOSSAWORK_MASTER_KEY_FILE", "ring.json")], "refused"),
    // Whose file it is.
    Case("no file", |_| (), &[FILE], "refused"),
    Case("a directory", |s| fs::create_dir(s.beside("key")).unwrap(), &[FILE], "refused"),
    Case("a file of a group", |s| with_mode(s, 0o640), &[FILE], "refused"),
    Case("a file that others can read", |s| with_mode(s, 0o604), &[FILE], "refused"),
    Case("a file that is read-only", |s| with_mode(s, 0o400), &[FILE], "first*"),
    Case(
        "a link to a file",
        |s| {
            file(s, "elsewhere", FIRST);
            symlink("elsewhere", s.beside("key")).unwrap();
        },
        &[FILE],
        "first*",
    ),
    // Variables.
    Case("a variable", |_| (), &[variable(FIRST)], "first*"),
    Case(
        "a variable with a line break",
        |_| (),
        &[variable("the first key, of 30 characters\n")],
        "first-and-line-break*",
    ),
    Case("no variable", |_| (), &[], "refused"),
    Case("two sources", |s| file(s, "key", FIRST), &[variable(FIRST), FILE], "refused"),
    Case("an empty variable", |s| file(s, "key", FIRST), &[variable(""), FILE], "first*"),
    Case(
        "earlier keys",
        |s| file(s, "key", FIRST),
        &[FILE, previous("the second key, of 31 characters\r\n\nthe third key, of 30 characters")],
        "first* second third",
    ),
    Case("a mistyped earlier key", |_| (), &[variable(FIRST), previous(MISTYPED)], "refused"),
    Case(
        "a credential of systemd",
        |s| {
            file(s, "fossawork-master-key", format!("{FIRST}\n"));
            set_mode(&s.beside("fossawork-master-key"), 0o440);
        },
        &[SYSTEMD],
        "first*",
    ),
    Case("no credential of systemd", |_| (), &[SYSTEMD], "refused"),
    // Commands.
    Case("a command", |_| (), &[command("echo the first key, of 30 characters")], "first*"),
    Case(
        "a command with an earlier key",
        |s| file(s, "key", FIRST),
        &[command("cat key"), previous(SECOND)],
        "first* second",
    ),
    Case(
        "a command without the keys",
        |s| file(s, "key", FIRST),
        &[command("test -z \"$FOSSAWORK_MASTER_KEY_COMMAND\" && cat key")],
        "first*",
    ),
    Case("a command that prints nothing", |_| (), &[command("true")], "refused"),
    Case(
        "a command that fails",
        |s| file(s, "key", FIRST),
        &[command("cat key; exit 3")],
        "refused",
    ),
    Case("a command that is killed", |_| (), &[command("kill -9 $$")], "refused"),
    Case("a command without an end", |_| (), &[command("yes")], "refused"),
    Case(
        "a command that prints a ring",
        |s| ring(s, "", ""),
        &[command("cat ring.json")],
        "bytes first second*",
    ),
    // Rings.
    Case("a ring of its own", |s| ring(s, "", ""), &[RING], "bytes first second*"),
    Case("a ring and an earlier key", |s| ring(s, "", ""), &[RING, previous(THIRD)], "refused"),
    Case(
        "a ring that others can read",
        |s| {
            ring(s, "", "");
            set_mode(&s.beside("ring.json"), 0o644);
        },
        &[RING],
        "refused",
    ),
    Case("a key instead of a ring", |s| file(s, "ring.json", FIRST), &[RING], "refused"),
    Case(
        "a key back in use",
        |s| ring(s, "true, \"key\": \"the third", "false, \"key\": \"the third"),
        &[RING],
        "bytes first second* third",
    ),
    Case("another version", |s| ring(s, "keyring\": 1", "keyring\": 2"), &[RING], "refused"),
    Case("a version that is no integer", |s| ring(s, ": 1,", ": true,"), &[RING], "refused"),
    Case("a comma too much", |s| ring(s, "}\n  ]", "},\n  ]"), &[RING], "refused"),
    Case(
        "an unknown member",
        |s| ring(s, "\"primary\"", "\"x\": 1, \"primary\""),
        &[RING],
        "refused",
    ),
    Case(
        "a member twice",
        |s| ring(s, "\"primary\"", "\"primary\": \"a\", \"primary\""),
        &[RING],
        "refused",
    ),
    Case(
        "no primary key",
        |s| ring(s, "\"primary\": \"b\"", "\"primary\": \"x\""),
        &[RING],
        "refused",
    ),
    Case(
        "a retired primary key",
        |s| ring(s, "\"primary\": \"b\"", "\"primary\": \"c\""),
        &[RING],
        "refused",
    ),
    Case("an id twice", |s| ring(s, "\"id\": \"c\"", "\"id\": \"a\""), &[RING], "refused"),
    Case("a key twice", |s| ring(s, THIRD, FIRST), &[RING], "refused"),
    Case("an empty id", |s| ring(s, "\"id\": \"a\"", "\"id\": \"\""), &[RING], "refused"),
    Case(
        "a line break in an id",
        |s| ring(s, "\"id\": \"a\"", "\"id\": \"a\\n\""),
        &[RING],
        "refused",
    ),
    Case("an empty key", |s| ring(s, THIRD, ""), &[RING], "refused"),
    Case("an escape in a key", |s| ring(s, THIRD, "the third key\\n"), &[RING], "refused"),
    Case(
        "no key",
        |s| ring(s, ", \"key\": \"the third key, of 30 characters\"", ""),
        &[RING],
        "refused",
    ),
    Case(
        "a key in both ways",
        |s| ring(s, "\"key_base64\"", "\"key\": \"x\", \"key_base64\""),
        &[RING],
        "refused",
    ),
    Case("base64 without padding", |s| ring(s, "Cg0=", "Cg0"), &[RING], "refused"),
    Case("base64 with other bits", |s| ring(s, "Cg0=", "Cg1="), &[RING], "refused"),
    Case("base64 of URLs", |s| ring(s, "//4", "__4"), &[RING], "refused"),
    Case("a time that is none", |s| ring(s, "2024-01-31T", "2024-01-31 at "), &[RING], "refused"),
];

/// What only root can make.
const CASES_OF_ROOT: &[Case] = &[Case(
    "a file of somebody else",
    |s| {
        file(s, "key", FIRST);
        chown(s.beside("key"), Some(12345), None).unwrap();
    },
    &[FILE],
    "refused",
)];

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn with_mode(store: &Store, mode: u32) {
    file(store, "key", FIRST);
    set_mode(&store.beside("key"), mode);
}

/// The records of all users, each made in a directory of its own.
fn records() -> Vec<(&'static str, Vec<u8>)> {
    let options = PutOptions::default().version("1.0");
    let record = |(user, key): (&'static str, Vec<u8>)| {
        let store = Store::new();
        let keys = KeyRing::new(MasterKey::new(&key));
        let vault = Vault::builder(store.directory(), keys).build().unwrap();
        vault
            .put(&UserId::parse(user).unwrap(), &Credential::new(user, "horse"), &options)
            .unwrap();
        (user, fs::read(store.file(user)).unwrap())
    };
    users().into_iter().map(record).collect()
}

/// A host: its name, and what it answers in a case.
type Host = (&'static str, Box<dyn Fn(&Store, &Case) -> String + Sync>);

fn hosts() -> Vec<Host> {
    let mut hosts: Vec<Host> = vec![("moat", Box::new(in_program))];
    if let Some(python) = callers::python() {
        let script = tests().join("writers/keys.py");
        hosts.push(("python", Box::new(move |s, case| in_another(python.run(&script), s, case))));
    }
    if let Some(node) = callers::node() {
        let library = node.path("dist/lib/node/index.js");
        let answer = move |store: &Store, case: &Case| {
            let mut node = Command::new("node");
            node.arg(tests().join("writers/keys.mjs")).arg(&library);
            in_another(node, store, case)
        };
        hosts.push(("node", Box::new(answer)));
    }
    if let Some(c) = callers::c() {
        let program = c.compile(&tests().join("writers/keys.c"), &C::OBJECTS);
        let answer = move |store: &Store, case: &Case| {
            let mut program = Command::new(&program);
            program.arg(component());
            in_another(program, store, case)
        };
        hosts.push(("c", Box::new(answer)));
    }
    hosts
}

/// Gives a command the case's environment.
fn set<'a>(store: &Store, command: &'a mut Command, case: &Case) -> &'a mut Command {
    store.surround(command).env_remove("FOSSAWORK_MASTER_KEY").current_dir(store.beside(""));
    command.envs(case.2.iter().copied())
}

/// As the program has it, which doesn't print which key is the primary one.
fn in_program(store: &Store, case: &Case) -> String {
    let mut opened = Vec::new();
    for (user, _) in users() {
        let output = run(set(store, &mut store.moat(&["get", user]), case));
        match output.status.code() {
            Some(0) => opened.push(user),
            Some(4) => return "refused".to_owned(),
            _ => drop(expect(5, &output)),
        }
    }
    opened.join(" ")
}

fn in_another(mut command: Command, store: &Store, case: &Case) -> String {
    let command = set(store, &mut command, case).args(users().map(|(user, _)| user));
    let (stdout, _) = expect(0, &run(command));
    let answer = stdout.trim_end();
    if answer.starts_with("master-key-") { "refused".to_owned() } else { answer.to_owned() }
}

#[test]
fn every_host_has_the_same_keys_from_the_same_environment() {
    let records = records();
    let hosts = hosts();
    let mut cases: Vec<&Case> = CASES.iter().collect();
    if as_root("make files of others") {
        cases.extend(CASES_OF_ROOT);
    }
    let differences = |host: &Host| {
        let mut wrong = Vec::new();
        for case in &cases {
            let Case(name, prepare, environment, expected) = case;
            let store = Store::new();
            for (user, record) in &records {
                write_private(&store.file(user), record);
            }
            prepare(&store);
            let expected = match host.0 {
                "moat" => expected.replace('*', ""),
                // Its README says that it refuses these.
                "c" if environment.iter().any(|(n, _)| n.ends_with("COMMAND") || *n == RING.0) => {
                    "refused".to_owned()
                }
                _ => (*expected).to_owned(),
            };
            let answer = (host.1)(&store, case);
            if answer != expected {
                wrong.push(format!("{}: {name}: {answer:?} instead of {expected:?}", host.0));
            }
        }
        wrong
    };
    let wrong: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = hosts.iter().map(|host| scope.spawn(|| differences(host))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// As an embedder of the library reads it.
#[test]
fn the_library_reads_a_key_file_as_the_program_does() {
    let store = Store::new();
    store.put("anna", "horse");
    let anna = UserId::parse("anna").unwrap();
    for (end, is_read) in [("", true), ("\n", true), ("\r\n", true), ("\n\n", false), (" ", false)]
    {
        let keys = KeyRing::new(MasterKey::from_file_contents(format!("{KEY}{end}").as_bytes()));
        let vault = Vault::builder(store.directory(), keys).build().unwrap();
        assert_eq!(vault.reveal(&anna).is_ok(), is_read, "{end:?}");
    }
}
