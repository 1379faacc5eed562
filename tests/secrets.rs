//! No secret in any output of any command, at the highest verbosity: canaries are planted as master key,
//! password and field, and everything that is printed is searched for them, whole and in parts.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::process::Output;

use support::{Store, run, run_with_input, write_private};

const KEY: &str = "canary-master-key-Qx7Zt";
const OTHER_KEY: &str = "canary-other-key-Jk4Wv";
const PASSWORD: &str = "canary-password-Ux3Rm";
const FIELD: &str = "canary-field-Lb8Ys";
const AUDIT_KEY: &str = "canary-audit-key-Vn2Hc";
/// An age recipient whose identity nobody has.
const RECIPIENT: &str = "age1tn6gqla80s2ahyv565ghq77rz34msysdyq6vsvrhj5g5fuce5qgqeadml8";
const CANARIES: [&str; 5] = [KEY, OTHER_KEY, PASSWORD, FIELD, AUDIT_KEY];

/// What each canary may look like: as it is, escaped, in base64 at each of the three alignments, in
/// hexadecimal, as a list of bytes.
fn disguises(canary: &str) -> Vec<String> {
    let tail = &canary.as_bytes()[canary.len() - 9..];
    let mut disguises = vec![String::from_utf8_lossy(tail).into_owned()];
    for skip in 0..3 {
        let whole = &tail[skip..skip + 6];
        disguises.push(STANDARD_NO_PAD.encode(whole));
        disguises.push(URL_SAFE_NO_PAD.encode(whole));
    }
    disguises.push(tail.iter().map(|byte| format!("{byte:02x}")).collect());
    disguises.push(tail.iter().map(u8::to_string).collect::<Vec<_>>().join(", "));
    disguises
}

fn search(what: &[String], output: &Output) {
    let printed = [output.stdout.as_slice(), &output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed);
    for disguise in CANARIES.into_iter().flat_map(disguises) {
        assert!(!printed.contains(&disguise), "{what:?} printed {disguise:?}:\n{printed}");
    }
}

#[test]
fn the_search_finds_every_disguise() {
    let as_output =
        |text: String| Output { status: Default::default(), stdout: text.into(), stderr: vec![] };
    let tell = |text: String| {
        let found = std::panic::catch_unwind(|| search(&[], &as_output(text.clone()))).is_err();
        assert!(found, "{text}");
    };
    for text in [format!("x{PASSWORD}"), format!("{:?}", PASSWORD.as_bytes()), format!("{FIELD:?}")]
    {
        tell(text);
    }
    for shift in ["", "a", "ab"] {
        tell(STANDARD_NO_PAD.encode(format!("{shift}{KEY}")));
    }
}

