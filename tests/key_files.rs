//! The files that keys come from: what is not a regular file is examined too, before anything of it is used.

use std::fs;
use std::io::{Write, pipe};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, chown, fchown, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;

use support::callers::{c, component, node, python};
use support::{KEY, MOAT, Store, as_root, done, expect, run, write_private};

const STRANGER: u32 = 12345;
/// A group that a container's user is given.
const GROUP: u32 = 22222;

fn store() -> Store {
    let store = Store::new();
    store.put("anna", "horse");
    store
}

fn get(store: &Store, key_file: &Path) -> Command {
    let mut get = store.moat(&["get", "anna", "--field", "password", "--master-key-file"]);
    get.arg(key_file).env_remove("FOSSAWORK_MASTER_KEY");
    get
}

#[track_caller]
fn refused(output: &Output, why: &str) {
    let (_, stderr) = expect(4, output);
    assert!(stderr.contains(why), "{stderr}");
}

/// What the program says to a FIFO of this mode and owner, with the key in it.
fn from_fifo(store: &Store, mode: u32, owner: Option<u32>) -> Output {
    let fifo = store.beside("fifo");
    done(Command::new("mkfifo").arg(&fifo));
    fs::set_permissions(&fifo, PermissionsExt::from_mode(mode)).unwrap();
    chown(&fifo, owner, None).unwrap();
    let output = thread::scope(|scope| {
        // The program may close it without having read anything.
        scope.spawn(|| drop(fs::write(&fifo, KEY)));
        run(&mut get(store, &fifo))
    });
    fs::remove_file(fifo).unwrap();
    output
}

#[test]
fn a_fifo_is_examined_as_a_file_is() {
    let store = store();
    assert_eq!(expect(0, &from_fifo(&store, 0o600, None)).0, "horse\n");
    refused(&from_fifo(&store, 0o666, None), "fifo: others can read it (mode 0666)");
    if as_root("give a FIFO to somebody else") {
        refused(&from_fifo(&store, 0o600, Some(STRANGER)), "fifo: it belongs to uid 12345");
    }
}

/// As with sudo, whose caller's pipe belongs to the caller. Through a name that somebody planted, it is refused.
#[test]
fn a_pipe_of_somebody_else_is_taken_from_whoever_starts_the_program_only() {
    if !as_root("read the pipe of somebody else") {
        return;
    }
    let store = store();
    let pipe_with_key = || {
        let (reader, mut writer) = pipe().unwrap();
        fchown(&reader, Some(STRANGER), None).unwrap();
        writer.write_all(KEY.as_bytes()).unwrap();
        reader
    };
    let mut given = get(&store, Path::new("/dev/stdin"));
    let output = given.stdin(Stdio::from(pipe_with_key())).output().unwrap();
    assert_eq!(expect(0, &output).0, "horse\n");

    let reader = pipe_with_key();
    let planted = store.beside("planted");
    let descriptor = reader.as_raw_fd();
    symlink(format!("/proc/{}/fd/{descriptor}", std::process::id()), &planted).unwrap();
    refused(&run(&mut get(&store, &planted)), "planted: it belongs to uid 12345");
}

/// A store of another user's, who has a group of its own besides [`GROUP`], and a copy of the program that this user can
/// start.
fn of_a_containers_user() -> Store {
    let store = store();
    fs::copy(MOAT.as_str(), store.beside("moat")).unwrap();
    for path in
        [store.beside(""), store.path(), store.file("anna"), store.path().join(".moat.lock")]
    {
        chown(path, Some(STRANGER), Some(STRANGER)).unwrap();
    }
    store
}

/// Runs `get` as this user, with the key in `volume/key`.
fn in_a_container(store: &Store, script: &str) -> Output {
    let get = format!(
        "exec setpriv --reuid {STRANGER} --regid {STRANGER} --groups {GROUP} \
        ./moat get anna --field password --master-key-file volume/key"
    );
    run_in_a_container(store, script, &get)
}

/// Runs a command of the shell, after the script has made `volume/key` of `key`, in a mount namespace of its own.
fn run_in_a_container(store: &Store, script: &str, command: &str) -> Output {
    let script = format!("mkdir volume\n{script}\n{command}");
    write_private(&store.beside("key"), KEY.as_bytes());
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "bash", "-euc", &script]);
    store.surround(&mut command).env_remove("FOSSAWORK_MASTER_KEY");
    let output = run(command.current_dir(store.beside("")));
    fs::remove_dir_all(store.beside("volume")).unwrap();
    output
}

/// As Kubernetes has it: the links, and root's file that a group can read.
fn with_fs_group(mode: &str, owner: u32, group: u32) -> String {
    format!(
        "mkdir volume/..2026\ninstall -m {mode} -o {owner} -g {group} key volume/..2026/key\n\
        ln -s ..2026 volume/..data\nln -s ..data/key volume/key"
    )
}

