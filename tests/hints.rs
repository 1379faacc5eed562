//! What an operator is advised to do: the remedy for this very cause, with which nothing is lost.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use memchr::memmem;
use support::{KEY, MOAT, Store, as_root, done, expect, run, run_with_input, tool, write_private};

const NOBODY: u32 = 65534;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// The program with no master key but what these arguments and variables name, beside the directory.
fn moat(store: &Store, arguments: &[&str]) -> Command {
    let mut command = store.moat(arguments);
    command.env_remove("FOSSAWORK_MASTER_KEY").current_dir(store.beside(""));
    command
}

/// The message and the hint of a failure, each one line.
fn failure(code: i32, command: &mut Command) -> (String, String) {
    let (stdout, stderr) = expect(code, &run(command));
    assert_eq!(stdout, "", "{command:?}");
    // What comes before is a command's own.
    let error = stderr.find("error: ").unwrap();
    let (message, hint) = stderr[error..].trim_end().split_once("\nhint: ").unwrap();
    assert!(!hint.contains('\n'), "{stderr}");
    (message.to_owned(), hint.to_owned())
}

/// A source, what the message has, and what the hint has.
struct Unusable(&'static [&'static str], &'static str, &'static str);

const UNUSABLE: &[Unusable] = &[
    Unusable(&["--master-key-file", "missing"], "No such file", "restore it from a backup"),
    Unusable(&["--master-key-file", "-"], "No such file", "/dev/stdin"),
    Unusable(&["--master-key-file", "exposed"], "(mode 0640)", "run: chmod 600 exposed"),
    Unusable(&["--master-key-file", "folder"], "Is a directory", "specify the file in it"),
    Unusable(&["--master-key-file", "huge"], "too large", "specify the right file"),
    Unusable(&["--master-key-file", "empty"], "contains no key", "restore it from a backup"),
    Unusable(&["--master-key-file", "ring.json"], "contains a key ring", "--keyring ring.json"),
    Unusable(&["--master-key-file", "exposed/x"], "Not a directory", "check the path"),
    Unusable(&["--keyring", "missing"], "No such file", "restore it from a backup"),
    Unusable(&["--keyring", "exposed"], "(mode 0640)", "run: chmod 600 exposed"),
    Unusable(&["--keyring", "torn.json"], "not a key ring", "restore it from a backup"),
    Unusable(&["--keyring", "empty"], "not a key ring", "restore it from a backup"),
    Unusable(&["--master-key-command", "exit 3"], "exit status: 3", "run the command by hand"),
    Unusable(&["--master-key-command", "kill -9 $$"], "signal: 9", "run the command by hand"),
    Unusable(&["--master-key-command", "true"], "contains no key", "run the command by hand"),
    Unusable(&["--master-key-command", "no-such-program"], "127", "run the command by hand"),
    Unusable(&["--master-key-command", "cat huge"], "too large", "run the command by hand"),
    Unusable(
        &["--master-key-command", "cat torn.json"],
        "not a key ring",
        "run the command by hand",
    ),
    Unusable(&["--env-file", "exposed"], "(mode 0640)", "run: chmod 600 exposed"),
    Unusable(&["--env-file", "missing"], "No such file", "restore it from a backup"),
];

/// A directory with a record, and beside it what the table names.
fn installation() -> Store {
    let store = Store::new();
    store.put("anna", "horse");
    let file = |name: &str, contents: &[u8]| write_private(&store.beside(name), contents);
    file("exposed", KEY.as_bytes());
    set_mode(&store.beside("exposed"), 0o640);
    file("huge", &[b'x'; 70_000]);
    file("empty", b"");
    fs::create_dir(store.beside("folder")).unwrap();
    set_mode(&store.beside(""), 0o700);
    expect(0, &run(&mut moat(&store, &["keys", "add", "--keyring", "ring.json"])));
    let ring = fs::read(store.beside("ring.json")).unwrap();
    file("torn.json", &ring[..ring.len() / 2]);
    store
}

