//! The callers in other languages, each built in the target directory as its README says, with what `tests/setup` has
//! installed there; and what starts its runner of the conformance suite.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use super::{KEY, done, set_up, skipped, target_tmpdir, tests, tool};

/// The name of a caller, and what starts its runner; nothing where it can't be built.
pub type Caller = (&'static str, fn() -> Option<Command>);

/// All but the Rust library, which needs no runner of its own.
pub const ALL: [Caller; 4] = [
    ("python", || Some(python()?.run(below_host("bindings/python/conformance.py")))),
    ("node", || Some(node()?.run("conformance/node.mjs"))),
    ("browser", || {
        tool(CHROMIUM)?;
        Some(node()?.run("conformance/browser.mjs"))
    }),
    ("c", || Some(c()?.program("conformance"))),
];

/// Where the npm package's scripts look for it.
pub const CHROMIUM: &str = "/usr/bin/chromium";

/// What stands below `host`.
pub fn below_host(name: &str) -> PathBuf {
    tests().join("../host").join(name).canonicalize().unwrap()
}

/// The blocks of a language in a README below `host`, one after the other.
pub fn readme_blocks(readme: &str, language: &str) -> String {
    let text = fs::read_to_string(below_host(readme)).unwrap();
    let parts = text.split("```").skip(1).step_by(2);
    let blocks = parts.filter_map(|part| part.strip_prefix(&format!("{language}\n")));
    blocks.map(|block| format!("{block}\n")).collect()
}

/// The component's file.
pub fn component() -> PathBuf {
    set_up("moat.component.wasm", moat::component::digest().as_bytes(), |path| {
        fs::write(path, moat::component::BYTES).unwrap();
    })
}

/// Where `tests/setup` has put what these files list. Where it hasn't, or they have changed since, the test is skipped.
fn installed(name: &str, lists: &[&Path]) -> Option<PathBuf> {
    let place = target_tmpdir().join(name);
    let now: Vec<u8> = lists.iter().flat_map(|list| fs::read(list).unwrap()).collect();
    if fs::read(place.join("installed")).ok() != Some(now) {
        let place = place.display();
        skipped(&format!("{place} is missing or out of date; tests/setup installs it"));
        return None;
    }
    Some(place)
}

/// A Python with the package of `host/bindings/python`, and what the scripts of all tests need.
#[derive(Clone)]
pub struct Python {
    program: PathBuf,
}

pub fn python() -> Option<Python> {
    let lists =
        [tests().join("python/requirements.txt"), below_host("examples/oci/requirements.txt")];
    let program = installed("python", &[&lists[0], &lists[1]])?.join("bin/python");
    let package = below_host("bindings/python");
    set_up("python", &made_of(&[&package]), |_| {
        let mut pip = Command::new(&program);
        // With the tools and dependencies that are there.
        pip.args(["-m", "pip", "install", "-q", "--no-index", "--no-build-isolation"]);
        done(pip.arg(&package).env("MOAT_COMPONENT", component()));
    });
    Some(Python { program })
}

/// Where the folders `oldest` and `newest` have a Python each, `usr/bin/python`, and `wheels` what the package needs.
pub fn interpreters() -> Option<PathBuf> {
    let lists = ["python/interpreters", "python/requirements.txt"].map(|list| tests().join(list));
    installed("interpreters", &[&lists[0], &lists[1]])
}

impl Python {
    /// Python itself, which leaves the folders that it imports from as they are. It gets of the test's own environment
    /// just the path: CI, for example, makes programs use colors at a terminal that can't show any.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("-B").env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
    }

    /// A script in a file.
    pub fn run(&self, script: impl AsRef<Path>) -> Command {
        let mut command = self.command();
        command.arg(script.as_ref());
        command
    }

    /// A script of `tests/python`, with the test master key.
    pub fn script(&self, name: &str) -> Command {
        let mut command = self.run(tests().join("python").join(name));
        command.env("FOSSAWORK_MASTER_KEY", KEY);
        command
    }

    /// A piece of Python.
    pub fn eval(&self, code: &str) -> Command {
        let mut command = self.command();
        command.args(["-c", code]);
        command
    }
}

/// Node, and the npm package of `host/bindings/javascript`, built in a copy.
pub struct Node {
    package: PathBuf,
}

pub fn node() -> Option<Node> {
    node_with("javascript", &component())
}

/// The package under another name in the target directory, with this component.
pub fn node_with(name: &str, component: &Path) -> Option<Node> {
    let source = below_host("bindings/javascript");
    tool("node")?;
    tool("npm")?;
    let modules = installed("node", &[&source.join("package-lock.json")])?.join("node_modules");
    let package = set_up(name, &made_of(&[&source, component]), |copy| {
        let _ = fs::remove_dir_all(copy);
        for file in sources(&source) {
            let target = copy.join(file.strip_prefix(&source).unwrap());
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(file, target).unwrap();
        }
        symlink(&modules, copy.join("node_modules")).unwrap();
        for script in ["build", "check"] {
            let mut npm = Command::new("npm");
            npm.args(["run", script]).current_dir(copy).env("MOAT_COMPONENT", component);
            done(&mut npm);
        }
    });
    Some(Node { package })
}

impl Node {
    /// What the package has under this name.
    pub fn path(&self, name: &str) -> PathBuf {
        self.package.join(name)
    }

    /// A script of the package.
    pub fn run(&self, name: &str) -> Command {
        let mut command = Command::new("node");
        command.arg(self.path(name));
        command
    }

    /// A piece of JavaScript, a module.
    pub fn eval(&self, code: &str) -> Command {
        let mut command = Command::new("node");
        command.args(["--input-type=module", "--eval", code]);
        command
    }
}

/// The programs of `host/bindings/c`.
pub struct C {
    build: PathBuf,
}

pub fn c() -> Option<C> {
    let folder = below_host("bindings/c");
    tool("gcc")?;
    tool("make")?;
    let build = installed("c", &[&folder.join("setup")])?;
    set_up("c", &made_of(&[&folder]), |build| {
        let mut make = Command::new("make");
        // The library is the right one, whatever its age says: else it would be fetched again.
        make.arg("-o").arg(build.join("wasmtime/lib/libwasmtime.so"));
        make.arg("-C").arg(&folder).arg(format!("BUILD={}", build.display()));
        done(make.arg(format!("COMPONENT={}", component().display())));
    });
    Some(C { build })
}

impl C {
    /// All objects of the host.
    pub const OBJECTS: [&str; 6] =
        ["moat_host.o", "imports.o", "grant.o", "values.o", "directory.o", "master_key.o"];

    pub fn program(&self, name: &str) -> Command {
        Command::new(self.build.join(name))
    }

    /// A program of one file, linked with these objects of the host's and the library.
    pub fn compile(&self, source: &Path, objects: &[&str]) -> PathBuf {
        let folder = below_host("bindings/c");
        let name = source.file_stem().unwrap().to_str().unwrap();
        set_up(name, &made_of(&[source, &folder]), |program| {
            let mut compiler = Command::new("gcc");
            compiler.args(["-std=c17", "-Wall", "-Wextra", "-Werror", "-I"]).arg(&folder);
            compiler.arg("-isystem").arg(self.build.join("wasmtime/include"));
            compiler.arg("-o").arg(program).arg(source);
            compiler.args(objects.iter().map(|object| self.build.join(object)));
            let libraries = self.build.join("wasmtime/lib");
            compiler.arg("-L").arg(&libraries).arg(format!("-Wl,-rpath,{}", libraries.display()));
            done(compiler.args(["-lwasmtime", "-lmd"]));
        })
    }
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
