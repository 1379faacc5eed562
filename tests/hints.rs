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
