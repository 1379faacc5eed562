//! The callers in other languages, each set up in the target directory as its README says, and what starts its runner
//! of the conformance suite.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use super::{done, set_up, target_tmpdir, tests};

/// The name of a caller, and what starts its runner.
pub type Caller = (&'static str, fn() -> Command);

/// All but the Rust library, which needs no runner of its own.
pub const ALL: [Caller; 4] = [
    ("python", || python_script("bindings/python/conformance.py")),
    ("node", || javascript("conformance/node.mjs")),
    ("browser", || {
        needed("chromium");
        javascript("conformance/browser.mjs")
    }),
    ("c", || Command::new(c_programs().join("conformance"))),
];

/// What stands below `host`.
pub fn below_host(name: &str) -> PathBuf {
    tests().join("../host").join(name).canonicalize().unwrap()
}

/// The component's file.
pub fn component() -> PathBuf {
    set_up("moat.component.wasm", moat::component::digest().as_bytes(), |path| {
        fs::write(path, moat::component::BYTES).unwrap();
    })
}

/// A Python with the package of `host/bindings/python`, and what the scripts of all tests need.
pub fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let package = below_host("bindings/python");
        let requirements =
            [tests().join("python/requirements.txt"), below_host("examples/oci/requirements.txt")];
        let made_of = made_of(&[&package, &requirements[0], &requirements[1]]);
        let environment = set_up("python", &made_of, |environment| {
            done(Command::new("python3").args(["-m", "venv", "--clear"]).arg(environment));
            let mut pip = Command::new(environment.join("bin/python"));
            pip.args(["-m", "pip", "install", "-q"]);
            for list in &requirements {
                pip.arg("-r").arg(list);
            }
            done(pip.arg(&package).env("MOAT_COMPONENT", component()));
        });
        environment.join("bin/python")
    })
}

/// A Python script below `host`.
pub fn python_script(name: &str) -> Command {
    let mut command = Command::new(python());
    // The packages stay as they are.
    command.arg(below_host(name)).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// A piece of Python, with the package at hand.
pub fn in_python(code: &str) -> Command {
    let mut command = Command::new(python());
    command.args(["-c", code]);
    command
}

/// A piece of JavaScript, a module for Node.
pub fn in_node(code: &str) -> Command {
    let mut command = Command::new("node");
    command.args(["--input-type=module", "--eval", code]);
    command
}

/// The npm package of `host/bindings/javascript`, built in a copy.
pub fn javascript_package() -> PathBuf {
    let package = below_host("bindings/javascript");
    set_up("javascript", &made_of(&[&package]), |copy| {
        let _ = fs::remove_dir_all(copy);
        for file in sources(&package) {
            let target = copy.join(file.strip_prefix(&package).unwrap());
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(file, target).unwrap();
        }
        let npm = |arguments: &[&str]| {
            let mut npm = Command::new("npm");
            done(npm.args(arguments).current_dir(copy).env("MOAT_COMPONENT", component()));
        };
        npm(&["ci", "--no-audit", "--no-fund"]);
        npm(&["run", "build"]);
        npm(&["run", "check"]);
    })
}

/// A script of the npm package.
pub fn javascript(name: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(javascript_package().join(name));
    command
}

/// Where the programs of `host/bindings/c` were built.
pub fn c_programs() -> PathBuf {
    let folder = below_host("bindings/c");
    for tool in ["curl", "make"] {
        needed(tool);
    }
    set_up("c", &made_of(&[&folder]), |build| {
        // It may install packages.
        let _turn = turn_to_install();
        done(Command::new("make").arg("-C").arg(&folder).arg(format!("BUILD={}", build.display())));
    })
}

/// Installs a program that is missing, from the system's package of its name.
pub fn needed(program: &str) {
    let there = || Command::new("which").arg(program).output().unwrap().status.success();
    if !there() {
        let _turn = turn_to_install();
        let mut install = Command::new("sh");
        let script = "apt-get update -qq && apt-get install -y -qq --no-install-recommends \"$0\"";
        done(install.args(["-c", script, program]));
        assert!(there(), "{program} is needed: apt-get install {program}");
    }
}

/// The turn to install packages of the system, which can't be done by two at once.
fn turn_to_install() -> File {
    let lock = File::create(target_tmpdir().join("packages.lock")).unwrap();
    lock.lock().unwrap();
    lock
}

/// Stands for the component and for these files and folders, as they are now.
fn made_of(paths: &[&Path]) -> Vec<u8> {
    let mut digest = Sha256::new_with_prefix(moat::component::digest());
    for file in paths.iter().flat_map(|path| sources(path)) {
        digest.update(file.as_os_str().as_encoded_bytes());
        digest.update(fs::read(file).unwrap());
    }
    digest.finalize().to_vec()
}

/// A file, or all files below a folder but what is built there; sorted.
fn sources(path: &Path) -> Vec<PathBuf> {
    const BUILT: [&str; 5] = ["__pycache__", "dist", "generated", "node_modules", ".gitignore"];
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let mut entries: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap()).collect();
    entries.retain(|entry| !BUILT.iter().any(|built| entry.file_name() == *built));
    entries.sort_by_key(fs::DirEntry::file_name);
    entries.iter().flat_map(|entry| sources(&entry.path())).collect()
}
