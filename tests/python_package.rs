//! The Python package: what it does with wrong values, what its failures tell, and what is in its distributions.

use std::fs;
use std::path::Path;

use support::callers::{Python, below_host, component, python, readme_blocks};
use support::{Store, done, expect, run};

/// Runs a piece of Python over a new directory, and returns what it prints.
fn printed(python: &Python, code: &str) -> String {
    let store = Store::new();
    let mut command = python.eval(code);
    store.surround(&mut command).current_dir(store.beside(""));
    expect(0, &run(&mut command)).0
}

/// Whatever stands where another type belongs, never anything else than a `TypeError` comes of it.
#[test]
fn a_value_of_a_wrong_type_is_a_type_error() {
    let Some(python) = python() else { return };
    let code = r#"
import inspect
from moat import Credential, Field, MasterKey, Vault, read_key_ring, read_master_key

class Other: pass

# Calls that would do, of which each argument in turn is replaced.
vault = Vault("credentials")
anna = Credential("anna", "horse")
calls = {
    Vault: {"directory": "credentials", "keys": MasterKey(b"a key of sixteen"), "component": None,
            "component_digest": None, "lock_timeout": 1.0, "cache_lifetime": 1.0},
    MasterKey: {"material": b"", "id": None},
    read_master_key: {"path": "key"},
    read_key_ring: {"path": "key"},
    vault.put: {"user_id": "anna", "credential": anna, "create_only": False,
                "expected_revision": None, "version": None, "encoding": None,
                "keep_fields": False, "allow_new_key": False},
    vault.change: {"user_id": "anna", "username": "x", "password": None, "fields": (),
                   "removed_fields": (), "expires": "90d", "forget_history": False,
                   "expected_revision": None},
    vault.copy: {"user_id": "anna", "source": "bob"},
    vault.history: {"user_id": "anna"},
    vault.restore: {"user_id": "anna", "number": 1, "expected_revision": None},
    vault.reveal_version: {"user_id": "anna", "number": 1},
    vault.reveal: {"user_id": "anna"},
    vault.describe: {"user_id": "anna"},
    vault.inspect: {"user_id": "anna"},
    vault.mark_used: {"user_id": "anna"},
    vault.mark_validated: {"user_id": "anna", "valid": True},
    vault.verify: {"user_ids": []},
    vault.migrate: {"user_ids": [], "dry_run": False, "accept_default_key": False,
                    "accept_plaintext": False, "version": None, "encoding": None},
    vault.rewrap: {"user_ids": [], "dry_run": False},
    vault.configure: {"version": None, "encoding": "app", "history": 0, "allow_new_key": False},
    vault.remove: {"user_id": "anna", "expected_revision": None},
    vault.remove_backup: {"name": "anna.cred.backup_20250616_130236"},
}
methods = {name for name, _ in inspect.getmembers(Vault, inspect.isfunction) if name[0] != "_"}
missing = methods - {call.__name__ for call in calls} - {"close", "users", "leftovers"}
assert not missing, missing

def refused(what, call, *args, **named):
    try:
        call(*args, **named)
    except TypeError as error:
        assert len(str(error)) > 10, (what, error)
    else:
        raise SystemExit(f"{what}: accepted")

vault.put("anna", anna)
for call, sound in calls.items():
    assert set(sound) == set(inspect.signature(call).parameters), call
    for name in sound:
        for wrong in (Other(), 5.5j, [Other()]):
            refused((call, name, wrong), call, **(sound | {name: wrong}))
for keys in ("text", b"bytes", [b"bytes"], ["text"], {"a": b"bytes"}):
    refused(keys, Vault, "credentials", keys=keys)
for credential in ({"username": "x", "password": "y"}, None, "anna",
                   Credential(5, "x"), Credential("x", b"y"), Credential("x", None),
                   Credential("x", "y", {"name": 5}), Credential("x", "y", {5: "value"}),
                   Credential("x", "y", created_at=5), Credential("x", "y", is_valid=1),
                   Credential("x", "y", validation_attempts="1"),
                   Credential("x", "y", expires=90)):
    refused(credential, vault.put, "bob", credential)
for fields in ({"name", "value"}, ["name"], [("name", "value")], "name", 5, None):
    refused(fields, Credential, "x", "y", fields)
refused("anna", vault.verify, "anna")
print(*vault.users())
"#;
    assert_eq!(printed(&python, code), "anna\n");
}

#[test]
fn a_failure_tells_whose_credential_and_which_directory_it_is_about() {
    let Some(python) = python() else { return };
    let code = r#"
import os
from moat import Credential, MasterKey, MoatError, Vault

vault = Vault("credentials")
vault.put("anna", Credential("anna", "horse"))
other = Vault("credentials", keys=MasterKey(b"another key of this service"))

def told(call, *args):
    try:
        call(*args)
    except MoatError as error:
        tell(error)

def tell(error):
    assert repr(error.directory) in str(error) and repr(error.user_id) in str(error) + "None"
    print(error.code, error.user_id, error.directory)

for call in (vault.reveal, vault.describe, vault.inspect, vault.mark_used, vault.verify):
    told(call, "bob") if call != vault.verify else tell(vault.verify(["anna", "bob"])[1])
told(vault.mark_validated, "bob", True)
told(vault.remove_backup, "bob.cred.backup_20250616_130236")
told(vault.reveal, "../x")
told(vault.put, "anna", Credential("anna", "x" * 70000))
told(other.reveal, "anna")
told(other.put, "bob", Credential("bob", "horse"))
told(other.configure, "2.0")
told(Vault, "missing")
os.chmod("credentials", 0o770)
told(Vault, "credentials")
"#;
    let not_found = "not-found bob credentials\n".repeat(6);
    assert_eq!(
        printed(&python, code),
        not_found
            + "not-found bob credentials\n\
               invalid-user-id ../x credentials\n\
               too-large anna credentials\n\
               wrong-key-or-tampered anna credentials\n\
               wrong-key-or-tampered bob credentials\n\
               wrong-key-or-tampered None credentials\n\
               directory None missing\n\
               directory None credentials\n"
    );
}

