//! The directories of the hosts in other languages by themselves: `tests/writers`.

use std::process::Command;

use super::callers::{self, c, node};
use super::{Store, tests};

/// A host's directory, for `read NAME` and `write NAME FILE REVISION`, which print what came of it.
pub struct Writer {
    pub name: &'static str,
    start: Box<dyn Fn() -> Command + Sync>,
}

impl Writer {
    /// A command over this store.
    pub fn command(&self, store: &Store, arguments: &[&str]) -> Command {
        let mut command = (self.start)();
        store.surround(&mut command).args(arguments).current_dir(store.beside(""));
        command
    }
}

pub fn in_python() -> Option<Writer> {
    let python = callers::python()?;
    let start = move || python.run(tests().join("writers/writer.py"));
    Some(Writer { name: "python", start: Box::new(start) })
}

pub fn in_node() -> Option<Writer> {
    let library = node()?.path("dist/lib/node/node-directory.js");
    let start = move || {
        let mut command = Command::new("node");
        command.arg(tests().join("writers/writer.mjs")).arg(&library);
        command
    };
    Some(Writer { name: "node", start: Box::new(start) })
}

pub fn in_c() -> Option<Writer> {
    let c = c()?;
    let writer = c.compile(&tests().join("writers/writer.c"), &["directory.o"]);
    Some(Writer { name: "c", start: Box::new(move || Command::new(&writer)) })
}

/// All that there are on this machine.
pub fn all() -> Vec<Writer> {
    [in_python(), in_node(), in_c()].into_iter().flatten().collect()
}