#[test]
fn no_remedy_of_a_named_key_source_is_a_new_key() {
    let store = installation();
    let check = |message: &str, hint: &str, (found, given): (String, String)| {
        assert!(found.contains(message) && given.contains(hint), "{message}: {found}\n{given}");
        for other in ["keygen", "keys add", "FOSSAWORK_MASTER_KEY", "delete"] {
            assert!(!given.contains(other), "{message}: {given}");
        }
    };
    for Unusable(source, message, hint) in UNUSABLE {
        let get = [&["get", "anna"][..], source].concat();
        check(message, hint, failure(4, &mut moat(&store, &get)));
        let put = [&["put", "bob", "--username", "b", "--password-stdin"][..], source].concat();
        check(message, hint, failure(4, &mut moat(&store, &put)));
    }
    for (variable, value, message, hint) in [
        ("FOSSAWORK_MASTER_KEY_FILE", "missing", "No such file", "restore it from a backup"),
        ("FOSSAWORK_KEYRING", "exposed", "(mode 0640)", "run: chmod 600 exposed"),
        ("FOSSAWORK_MASTER_KEY_COMMAND", "exit 3", "exit status: 3", "run the command by hand"),
    ] {
        let mut get = moat(&store, &["get", "anna"]);
        check(message, hint, failure(4, get.env(variable, value)));
    }
    fs::create_dir(store.beside("systemd")).unwrap();
    write_private(&store.beside("systemd/fossawork-master-key"), b"");
    let mut get = moat(&store, &["get", "anna"]);
    let given = failure(4, get.env("CREDENTIALS_DIRECTORY", "systemd"));
    check("the systemd credential", "LoadCredential=", given);
    // What `check` advises is the same.
    let (stdout, _) =
        expect(1, &run(&mut moat(&store, &["check", "--json", "--master-key-command", "exit 3"])));
    assert!(stdout.contains("run the command by hand") && !stdout.contains("keygen"), "{stdout}");
}

/// As root, since only root can have files of somebody else.
#[test]
fn a_key_of_somebody_else() {
    let Some(setpriv) = tool("setpriv") else { return };
    if !as_root("make files of somebody else") {
        return;
    }
    let store = installation();
    chown(store.beside("exposed"), Some(NOBODY), None).unwrap();
    set_mode(&store.beside("exposed"), 0o600);
    let get = ["get", "anna", "--field", "password", "--master-key-file", "exposed"];
    let (message, hint) = failure(4, &mut moat(&store, &get));
    assert!(message.contains("belongs to uid 65534"), "{message}");
    let command = hint.split_once("take ownership: ").unwrap().1;
    done(Command::new("sh").args(["-c", command]).current_dir(store.beside("")));
    assert_eq!(expect(0, &run(&mut moat(&store, &get))).0, "horse\n");

    // A key of root's that everybody can read. The user can't change that.
    let all = [store.path(), store.file("anna"), store.beside(""), store.path().join(".moat.lock")];
    all.iter().for_each(|path| chown(path, Some(NOBODY), Some(NOBODY)).unwrap());
    chown(store.beside("exposed"), Some(0), Some(NOBODY)).unwrap();
    set_mode(&store.beside("exposed"), 0o444);
    fs::copy(MOAT.as_str(), store.beside("moat")).unwrap();
    let as_nobody = |arguments: &[&str]| {
        let mut setpriv = setpriv.command();
        let program = store.beside("moat");
        setpriv.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
        store.surround(setpriv.args(arguments)).env_remove("FOSSAWORK_MASTER_KEY");
        setpriv.current_dir(store.beside(""));
        setpriv
    };
    let (_, hint) = failure(4, &mut as_nobody(&get));
    let command = hint.split_once("--master-key-command '").unwrap().1.trim_end_matches('\'');
    let get = ["get", "anna", "--field", "password", "--master-key-command", command];
    assert_eq!(expect(0, &run(&mut as_nobody(&get))).0, "horse\n");
}

#[test]
fn without_any_key_source_a_new_key_is_for_a_directory_without_records() {
    let store = Store::new();
    let put = ["put", "bob", "--username", "b", "--password-stdin"];
    let (_, hint) = failure(4, &mut moat(&store, &put));
    assert!(hint.contains("`moat keygen --out PATH`"), "{hint}");
    let (_, hint) = failure(4, &mut moat(&store, &[&put[..], &["--dir", "new"]].concat()));
    assert!(hint.contains("`moat keygen --out PATH`"), "{hint}");

    store.put("anna", "horse");
    for arguments in [&put[..], &["get", "anna"], &["rotate"]] {
        let (message, hint) = failure(4, &mut moat(&store, arguments));
        assert_eq!(message, "error: there is no master key");
        assert!(hint.starts_with("provide the master key that the records in "), "{hint}");
        assert!(!hint.contains("keygen"), "{hint}");
    }
}