#[test]
fn fields_are_a_mapping_too_and_times_are_times() {
    let Some(python) = python() else { return };
    let code = r#"
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from moat import Credential, Field, Vault

vault = Vault("credentials")
made = Credential("anna", "horse", {"site": "é", "totp": ""}, created_at="2025-01-14T10:00:00")
assert made == Credential("anna", "horse", [Field("site", "é"), Field("totp", "")], "2025-01-14T10:00:00")
assert replace(made, password="x").fields == made.fields
before = datetime.now(UTC) - timedelta(seconds=1)
summary = vault.put("anna", made).summary
credential = vault.reveal("anna").credential
assert credential == made
print(credential.field("site"), repr(credential.field("totp")), credential.field("other"))
assert credential.created_at_utc == summary.created_at_utc == datetime(2025, 1, 14, 10, tzinfo=UTC)
assert credential.last_used_utc is None
assert before <= vault.inspect("anna").encrypted_at_utc <= vault.mark_used("anna").last_used_utc
assert Credential("", "", created_at="2025-01-14T10:00:00.5+02:00").created_at_utc.hour == 8
assert Credential("", "", created_at="once upon a time").created_at_utc is None
"#;
    assert_eq!(printed(&python, code), "é '' None\n");
}

#[test]
fn the_readmes_snippets_are_sound_to_a_strict_type_checker() {
    let Some(python) = python() else { return };
    let place = tempfile::tempdir().unwrap();
    let script = place.path().join("readme.py");
    fs::write(&script, readme_blocks("bindings/python/README.md", "python")).unwrap();
    let mut mypy = python.command();
    mypy.args(["-m", "mypy", "--strict", "--cache-dir=/dev/null"]).arg(&script);
    let (stdout, _) = expect(0, &run(mypy.current_dir(place.path())));
    assert!(stdout.starts_with("Success"), "{stdout}");
}

#[test]
fn the_package_is_sound_to_a_linter_and_a_strict_type_checker() {
    let Some(python) = python() else { return };
    for check in [
        "ruff check --no-cache .",
        "ruff format --no-cache --check src backend benchmark.py conformance.py",
        "mypy --cache-dir=/dev/null src benchmark.py conformance.py",
    ] {
        let mut command = python.command();
        command.arg("-m").args(check.split(' '));
        done(command.current_dir(below_host("bindings/python")));
    }
}

/// The names of the files in an archive.
fn files(python: &Python, archive: &Path) -> String {
    let code = "import sys, tarfile, zipfile\n\
                name = sys.argv[1]\n\
                names = zipfile.ZipFile(name).namelist() if name.endswith('.whl') \
                else tarfile.open(name).getnames()\n\
                print(*names, sep='\\n')";
    expect(0, &run(python.eval(code).arg(archive))).0
}

#[test]
fn a_source_distribution_is_whole_and_both_kinds_carry_the_license() {
    let Some(python) = python() else { return };
    let place = tempfile::tempdir().unwrap();
    let build = "import sys; sys.path.insert(0, 'backend'); import moat_build; moat_build.build_sdist(sys.argv[1])";
    let mut sdist = python.eval(build);
    sdist.arg(place.path()).env("MOAT_COMPONENT", component());
    done(sdist.current_dir(below_host("bindings/python")));
    let version = env!("CARGO_PKG_VERSION");
    let archive = place.path().join(format!("moat_credentials-{version}.tar.gz"));
    assert!(files(&python, &archive).contains("/LICENSE\n"));

    // Without Rust, the repository or a component beside it.
    let mut wheel = python.command();
    wheel.args(["-m", "pip", "wheel", "-q", "--no-index", "--no-build-isolation", "--no-deps"]);
    wheel.arg("--wheel-dir").arg(place.path()).arg(&archive).env("PATH", "/usr/bin:/bin");
    done(wheel.env_remove("MOAT_COMPONENT").current_dir(place.path()));
    let wheel = place.path().join(format!("moat_credentials-{version}-py3-none-any.whl"));
    let names = files(&python, &wheel);
    for name in ["moat/moat.component.wasm\n", "moat/py.typed\n", "/licenses/LICENSE\n"] {
        assert!(names.contains(name), "{names}");
    }
    let code = "import importlib.metadata, moat; \
                print(moat.__version__, importlib.metadata.version('moat-credentials'))";
    let (stdout, _) = expect(0, &run(&mut python.eval(code)));
    assert_eq!(stdout, format!("{version} {version}\n"));
}
