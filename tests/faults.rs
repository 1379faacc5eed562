//! What goes wrong at night: each has its own exit code, a message and a hint, and the old record stays whole.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use support::{KEY, MOAT, Store, as_root, expect, long, run, run_with_input, write_private};

const NOBODY: u32 = 65534;

/// Runs `get` and `put`, which have to fail like this, and checks that the record is as it was.
fn both_fail(store: &Store, key: Option<&str>, code: i32, message: &str, hint: &str) {
    let before = fs::read(store.file("anna")).unwrap();
    let names = store.names();
    for arguments in [
        &["get", "anna", "--field", "password"][..],
        &["put", "anna", "--username", "anna", "--password-stdin"],
    ] {
        let mut command = store.moat(arguments);
        match key {
            Some(key) => command.env("FOSSAWORK_MASTER_KEY", key),
            None => command.env_remove("FOSSAWORK_MASTER_KEY"),
        };
        let (stdout, stderr) = expect(code, &run_with_input(&mut command, "new"));
        assert_eq!(stdout, "");
        let lines: Vec<&str> = stderr.lines().collect();
        assert_eq!(lines.len(), 2, "{stderr}");
        assert!(lines[0].starts_with("error: ") && lines[0].contains(message), "{stderr}");
        assert!(lines[1].starts_with("hint: ") && lines[1].contains(hint), "{stderr}");
        assert_eq!(fs::read(store.file("anna")).unwrap(), before);
        assert_eq!(store.names(), names);
    }
}

#[test]
fn a_missing_master_key() {
    let store = Store::new();
    store.put("anna", "horse");
    both_fail(
        &store,
        None,
        4,
        "there is no master key",
        "provide the master key that the records in",
    );
}

#[test]
fn a_wrong_master_key() {
    let store = Store::new();
    store.put("anna", "horse");
    both_fail(
        &store,
        Some("another key of enough bytes"),
        5,
        "no master key decrypts",
        "nothing was changed",
    );
}

#[test]
fn a_damaged_file() {
    let store = Store::new();
    store.put("anna", "horse");
    let whole = fs::read(store.file("anna")).unwrap();
    for cut in [0, 1, whole.len() / 2, whole.len() - 1] {
        write_private(&store.file("anna"), &whole[..cut]);
        both_fail(&store, Some(KEY), 6, "the record is not a JSON object", "from a backup");
    }
    let text = String::from_utf8(whole).unwrap();
    let place = text.find("gAAAAA").unwrap() + 60;
    let other = if &text[place..=place] == "A" { "B" } else { "A" };
    let altered = format!("{}{other}{}", &text[..place], &text[place + 1..]);
    write_private(&store.file("anna"), altered.as_bytes());
    both_fail(&store, Some(KEY), 5, "no master key decrypts", "nothing was changed");
}

