//! What a system runs by itself: the units, the lines for cron, and what both start.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Command;

use support::{KEY, MOAT, Store, as_root, expect, run, run_with_input, tests, tool};

const PROGRAM: &str = "/usr/local/bin/moat";
const SERVICES: [&str; 3] = ["moat-check", "moat-head", "moat-rotate"];

fn units() -> PathBuf {
    tests().join("../host/units")
}

fn read(name: &str) -> String {
    fs::read_to_string(units().join(name)).unwrap()
}

/// What a service starts, without the program itself.
fn arguments(service: &str) -> Vec<String> {
    let text = read(&format!("systemd/{service}.service"));
    let command = text.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let (program, arguments) = command.split_once(' ').unwrap();
    assert_eq!(program, PROGRAM);
    arguments.split(' ').map(str::to_owned).collect()
}

#[test]
fn systemd_has_nothing_to_say_about_the_units() {
    let Some(analyze) = tool("systemd-analyze") else { return };
    let place = tempfile::tempdir().unwrap();
    let common = "moat-.service.d/common.conf";
    fs::create_dir(place.path().join("moat-.service.d")).unwrap();
    fs::write(place.path().join(common), read(&format!("systemd/{common}"))).unwrap();
    let mut command = analyze.command();
    command.arg("verify").env("SYSTEMD_UNIT_PATH", format!("{}:", place.path().display()));
    for unit in SERVICES {
        for name in [format!("{unit}.service"), format!("{unit}.timer")] {
            let text = read(&format!("systemd/{name}")).replace(PROGRAM, MOAT.as_str());
            fs::write(place.path().join(&name), text).unwrap();
            command.arg(place.path().join(&name));
        }
    }
    let (stdout, stderr) = expect(0, &run(&mut command));
    assert!(!format!("{stdout}{stderr}").contains("moat-"), "{stdout}{stderr}");
}

#[test]
fn the_user_and_the_directories_are_made() {
    let (Some(sysusers), Some(tmpfiles)) = (tool("systemd-sysusers"), tool("systemd-tmpfiles"))
    else {
        return;
    };
    if !as_root("make directories for another user") {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("etc")).unwrap();
    let at = format!("--root={}", root.path().display());
    let mut users = sysusers.command();
    expect(0, &run(users.arg(&at).arg(units().join("sysusers.d/moat.conf"))));
    let mut directories = tmpfiles.command();
    directories.args([&at, "--create"]).arg(units().join("tmpfiles.d/moat.conf"));
    expect(0, &run(&mut directories));
    let common = read("systemd/moat-.service.d/common.conf");
    for name in ["var/lib/moat/credentials", "etc/moat/keyring", "var/log/moat"] {
        let metadata = fs::metadata(root.path().join(name)).unwrap();
        assert_eq!(metadata.mode() & 0o7777, 0o700, "{name}");
        assert_ne!(metadata.uid(), 0, "{name}");
        assert!(common.contains(&format!("=/{name}")), "{name}");
    }
}

#[test]
fn what_the_services_start_does_its_work_and_is_logged() {
    let store = Store::new();
    let (ring, log) = (store.beside("ring.json"), store.beside("audit.log"));
    let moat = |arguments: &[String]| {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let mut command = store.moat(&arguments);
        command.env_remove("FOSSAWORK_MASTER_KEY").env("FOSSAWORK_REQUIRE_CONFINEMENT", "1");
        command.env("FOSSAWORK_KEYRING", &ring).env("FOSSAWORK_AUDIT_LOG", &log);
        command
    };
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    expect(0, &run_with_input(&mut moat(&words("keys add --id old --key-stdin")), KEY));
    let put = words("put anna --username anna --password-stdin");
    expect(0, &run_with_input(&mut moat(&put), "horse"));
    expect(0, &run(&mut moat(&words("keys add --id new --primary"))));
    let (stdout, _) = expect(0, &run(&mut moat(&arguments("moat-rotate"))));
    assert_eq!(stdout, "primary key new: 1 rotated, 0 failed; retired: old\n");
    let (shown, _) = expect(0, &run(&mut moat(&words("audit show"))));
    assert!(shown.contains("  rewrap "), "{shown}");
    let (head, _) = expect(0, &run(&mut moat(&arguments("moat-head"))));
    fs::write(store.beside("head"), &head).unwrap();
    let verify = [words("audit verify --head"), vec![store.beside("head").display().to_string()]];
    expect(0, &run(&mut moat(&verify.concat())));
    assert_eq!(head.trim_end().lines().count(), 1);
    let output = run(&mut moat(&arguments("moat-check")));
    let findings = String::from_utf8(output.stdout).unwrap();
    assert!(findings.contains("ok    records       1 can be decrypted"), "{findings}");
}

#[test]
fn cron_takes_the_file_and_starts_the_same() {
    for entry in fs::read_dir(units().join("cron.d")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let is_taken = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        assert!(name.chars().all(is_taken), "cron ignores {name}");
    }
    let text = read("cron.d/moat");
    let jobs: Vec<_> = text.lines().filter(|line| line.starts_with(char::is_numeric)).collect();
    assert_eq!(jobs.len(), SERVICES.len());
    for job in &jobs {
        let fields: Vec<_> = job.splitn(7, ' ').collect();
        assert_eq!(fields[5], "moat", "{job}");
        expect(0, &run(Command::new("sh").args(["-n", "-c", fields[6]])));
    }
    for service in SERVICES {
        let arguments = arguments(service).join(" ");
        assert!(jobs.iter().any(|job| job.contains(&arguments)), "{service}");
    }
    for setting in text.lines().filter(|line| line.starts_with("FOSSAWORK_")) {
        let common = read("systemd/moat-.service.d/common.conf");
        assert!(common.contains(&format!("Environment={setting}\n")), "{setting}");
    }
}