#[test]
fn a_file_of_roots_for_a_group_of_ones_own_is_taken() {
    if !as_root("make files of others") {
        return;
    }
    let store = of_a_containers_user();
    for mode in ["0440", "0640"] {
        let output = in_a_container(&store, &with_fs_group(mode, 0, GROUP));
        assert_eq!(expect(0, &output).0, "horse\n", "{mode}");
    }
    let refusals = [
        ("0444", 0, GROUP, "others can read it (mode 0444)"),
        ("0460", 0, GROUP, "others can read it (mode 0460)"),
        // Its owner can change it.
        ("0440", STRANGER + 1, GROUP, "others can read it (mode 0440)"),
        ("0440", STRANGER, GROUP, "others can read it (mode 0440)"),
    ];
    for (mode, owner, group, why) in refusals {
        refused(&in_a_container(&store, &with_fs_group(mode, owner, group)), why);
    }
    // Of a group that the user isn't in, through an access control list or not at all.
    refused(&in_a_container(&store, &with_fs_group("0440", 0, GROUP + 1)), "Permission denied");
}

#[test]
fn a_file_that_was_mounted_for_the_container_alone_is_taken() {
    if !as_root("mount files") {
        return;
    }
    let store = of_a_containers_user();
    const FILE: &str =
        "install -m 0444 key secret; touch volume/key; mount --bind secret volume/key";
    const VOLUME: &str = "mount -t tmpfs -o mode=755 tmpfs volume";
    let volume = format!("{VOLUME}\n{}", with_fs_group("0644", 0, 0));
    for script in [
        format!("{FILE}; mount -o remount,ro,bind volume/key"),
        format!("{VOLUME}; install -m 0444 key volume/key; mount -o remount,ro volume"),
        format!("{volume}\nmount -o remount,ro volume"),
    ] {
        assert_eq!(expect(0, &in_a_container(&store, &script)).0, "horse\n", "{script}");
    }
    for script in [
        "install -m 0444 key volume/key".to_owned(),
        FILE.to_owned(),
        volume,
        // Read-only, but with more in it than the secret.
        format!(
            "{VOLUME}; mkdir volume/a; install -m 0444 key volume/a/b; ln -s a/b volume/key; mount -o remount,ro volume"
        ),
    ] {
        refused(&in_a_container(&store, &script), "others can read it");
    }
}

/// By the same rule, in all languages.
#[test]
fn the_hosts_in_other_languages_take_the_same_files() {
    if !as_root("mount files") {
        return;
    }
    let mut readers: Vec<(&str, String)> = Vec::new();
    let quoted = |command: &Command| -> String {
        let words = [command.get_program()].into_iter().chain(command.get_args());
        words.map(|word| format!("'{}' ", word.to_str().unwrap().replace('\'', "'\\''"))).collect()
    };
    // As the user, who may not reach where the programs are.
    let mut add = |name, command: &Command| {
        let as_user = format!(
            "setpriv --reuid {STRANGER} --regid {STRANGER} --groups {GROUP} \
             --inh-caps +dac_read_search --ambient-caps +dac_read_search "
        );
        readers.push((name, as_user + &quoted(command)));
    };
    if let Some(python) = python() {
        let code =
            "import moat; print(moat.Vault('credentials').reveal('anna').credential.password)";
        add("python", &python.eval(code));
    }
    if let Some(node) = node() {
        let code = format!(
            "import {{ Vault }} from {:?};
             console.log((await Vault.open('credentials').reveal('anna')).credential.password);",
            node.path("dist/lib/node/index.js")
        );
        add("node", &node.eval(&code));
    }
    if let Some(c) = c() {
        let mut get = c.program("get");
        add("c", get.arg(component()).args(["credentials", "anna", "--password"]));
    }
    let store = of_a_containers_user();
    let taken = [
        with_fs_group("0440", 0, GROUP),
        "mount -t tmpfs -o mode=755 tmpfs volume; install -m 0444 key volume/key; mount -o remount,ro volume".to_owned(),
        "install -m 0444 key secret; touch volume/key; mount --bind secret volume/key; mount -o remount,ro,bind volume/key".to_owned(),
    ];
    let refused = ["install -m 0444 key volume/key".to_owned(), with_fs_group("0444", 0, GROUP)];
    for (name, reader) in readers {
        let reader = format!("export FOSSAWORK_MASTER_KEY_FILE=volume/key\n{reader}");
        let read = |script: &str| run_in_a_container(&store, script, &reader);
        for script in &taken {
            assert_eq!(expect(0, &read(script)).0.trim(), "horse", "{name}: {script}");
        }
        for script in &refused {
            let output = read(script);
            let all = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            assert!(all.contains("others can read it"), "{name}: {all}");
        }
    }
}

#[test]
fn a_credential_of_any_name_is_taken_from_systemd() {
    let store = store();
    let credentials = store.beside("credentials.d");
    fs::create_dir(&credentials).unwrap();
    let (inside, outside) = (credentials.join("mykey"), store.beside("mykey"));
    for file in [&inside, &outside] {
        write_private(file, KEY.as_bytes());
        // What an access control list for the service's user looks like.
        fs::set_permissions(file, PermissionsExt::from_mode(0o440)).unwrap();
    }
    let with = |file: &Path| run(get(&store, file).env("CREDENTIALS_DIRECTORY", &credentials));
    assert_eq!(expect(0, &with(&inside)).0, "horse\n");
    refused(&with(&outside), "others can read it (mode 0440)");
    fs::set_permissions(&inside, PermissionsExt::from_mode(0o444)).unwrap();
    refused(&with(&inside), "others can read it (mode 0444)");
    // Nor what leads out of the directory.
    let link = credentials.join("link");
    symlink(&outside, &link).unwrap();
    refused(&with(&link), "others can read it (mode 0440)");
}
