//! `moat.fossawork` of the Python package in place of the FossaWork application's own module, as the application calls it.

use std::process::Command;

use support::callers::{below_host, component, interpreters, python};
use support::{KEY, Store, done, expect, run, tests};

/// Runs a script of `tests/python` in a new directory; it has tests of its own.
fn passes(script: &str) {
    let Some(python) = python() else { return };
    let store = Store::new();
    done(python.script(script).current_dir(store.beside("")));
}

/// Also by a small implementation of what the application's own manager does, and each reads what the other wrote.
#[test]
fn the_applications_calls_return_what_they_have_to() {
    passes("fossawork_drop_in.py");
}

#[test]
fn many_managers_threads_and_processes_are_served() {
    passes("fossawork_processes.py");
}

#[test]
fn asynchronous_calls_leave_the_event_loop_alone() {
    passes("fossawork_asynchronous.py");
}

#[test]
fn the_routes_are_the_applications_and_let_nobody_in() {
    passes("fossawork_routes.py");
}

#[test]
fn the_oldest_and_the_newest_python_do_in_a_new_environment() {
    let (Some(python), Some(interpreters)) = (python(), interpreters()) else { return };
    let place = tempfile::tempdir().unwrap();
    let wheels = place.path().join("wheels");
    let mut wheel = python.command();
    wheel.args(["-m", "pip", "wheel", "-q", "--no-index", "--no-build-isolation", "--no-deps"]);
    wheel.arg("--wheel-dir").arg(&wheels).arg(below_host("bindings/python"));
    done(wheel.env("MOAT_COMPONENT", component()));
    for name in ["oldest", "newest"] {
        let environment = place.path().join(name);
        let mut venv = Command::new(interpreters.join(name).join("usr/bin/python"));
        done(venv.args(["-m", "venv", "--without-pip"]).arg(&environment));
        let program = environment.join("bin/python");
        let paths = "import sys, sysconfig; \
                     print('{}.{}'.format(*sys.version_info), sysconfig.get_path('purelib'))";
        let (stdout, _) = expect(0, &run(Command::new(&program).args(["-c", paths])));
        let (version, packages) = stdout.trim().split_once(' ').unwrap();

        let mut install = python.command();
        install.args(["-m", "pip", "install", "-q", "--no-index", "--only-binary=:all:"]);
        install.args(["--python-version", version, "--target", packages, "moat-credentials"]);
        install.arg("--find-links").arg(&wheels);
        done(install.arg("--find-links").arg(interpreters.join("wheels")));

        // What `datetime.fromisoformat` takes isn't the same in each.
        let code = "from moat.times import parsed\n\
                    assert parsed('2025-01-14T10:00:00.5Z') == parsed('2025-01-14 11:00:00.500+01:00')\n\
                    assert not any(map(parsed, ('20250114T100000', '2025-01-14', '2025-01-14T24:00')))\n\
                    from moat.fossawork import credential_manager, WorkFossaCredentials\n\
                    assert credential_manager.store_credentials(WorkFossaCredentials('x', 'horse', 'x'))\n\
                    print(credential_manager.retrieve_credentials('x').password)";
        let mut store = Command::new(&program);
        store.args(["-W", "error", "-c", code]).env("FOSSAWORK_MASTER_KEY", KEY);
        let (stdout, _) = expect(0, &run(store.current_dir(place.path())));
        assert_eq!(stdout, "horse\n", "{version}");
        let mut calls = Command::new(&program);
        calls.arg("-B").arg(tests().join("python/fossawork_asynchronous.py"));
        done(calls.arg("Asynchronous.test_the_calls_are_the_managers"));
    }
}