#[test]
fn a_weak_key_is_replaced_and_not_forgotten() {
    let store = Store::new();
    let mut put = moat(&store, &["put", "bob", "--username", "b", "--password-stdin"]);
    let put = put.env("FOSSAWORK_MASTER_KEY", "short");
    let (_, stderr) = expect(4, &run_with_input(put, "x"));
    assert!(stderr.contains("keygen --out") && stderr.contains("_PREVIOUS"), "{stderr}");
}

/// What stands in place of a record, how the message names it, and the remedy.
type Refused = (fn(&Store), &'static str, &'static str);

const REFUSED: &[Refused] = &[
    (
        |s| fs::hard_link(s.file("anna"), s.beside("snapshot")).unwrap(),
        "\"anna.cred\" has a second name (hard link)",
        "cp -p FILE FILE.new && mv FILE.new FILE",
    ),
    (
        |s| {
            fs::rename(s.file("anna"), s.beside("elsewhere")).unwrap();
            symlink(s.beside("elsewhere"), s.file("anna")).unwrap();
        },
        "\"anna.cred\" is not a regular file, but a symbolic link",
        "replace it with the file itself: cp -p FILE FILE.new && mv FILE.new FILE",
    ),
    (
        |s| {
            fs::rename(s.file("anna"), s.beside("elsewhere")).unwrap();
            fs::create_dir(s.file("anna")).unwrap();
        },
        "\"anna.cred\" is not a regular file",
        "then move it elsewhere",
    ),
    (
        |s| {
            fs::rename(s.file("anna"), s.beside("elsewhere")).unwrap();
            UnixListener::bind(s.file("anna")).unwrap();
        },
        "\"anna.cred\" is not a regular file",
        "then move it elsewhere",
    ),
];

#[test]
fn what_stands_in_place_of_a_record_is_a_matter_of_the_directory() {
    for (make, message, remedy) in REFUSED {
        let store = Store::new();
        store.put("anna", "horse");
        make(&store);
        for arguments in [&["get", "anna"][..], &["touch", "anna"], &["inspect", "anna"]] {
            let (found, hint) = failure(9, &mut store.moat(arguments));
            assert_eq!(found, format!("error: {message}"));
            assert!(
                hint.starts_with("nothing was changed; in ") && hint.ends_with(remedy),
                "{hint}"
            );
        }
    }
}

#[test]
fn the_remedies_mend_it() {
    let get = |store: &Store| run(&mut store.moat(&["get", "anna", "--field", "password"]));
    let follow = |store: &Store, hint: &str, from: &str| {
        let command = hint[hint.find(from).unwrap()..].replace("FILE", "anna.cred");
        done(Command::new("sh").args(["-c", &command]).current_dir(store.path()));
        assert_eq!(expect(0, &get(store)).0, "horse\n", "{command}");
    };
    let store = Store::new();
    store.put("anna", "horse");
    fs::hard_link(store.file("anna"), store.beside("snapshot")).unwrap();
    let (_, hint) = failure(9, &mut store.moat(&["get", "anna"]));
    follow(&store, &hint, "cp -p");
    assert_eq!(fs::metadata(store.file("anna")).unwrap().permissions().mode() & 0o777, 0o600);

    if !as_root("make files of somebody else") {
        return;
    }
    chown(store.file("anna"), Some(NOBODY), None).unwrap();
    let (message, hint) = failure(9, &mut store.moat(&["get", "anna"]));
    assert_eq!(message, "error: \"anna.cred\" belongs to another user");
    follow(&store, &hint, "chown");
}

#[test]
fn a_damaged_record_is_to_be_restored() {
    let store = Store::new();
    write_private(&store.file("anna"), b"{");
    let (_, hint) = failure(6, &mut store.moat(&["get", "anna"]));
    assert!(hint.contains("from a backup") && !hint.contains("delete"), "{hint}");
}

/// Whatever the program can say: its texts are in its file.
#[test]
fn nothing_says_to_delete_a_credential() {
    let program = fs::read(MOAT.as_str()).unwrap();
    let says = |text: &str| memmem::find(&program, text.as_bytes()).is_some();
    assert!(says("run `moat list` to see the users") && says("`moat keygen --out PATH`"));
    // Its own example is not quoted.
    assert!(!says("`moat delete"));
}