#[test]
fn a_record_of_a_later_version() {
    let store = Store::new();
    store.put("anna", "horse");
    let text = fs::read_to_string(store.file("anna")).unwrap();
    let later = text.replace(r#""encryption_version":"1.0""#, r#""encryption_version":"7.0""#);
    write_private(&store.file("anna"), later.as_bytes());
    both_fail(&store, Some(KEY), 6, "the record version is unknown", "newer release of moat");
}

#[test]
fn a_legacy_record_that_is_not_encrypted() {
    let store = Store::new();
    let legacy = r#"{"user_id":"anna","encrypted_data":"e30=","created_at":"2024-01-01T00:00:00","crypto_available":false}"#;
    write_private(&store.file("anna"), legacy.as_bytes());
    let (_, stderr) = expect(7, &run(&mut store.moat(&["get", "anna"])));
    assert!(stderr.contains("is not encrypted") && stderr.contains("moat put USER"), "{stderr}");
    assert_eq!(fs::read_to_string(store.file("anna")).unwrap(), legacy);
    // The way out that the hint names.
    store.put("anna", "horse");
    let (stdout, _) = expect(0, &run(&mut store.moat(&["get", "anna", "--field", "password"])));
    assert_eq!(stdout, "horse\n");
}

#[test]
fn a_refused_user_id() {
    let store = Store::new();
    for arguments in
        [&["get", "../anna"][..], &["put", "../anna", "--username", "x", "--password-stdin"]]
    {
        let (_, stderr) = expect(2, &run_with_input(&mut store.moat(arguments), "x"));
        assert!(stderr.contains("the user id begins with a dot"), "{stderr}");
        assert!(stderr.contains("hint: a user id is a plain file name"), "{stderr}");
    }
    assert_eq!(store.names(), [""; 0]);
}

#[test]
fn a_credential_that_is_too_large() {
    let store = Store::new();
    store.put("anna", "horse");
    let before = fs::read(store.file("anna")).unwrap();
    let mut command = store.moat(&["put", "anna", "--username", "anna", "--password-stdin"]);
    let (_, stderr) = expect(6, &run_with_input(&mut command, &"x".repeat(47_000)));
    assert!(stderr.contains("more than the 61440 bytes allowed for a new one"), "{stderr}");
    assert_eq!(fs::read(store.file("anna")).unwrap(), before);
}

/// As root nothing is unwritable: then the program runs as nobody, over a directory of nobody's.
#[test]
fn an_unwritable_directory() {
    let store = Store::new();
    store.put("anna", "horse");
    let before = fs::read(store.file("anna")).unwrap();
    let root = rustix::process::geteuid().is_root();
    if root {
        let all =
            [store.path(), store.file("anna"), store.path().join(".moat.lock"), store.beside("")];
        for path in all {
            std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        fs::copy(MOAT.as_str(), store.beside("moat")).unwrap();
    }
    fs::set_permissions(store.path(), PermissionsExt::from_mode(0o500)).unwrap();

    let mut put = store.moat(&["put", "anna", "--username", "anna", "--password-stdin"]);
    if root {
        let mut other = Command::new(store.beside("moat"));
        other.env_clear().envs(put.get_envs().filter_map(|(name, value)| Some((name, value?))));
        other.args(put.get_args()).uid(NOBODY).gid(NOBODY);
        put = other;
    }
    let (_, stderr) = expect(9, &run_with_input(&mut put, "new"));
    assert!(stderr.contains("writing \"anna.cred\": Permission denied"), "{stderr}");
    assert!(stderr.contains("for whom it must have mode 0700"), "{stderr}");
    assert_eq!(fs::read(store.file("anna")).unwrap(), before);
    fs::set_permissions(store.path(), PermissionsExt::from_mode(0o700)).unwrap();
    assert_eq!(store.names(), [".moat.lock", "anna.cred"]);
    expect(0, &run_with_input(&mut put, "new"));
}

#[test]
fn a_directory_that_is_not_safe() {
    let store = Store::new();
    store.put("anna", "horse");
    for mode in [0o770, 0o720, 0o702, 0o777, 0o1777] {
        fs::set_permissions(store.path(), PermissionsExt::from_mode(mode)).unwrap();
        let message = format!("others can write to the directory (mode {mode:04o})");
        both_fail(&store, Some(KEY), 9, &message, "then run: chmod 700 ");
    }
    fs::set_permissions(store.path(), PermissionsExt::from_mode(0o700)).unwrap();
}

/// It takes root to give a directory away; everybody else finds one of root's.
#[test]
fn a_directory_of_another_user() {
    let store = Store::new();
    let user = rustix::process::geteuid().as_raw();
    let owner = if user == 0 { NOBODY } else { 0 };
    let directory = if user == 0 { store.path() } else { "/".into() };
    if user == 0 {
        std::os::unix::fs::chown(&directory, Some(NOBODY), None).unwrap();
    }
    for verb in [&["list"][..], &["get", "anna"], &["touch", "anna"], &["delete", "anna"]] {
        let mut command = store.moat(verb);
        command.env("FOSSAWORK_CREDENTIALS_DIR", &directory);
        let (_, stderr) = expect(9, &run(&mut command));
        let message = format!("the directory belongs to uid {owner}, not to uid {user}\nhint: ");
        assert!(stderr.contains(&message), "{stderr}");
        assert!(stderr.contains(&format!("sudo -u '#{owner}'")), "{stderr}");
        assert!(!stderr.contains("chown"), "{stderr}");
    }
}

#[test]
fn a_directory_that_is_not_there() {
    let store = Store::new();
    fs::remove_dir(store.path()).unwrap();
    for verb in
        [&["get", "anna"][..], &["list"], &["verify"], &["delete", "anna"], &["touch", "anna"]]
    {
        let (_, stderr) = expect(9, &run(&mut store.moat(verb)));
        assert!(stderr.contains("opening the directory"), "{stderr}");
        assert!(stderr.contains("`moat put` creates a new one"), "{stderr}");
    }
    assert!(!store.path().exists());
    store.put("anna", "horse");
    assert_eq!(fs::metadata(store.path()).unwrap().permissions().mode() & 0o7777, 0o700);
}

/// Runs a shell script in a mount namespace of its own, where it can mount a small disk.
fn on_a_small_disk(store: &Store, options: &str, script: &str) -> std::process::Output {
    let mount = format!(
        "mount -t tmpfs -o mode=700,{options} tmpfs \"$FOSSAWORK_CREDENTIALS_DIR\"\n\
        cd \"$FOSSAWORK_CREDENTIALS_DIR\"\n"
    );
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "bash", "-euc"]).arg(mount + script);
    run(store.surround(&mut command).env("MOAT", MOAT.as_str()).env("BESIDE", store.beside("")))
}