#[test]
fn no_command_prints_a_secret() {
    let store = Store::new();
    let key_file = store.beside("key");
    write_private(&key_file, KEY.as_bytes());
    let env_file = store.beside(".env");
    write_private(
        &env_file,
        format!("FOSSAWORK_MASTER_KEY={KEY}\nFOSSAWORK_X={PASSWORD}$\n").as_bytes(),
    );
    fs::create_dir(store.beside("log")).unwrap();
    let log = store.beside("log").join("audit.log");
    let audit_key_file = store.beside("audit-key");
    write_private(&audit_key_file, AUDIT_KEY.as_bytes());
    let (key_file, env_file) = (key_file.display().to_string(), env_file.display().to_string());
    let echo = format!("echo '{KEY}'");

    // With the right key and the wrong one, from every source; then over a damaged and a foreign record.
    let sources: [&[&str]; 5] = [
        &[],
        &["--master-key-file", &key_file],
        &["--master-key-command", &echo],
        &["--env-file", &env_file],
        &["--master-key-file", "/nonexistent"],
    ];
    let verbs: [&[&str]; 29] = [
        &["put", "anna", "--username", "anna", "--password-stdin"],
        &["put", "bob", "--username", "bob", "--password-stdin", "--token-encoding", "app"],
        &["put", "anna", "--username", "anna", "--password-stdin", "--create-only"],
        &["put", "../x", "--username", "anna", "--password-stdin"],
        &["put", "anna", "--username", "anna", "--password-stdin", "--field", "password=x"],
        &["get", "anna"],
        &["get", "anna", "--field", "username"],
        &["get", "anna", "--field", "nothing"],
        &["get", "nobody"],
        &["list"],
        &["touch", "anna"],
        &["mark", "anna", "--invalid"],
        &["inspect", "anna"],
        &["verify"],
        &["verify", "anna", "nobody"],
        &["component"],
        &["exec", "anna", "--", "true"],
        &["check"],
        &["audit", "show"],
        &["audit", "verify"],
        &["audit", "head"],
        &["audit", "report"],
        &["audit", "hash", "anna"],
        &["export", "--recipient", RECIPIENT, "--armor"],
        &["import", "bitwarden", "-"],
        &["import", "keepass", "-"],
        &["import", "moat", "-"],
        &["import", "env", "-", "--user", "carl"],
        &["import", "pass", "/nonexistent"],
    ];
    for record in ["whole", "damaged", "foreign"] {
        for key in [KEY, OTHER_KEY] {
            for source in sources {
                for verb in verbs {
                    for json in [&[][..], &["--json"]] {
                        let arguments = [&verb[..1], &["-vvv"], json, source, &verb[1..]].concat();
                        let mut command = store.moat(&arguments);
                        command
                            .env("FOSSAWORK_AUDIT_LOG", &log)
                            .env("FOSSAWORK_AUDIT_KEY_FILE", &audit_key_file);
                        match source {
                            [] => command.env("FOSSAWORK_MASTER_KEY", key),
                            _ => command.env_remove("FOSSAWORK_MASTER_KEY"),
                        };
                        let what: Vec<String> = arguments.iter().map(ToString::to_string).collect();
                        search(&what, &run_with_input(&mut command, PASSWORD));
                    }
                }
            }
        }
        match record {
            // A record whose secret parts lie where a careless error would quote them.
            "whole" => write_private(
                &store.file("anna"),
                format!("{{\"user_id\":\"anna\",\"encryption_version\":\"1.0\",\"encrypted_data\":{{\"{PASSWORD}\":\"{FIELD}\"}}}}").as_bytes(),
            ),
            _ => write_private(&store.file("anna"), format!("{PASSWORD} {FIELD}").as_bytes()),
        }
    }
    // What all of them have written down.
    let log = Output { status: Default::default(), stdout: fs::read(log).unwrap(), stderr: vec![] };
    assert!(log.stdout.len() > 100_000);
    search(&["the audit log".to_owned()], &log);
}

#[test]
fn a_secret_in_the_wrong_place_is_not_repeated() {
    let store = Store::new();
    for arguments in [
        &["put", "anna", "--username", "x", "--password", PASSWORD][..],
        &["put", "anna", "--username", "x", &format!("--password={PASSWORD}")],
        &["put", "anna", "--username", "x", PASSWORD],
        &["put", "anna", "--username", "x", "--field", PASSWORD],
        &["get", "anna", PASSWORD],
        &[PASSWORD],
    ] {
        let what: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        search(&what, &run(&mut store.moat(arguments)));
    }
    let no_text = OsString::from_vec([b"-\xff", PASSWORD.as_bytes()].concat());
    let output = run(store.moat(&["get", "anna"]).arg(&no_text));
    search(&[format!("{no_text:?}")], &output);
}

#[test]
fn types_that_hold_secrets_show_none_of_them() {
    let credential =
        moat::Credential::new("anna", PASSWORD).with_field(moat::Field::new("totp", FIELD));
    let key = moat::MasterKey::new(KEY.as_bytes()).with_id("2026");
    let ring = moat::KeyRing::new(key.clone());
    let store = Store::new();
    store.put("anna", PASSWORD);
    let revealed = store.vault(support::KEY).reveal(&moat::UserId::parse("anna").unwrap()).unwrap();
    let shown = format!("{credential:?} {:?} {key:?} {ring:?} {revealed:?}", credential.fields());
    let output = Output { status: Default::default(), stdout: shown.into_bytes(), stderr: vec![] };
    search(&["Debug".to_owned()], &output);
}