/// A directory, and what the message and the hint have.
#[test]
fn a_directory_that_can_not_be_used() {
    let store = installation();
    write_private(&store.beside("key"), KEY.as_bytes());
    for (arguments, message, remedy) in [
        (&["list", "--dir", "key"][..], "Not a directory", "key is not a directory"),
        (
            &["list", "--dir", "key/x"],
            "Not a directory",
            "key/x is not a directory, or its path leads through",
        ),
        (&["list", "--dir", "nowhere"], "No such file", "check --dir"),
        (&["keys", "add", "--keyring", "nowhere/r"], "No such file", "mkdir -m 700 nowhere"),
    ] {
        let (found, hint) = failure(9, &mut moat(&store, arguments));
        assert!(found.contains(message) && hint.contains(remedy), "{found}\n{hint}");
    }
    set_mode(&store.beside(""), 0o755);
    let (_, hint) = failure(4, &mut moat(&store, &["keys", "list", "--keyring", "nowhere/r"]));
    assert!(hint.contains("restore it from a backup"), "{hint}");
}

/// Hints that no transcript shows, and why: the test that follows them, or what can't be brought about here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("for whom it must have mode 0700", "`faults::an_unwritable_directory`"),
    ("allow it for this program (MemoryDenyWriteExecute=", "`confinement`"),
    ("more memory (ulimit -v", "`sandbox`; an operator's own limits"),
    ("more processes and threads (ulimit -u", "an operator's own limits, which root doesn't have"),
    (
        "check the directory of the audit log",
        "needs a directory that can be opened and not examined",
    ),
    ("check the disk of {path}", "`faults`"),
    ("check the recipients", "they are parsed before, one by one"),
    (
        "decrypt it with age, and pass it on standard input",
        "`import::what_is_encrypted_with_age_is_decrypted_on_the_way`",
    ),
    (
        "write it into a file with --output FILE",
        "`export::only_who_insists_gets_the_clear`, at a terminal",
    ),
    ("{again} to go on", "`import::an_import_that_fails_says_how_far_it_came_and_goes_on`"),
    ("check the key", "for rings of later versions, whose errors aren't known yet"),
    ("compare the digest shown by `moat component`", "a bug, or a component that was altered"),
    ("copy it to your own file (install -m 600", "`hints::a_key_of_somebody_else`"),
    ("correct it", "a variable with neither a key nor a ring counts as unset"),
    ("free some space on the disk", "`faults`, `audit`"),
    ("take ownership: chown $(id -u) FILE", "`hints::the_remedies_mend_it`"),
    ("take ownership: chown {} {shown}", "`hints::a_key_of_somebody_else`"),
    ("check that /bin/sh can be run", "a system without a shell"),
    (
        "check the current credential with `moat get USER`",
        "`edit::a_change_by_somebody_else_is_not_undone`",
    ),
    ("file system that distinguishes such names", "`file_systems`"),
    ("free some memory (df /dev/shm)", "a full /dev/shm is everybody's"),
    ("make XDG_RUNTIME_DIR or /dev/shm writable", "root can write everywhere"),
    ("mount one (mount -t tmpfs", "`edit::without_a_place_in_memory_nothing_is_written`"),
    (
        "pass it through a file or a pipe",
        "`prompts::a_line_that_the_terminal_cut_is_refused_on_standard_input`",
    ),
    (
        "run this again and enter one",
        "`prompts::put_stores_nothing_where_the_answer_is_no_password`",
    ),
    ("end the {what} with Enter", "`prompts::put_stores_nothing_where_the_answer_is_no_password`"),
    ("put it after `--`", "the definition of the arguments has refused it before"),
    ("put it back into use with `moat keys restore {id}`", "`retirement`"),
    (
        "run this again to go on",
        "`progress::a_signal_ends_the_work_between_two_records_and_says_how_far_it_came`",
    ),
    ("the system's log may say why", "the kernel has ended a process"),
    ("run this as a user who can read it", "root can read everything"),
    ("run `moat check` to see what is wrong with the audit log", "an error of its disk"),
    ("use --yes", "needs a terminal that goes away while it asks"),
    ("{path} is mounted read-only", "needs a file system of its own"),
];