#[test]
fn a_full_disk() {
    let store = Store::new();
    let output = on_a_small_disk(
        &store,
        "size=64k",
        r#"
        printf horse | "$MOAT" put anna --username anna --password-stdin >/dev/null
        cp anna.cred "$BESIDE/before"
        cat /dev/zero > filler 2>/dev/null || true
        code=0
        head -c 6000 /dev/zero | tr '\0' x | "$MOAT" put anna --username anna --password-stdin || code=$?
        echo "exit $code"
        cmp anna.cred "$BESIDE/before" && echo whole
        "$MOAT" get anna --field password
        rm filler
        printf 'new horse' | "$MOAT" put anna --username anna --password-stdin >/dev/null
        "$MOAT" get anna --field password
        ls -A
        "#,
    );
    let (stdout, stderr) = expect(0, &output);
    assert_eq!(stdout, "exit 9\nwhole\nhorse\nnew horse\n.moat.lock\nanna.cred\n", "{stderr}");
    assert!(stderr.contains("error: writing \"anna.cred\": No space left on device"), "{stderr}");
    assert!(stderr.contains("hint: free some space on the disk"), "{stderr}");
}

/// Room for the root, the lock and one record.
#[test]
fn a_disk_without_inodes() {
    let store = Store::new();
    let output = on_a_small_disk(
        &store,
        "nr_inodes=4",
        r#"
        printf horse | "$MOAT" put anna --username anna --password-stdin >/dev/null
        touch filler
        for user in anna bob; do
            code=0
            printf other | "$MOAT" put $user --username x --password-stdin || code=$?
            echo "exit $code"
        done
        "$MOAT" get anna --field password
        "$MOAT" delete anna
        ls -A
        "#,
    );
    let (stdout, stderr) = expect(0, &output);
    assert_eq!(stdout, "exit 9\nexit 9\nhorse\ndeleted anna\n.moat.lock\nfiller\n", "{stderr}");
    assert_eq!(stderr.matches("\": No space left on device").count(), 2, "{stderr}");
    assert_eq!(stderr.matches("hint: free some space on the disk").count(), 2, "{stderr}");
}

/// The record goes over it in the middle of a write, whether the signal that says so ends the program or not.
#[test]
fn a_limit_on_the_size_of_files() {
    const XFSZ: i32 = 25;
    let store = Store::new();
    store.put("anna", "horse");
    let before = fs::read(store.file("anna")).unwrap();
    for (signal, code) in [("trap '' XFSZ", 9), ("", 128 + XFSZ)] {
        let mut shell = Command::new("bash");
        let put = "ulimit -c 0 -f 48; \"$MOAT\" put anna --username anna --password-stdin; exit $?";
        store.surround(shell.args(["-c", &format!("{signal}\n{put}")])).env("MOAT", MOAT.as_str());
        let (_, stderr) = expect(code, &run_with_input(&mut shell, &"x".repeat(40_000)));
        if code == 9 {
            assert!(stderr.contains("writing \"anna.cred\": File too large"), "{stderr}");
            assert!(stderr.contains("hint: free some space on the disk"), "{stderr}");
            assert_eq!(store.names(), [".moat.lock", "anna.cred"]);
        }
        assert_eq!(fs::read(store.file("anna")).unwrap(), before);
    }
    let partial = fs::metadata(store.path().join(".moat.tmp")).unwrap();
    assert_eq!((partial.len(), partial.permissions().mode() & 0o7777), (48 * 1024, 0o600));
    expect(0, &run(&mut store.moat(&["touch", "anna"])));
    assert_eq!(store.names(), [".moat.lock", "anna.cred"]);
}

