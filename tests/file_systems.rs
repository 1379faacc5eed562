//! File systems that lack something: they can't sync a directory, or take names that differ in case for the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::traced::under;
use support::writers;
use support::{
    KEY, Store, Tool, as_root, done, expect, run, run_with_input, sha256, tool, write_private,
};

const UNSYNCED: &str = "warning: the file system can't sync a directory";

/// The program where each sync of one of these directories fails like this.
fn failing(strace: Tool, store: &Store, directories: &[&Path], error: &str) -> Command {
    let mut command = strace.command();
    command.args(["-f", "-o", "/dev/null", "-e", "trace=fsync"]);
    command.args(["-e", &format!("inject=fsync:error={error}")]);
    for directory in directories {
        command.arg("-P").arg(directory);
    }
    store.moat_under(command, &[])
}

#[test]
fn a_directory_that_can_not_be_synced_is_a_warning() {
    let Some(strace) = tool("strace") else { return };
    for error in ["EINVAL", "EOPNOTSUPP", "ENOSYS"] {
        let store = Store::new();
        let beside = store.beside("beside");
        fs::create_dir(&beside).unwrap();
        let inside = |name: &str| beside.join(name).display().to_string();
        let ring = inside("ring.json");
        let (key, log) = (inside("key"), inside("audit.log"));
        let commands: [&[&str]; 9] = [
            &["put", "anna", "--username", "anna", "--password-stdin"],
            &["mark", "anna", "--valid"],
            &["touch", "anna", "--audit-log", &log],
            &["migrate", "--to", "2.0"],
            &["keygen", "--out", &key],
            &["keys", "add", "--id", "old", "--key-stdin", "--keyring", &ring],
            &["keys", "add", "--id", "new", "--primary", "--keyring", &ring],
            &["rotate", "--keyring", &ring],
            &["delete", "anna", "--yes", "--keyring", &ring],
        ];
        for arguments in commands {
            let mut command = failing(strace, &store, &[&store.path(), &beside], error);
            let output = run_with_input(command.args(arguments), KEY);
            let (_, stderr) = expect(0, &output);
            assert_eq!(stderr.matches(UNSYNCED).count(), 1, "{error} {arguments:?}: {stderr}");
        }
        assert!(!store.file("anna").exists());
    }
}

#[test]
fn a_directory_whose_sync_fails_is_an_error_that_says_what_is_there() {
    let Some(strace) = tool("strace") else { return };
    let store = Store::new();
    store.put("anna", "old");
    let fails = |arguments: &[&str]| {
        let mut command = failing(strace, &store, &[&store.path()], "EIO");
        expect(9, &run_with_input(command.args(arguments), "new")).1
    };
    let stderr = fails(&["put", "anna", "--username", "anna", "--password-stdin"]);
    assert!(stderr.contains("the new \"anna.cred\" is in place, but may be lost"), "{stderr}");
    let (password, _) = expect(0, &run(&mut store.moat(&["get", "anna", "--field", "password"])));
    assert_eq!(password, "new\n");
    let stderr = fails(&["delete", "anna", "--yes"]);
    assert!(stderr.contains("\"anna.cred\" is removed, but may be there again"), "{stderr}");

    // A key that nobody may rely on is not left behind.
    let mut keygen = failing(strace, &store, &[&store.beside("")], "EIO");
    let key = store.beside("key");
    let (_, stderr) = expect(1, &run(keygen.args(["keygen", "--out"]).arg(&key)));
    assert!(stderr.contains("Input/output error") && !key.exists(), "{stderr}");
}

/// A FAT file system, until this is dropped.
struct Fat {
    store: Store,
    place: PathBuf,
}

impl Fat {
    fn mount() -> Option<Self> {
        let (fusefat, mkfs) = (tool("fusefat")?, tool("/usr/sbin/mkfs.vfat")?);
        if !as_root("mount a file system here") {
            return None;
        }
        let store = Store::new();
        let (image, place) = (store.beside("image"), store.beside("fat"));
        fs::File::create(&image).unwrap().set_len(4 << 20).unwrap();
        fs::create_dir(&place).unwrap();
        done(mkfs.command().arg(&image));
        done(
            fusefat
                .command()
                .args(["-o", "rw+,entry_timeout=0,attr_timeout=0"])
                .arg(&image)
                .arg(&place),
        );
        fs::create_dir(place.join("credentials")).unwrap();
        Some(Self { store, place })
    }

    fn directory(&self) -> PathBuf {
        self.place.join("credentials")
    }

    fn moat(&self, arguments: &[&str]) -> Command {
        let mut command = self.store.moat(arguments);
        command.env("FOSSAWORK_CREDENTIALS_DIR", self.directory());
        command
    }

    fn put(&self, user: &str, password: &str) -> std::process::Output {
        let arguments = ["put", user, "--username", "x", "--password-stdin"];
        run_with_input(&mut self.moat(&arguments), password)
    }
}

impl Drop for Fat {
    fn drop(&mut self) {
        let _ = Command::new("fusermount").arg("-u").arg(&self.place).status();
    }
}

#[test]
fn a_user_whose_name_differs_in_case_is_another_one() {
    let Some(fat) = Fat::mount() else { return };
    expect(0, &fat.put("anna", "horse"));
    for arguments in [
        &["get", "Anna"][..],
        &["delete", "ANNA", "--yes"],
        &["touch", "Anna"],
        &["mark", "ANNA", "--valid"],
    ] {
        expect(3, &run(&mut fat.moat(arguments)));
    }
    let (_, stderr) = expect(8, &fat.put("Anna", "donkey"));
    let message = "doesn't distinguish \"Anna.cred\" from \"anna.cred\", which exists";
    assert!(stderr.contains(message), "{stderr}");
    assert!(stderr.contains("hint: nothing was changed; choose another user id"), "{stderr}");
    let (password, _) = expect(0, &run(&mut fat.moat(&["get", "anna", "--field", "password"])));
    assert_eq!(password, "horse\n");
    expect(0, &fat.put("anna", "new horse"));
    expect(0, &run(&mut fat.moat(&["delete", "anna", "--yes"])));
    // Nobody is in its place any more.
    expect(0, &fat.put("Anna", "donkey"));
}

#[test]
fn the_hosts_in_other_languages_do_the_same() {
    let Some(fat) = Fat::mount() else { return };
    expect(0, &fat.put("anna", "horse"));
    let Some(strace) = tool("strace") else { return };
    for writer in writers::all() {
        for (name, answer) in [("anna.cred", "read\n"), ("Anna.cred", "not-found\n")] {
            let mut read = writer.command(&fat.store, &["read", name]);
            read.current_dir(&fat.place);
            assert_eq!(expect(0, &run(&mut read)).0, answer, "{}", writer.name);
        }

        let store = Store::new();
        store.put("anna", "horse");
        let record = fs::read(store.file("anna")).unwrap();
        write_private(&store.beside("new.cred"), &record);
        let revision = &sha256(&record)[..32];
        let file = store.beside("new.cred").display().to_string();
        let mut failing = strace.command();
        failing.args(["-f", "-o", "/dev/null", "-e", "trace=fsync"]);
        failing.args(["-e", "inject=fsync:error=EINVAL", "-P"]).arg(store.path());
        let write = writer.command(&store, &["write", "anna.cred", &file, revision]);
        let (answer, _) = expect(0, &run(&mut under(failing, &write)));
        assert_eq!(answer, "done\n", "{}", writer.name);
    }
}