/// The functions that are nothing but hints.
const ALL_HINTS: [&str; 6] = [
    "fn hint(",
    "fn directory_hint(",
    "fn audit_hint(",
    "fn refused(",
    "fn file_remedy(",
    "fn remedy(",
];

/// The constructors of failures, whose second argument is the hint.
const FAILURES: [&str; 8] =
    ["usage", "master_key", "in_use", "conflict", "audit", "other", "interrupted", "library"];

/// The texts between quotes in a piece of source.
fn literals(source: &str) -> Vec<String> {
    let mut literals = Vec::new();
    let mut rest = source;
    while let Some((before, after)) = rest.split_once('"') {
        if before.ends_with("r#") {
            let (text, after) = after.split_once("\"#").unwrap();
            literals.push(text.to_owned());
            rest = after;
            continue;
        }
        let mut text = String::new();
        let mut characters = after.chars();
        loop {
            match characters.next().unwrap() {
                '"' => break,
                '\\' => text.extend(characters.next()),
                c => text.push(c),
            }
        }
        literals.push(text);
        rest = characters.as_str();
    }
    literals
}

/// What stands between the bracket that this begins with and its other half, in parts between commas. Brackets and commas in
/// texts don't count.
fn arguments(source: &str) -> Vec<&str> {
    let (mut depth, mut begin, mut quoted, mut escaped) = (0, 1, false, false);
    let mut parts = Vec::new();
    for (at, c) in source.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => {
                depth -= 1;
                if depth == 0 {
                    parts.push(&source[begin..at]);
                    return parts;
                }
            }
            ',' if depth == 1 => {
                parts.push(&source[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts
}

/// All hints in the source of the program.
fn hints_in(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]").next().unwrap();
    let mut hints = Vec::new();
    for name in FAILURES {
        for (at, call) in source.match_indices(&format!("Failure::{name}(")) {
            let parts = arguments(&source[at + call.len() - 1..]);
            hints.extend(parts.get(1).into_iter().flat_map(|hint| literals(hint)));
        }
    }
    for name in ALL_HINTS {
        for (at, _) in source.match_indices(name) {
            let body = at + source[at..].find(" {\n").unwrap() + 1;
            hints.extend(arguments(&source[body..]).into_iter().flat_map(literals));
        }
    }
    let named = source
        .lines()
        .filter(|line| line.contains("HINT: &str = \"") || line.contains("let hint = \""));
    hints.extend(named.flat_map(literals));
    // What is shorter is a name.
    hints.retain(|hint| hint.trim_end().contains(' '));
    hints
}

/// Whether the text has all parts of the hint but what is filled in.
fn shows(text: &str, hint: &str) -> bool {
    let mut rest = text;
    hint.split(['{', '}']).step_by(2).all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

#[test]
fn every_hint_is_shown_where_it_is_followed() {
    let files = |folder: &str, end: &str| -> Vec<String> {
        let entries = fs::read_dir(support::tests().join(folder)).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let paths = paths.filter(|path| path.to_string_lossy().ends_with(end));
        paths.map(|path| fs::read_to_string(path).unwrap()).collect()
    };
    let transcripts = [files("commands", ".console"), files("../host/docs", ".md")].concat();
    let shown: Vec<&str> = transcripts
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(|line| line.strip_prefix("hint: "))
        .collect();
    let source = |folder: &str| files(&format!("../host/cli/src{folder}"), ".rs");
    let folders = [
        "",
        "/ambient",
        "/revealing",
        "/terminal",
        "/verbs",
        "/verbs/check",
        "/verbs/edit",
        "/verbs/exec",
        "/verbs/import",
    ];
    let hints: Vec<String> =
        folders.into_iter().flat_map(source).flat_map(|text| hints_in(&text)).collect();
    assert!(hints.len() > 100, "{}", hints.len());
    let mut missing: Vec<&String> = hints
        .iter()
        .filter(|hint| !shown.iter().any(|shown| shows(shown, hint)))
        .filter(|hint| !ELSEWHERE.iter().any(|(part, _)| hint.contains(part)))
        .collect();
    missing.sort();
    missing.dedup();
    assert!(missing.is_empty(), "no transcript of tests/commands follows these: {missing:#?}");
    for (part, _) in ELSEWHERE {
        assert!(hints.iter().any(|hint| hint.contains(part)), "no hint has {part:?}");
    }
}