#[test]
fn a_limit_on_the_address_space() {
    let store = Store::new();
    store.put("anna", "horse");
    let within = |kib: u32, arguments: &[&str]| {
        let mut shell = Command::new("sh");
        let limited = format!("ulimit -v {kib}; exec \"$0\" \"$@\"");
        run(store.surround(shell.args(["-c", &limited, MOAT.as_str()]).args(arguments)))
    };
    const HALF_A_GIB: u32 = 512 * 1024;
    let (stdout, _) = expect(0, &within(HALF_A_GIB, &["get", "anna", "--field", "password"]));
    assert_eq!(stdout, "horse\n");
    expect(0, &within(HALF_A_GIB, &["verify"]));
    let (_, stderr) = expect(11, &within(44 * 1024, &["get", "anna", "--field", "password"]));
    assert!(stderr.starts_with("error: the system gives no memory\nhint: allow this"), "{stderr}");
}

/// However little there is, whatever runs says what is missing, and none of it panics.
#[test]
fn every_limit_on_the_address_space_has_its_own_error() {
    let store = Store::new();
    for user in ["anna", "bob", "carol"] {
        store.put(user, "horse");
    }
    for kib in (36..=96).step_by(if long() { 1 } else { 4 }).map(|mib| mib * 1024) {
        for arguments in
            [&["get", "anna"][..], &["verify"], &["rotate"], &["exec", "anna", "--", "true"]]
        {
            let mut shell = Command::new("sh");
            let limited = format!("ulimit -v {kib}; exec \"$0\" \"$@\"");
            let output = run(store.surround(
                shell.args(["-c", &limited, MOAT.as_str()]).args(arguments).env("LC_ALL", "C"),
            ));
            let stderr = String::from_utf8_lossy(&output.stderr);
            let named = stderr.contains("the system gives no")
                || stderr.contains("no thread can be started")
                || stderr.contains("starting a process");
            // The loader needs some of it before the program begins.
            let is_loader = output.status.code() == Some(127) || stderr.contains("shared librar");
            assert!(
                output.status.success() || named || is_loader,
                "{kib} {arguments:?}: {output:?}"
            );
            assert!(!stderr.contains("panicked") && !stderr.contains("report this"), "{stderr}");
        }
    }
}

/// A limit on the threads and processes of a user, of whom there are no others.
#[test]
fn a_limit_on_threads() {
    const USER: u32 = 54_321;
    if !as_root("start programs as other users") {
        return;
    }
    let store = Store::new();
    for user in ["anna", "bob", "carol"] {
        store.put(user, "horse");
    }
    fs::copy(MOAT.as_str(), store.beside("moat")).unwrap();
    let files = store.names().into_iter().map(|name| store.path().join(name));
    for path in files.chain([store.path(), store.beside("")]) {
        std::os::unix::fs::chown(path, Some(USER), Some(USER)).unwrap();
    }
    let within = |threads: u32, arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        let user = USER.to_string();
        command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "prlimit"]);
        command.arg(format!("--nproc={threads}")).arg(store.beside("moat")).args(arguments);
        run(store.surround(&mut command))
    };
    let works: [(&[&str], u32); 6] = [
        (&["list"], 2),
        (&["get", "anna"], 2),
        (&["verify"], 2),
        (&["rotate"], 2),
        (&["rotate", "--status"], 2),
        (&["exec", "anna", "--", "true"], 3),
    ];
    for (arguments, enough) in works {
        for threads in 1..=4 {
            let output = within(threads, arguments);
            if threads >= enough {
                expect(0, &output);
                continue;
            }
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(
                matches!(output.status.code(), Some(1 | 11)),
                "{threads} {arguments:?}: {output:?}"
            );
            assert!(stderr.contains("hint: allow this user or container more"), "{stderr}");
        }
    }
    let (findings, _) = expect(0, &within(2, &["check"]));
    assert!(findings.contains("ok    records       3 can be decrypted"), "{findings}");
}

#[test]
fn what_a_crash_left_behind_is_removed_by_the_next_writer() {
    let store = Store::new();
    store.put("anna", "horse");
    write_private(&store.path().join(".moat.tmp"), b"half a record");
    expect(0, &run(&mut store.moat(&["get", "anna"])));
    expect(0, &run(&mut store.moat(&["touch", "anna"])));
    assert_eq!(store.names(), [".moat.lock", "anna.cred"]);
}
