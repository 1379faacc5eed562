//! One credential read or written by a whole process, beside what people use instead. The peers are measured where they are
//! installed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use support::benchmark::{Group, Row, median};
use support::callers::Python;
use support::{
    KEY, Store, Taken, expect, is_installed, long, measure_with_input, run, run_with_input,
};

use crate::native;

const PASSWORD: &str = "correct horse";
const PUT: [&str; 5] = ["put", "anna", "--username", "anna", "--password-stdin"];

/// A way to do the work.
struct Peer {
    name: &'static str,
    command: Command,
    /// What it reads.
    input: Option<PathBuf>,
}

impl Peer {
    fn new(name: &'static str, command: Command) -> Self {
        Self { name, command, input: None }
    }

    fn run(&mut self) -> Taken {
        let input = self.input.as_ref().map(|file| File::open(file).unwrap().into());
        measure_with_input(&mut self.command, input.unwrap_or_else(Stdio::null))
    }
}

/// What all of them read, in the form of each.
pub(crate) struct Credentials {
    /// With a record that the application wrote.
    first: Store,
    /// With one of version 2.0.
    second: Store,
    key: String,
    tools: Vec<Installed>,
}

impl Credentials {
    pub(crate) fn new(python: &Python) -> Self {
        let (first, second) = (Store::new(), Store::new());
        let mut write = python.script("exchange.py");
        write.arg("write").arg(first.path()).args(["anna", "anna", PASSWORD, "--form", "app"]);
        expect(0, &run(&mut write));
        fs::write(first.beside("text"), PASSWORD).unwrap();
        let tools = TOOLS.iter().filter_map(|tool| tool.prepared(&first.beside(tool.name)));
        let tools = tools.collect();
        let key = moat::generate_key().unwrap().to_string();
        let credentials = Self { first, second, key, tools };
        expect(0, &run_with_input(&mut credentials.moat(&PUT), PASSWORD));
        credentials
    }

    /// The program over the record of version 2.0.
    fn moat(&self, arguments: &[&str]) -> Command {
        let mut command = self.second.moat(arguments);
        command.env("FOSSAWORK_MASTER_KEY", &self.key);
        command
    }

    pub(crate) fn reading(&self, python: &Python) -> Group {
        let mut application = python.script("fossawork_way.py");
        application.arg(self.first.path()).arg("anna");
        let native = |store: &Store, key: &str| native::command("get", store.path(), &[key], 1);
        let get = ["get", "anna", "--field", "password"];
        let mut peers = vec![
            Peer::new("moat get, 2.0, strong key", self.moat(&get)),
            Peer::new("moat get, 1.0", self.first.moat(&get)),
            Peer::new("moat inspect (derives no key)", self.moat(&["inspect", "anna"])),
            Peer::new("native Rust, 2.0, strong key", native(&self.second, &self.key)),
            Peer::new("native Rust, 1.0", native(&self.first, KEY)),
            Peer::new("the Python application's way, 1.0", application),
        ];
        peers.extend(self.tools.iter().map(Installed::read));
        measured("reading", "Reading a credential", peers)
    }

    pub(crate) fn writing(&self) -> Group {
        let input = Some(self.first.beside("text"));
        let put = |name, command| Peer { name, command, input: input.clone() };
        let native = native::command("put", self.second.path(), &[&self.key], 1);
        let mut peers = vec![
            put("moat put, 2.0, strong key", self.moat(&PUT)),
            put("moat put, 1.0", self.first.moat(&PUT)),
            Peer::new("native Rust, 2.0, strong key", native),
        ];
        peers.extend(self.tools.iter().map(|tool| Peer { input: input.clone(), ..tool.write() }));
        measured("writing", "Writing a credential", peers)
    }
}

fn measured(name: &str, title: &str, mut peers: Vec<Peer>) -> Group {
    let turns = if long() { 31 } else { 5 };
    let mut runs: Vec<Vec<Taken>> = peers.iter().map(|_| Vec::new()).collect();
    for _ in 0..turns {
        for (peer, runs) in peers.iter_mut().zip(&mut runs) {
            runs.push(peer.run());
        }
    }
    let median = |runs: &[Taken], of: fn(&Taken) -> Duration| {
        median(runs.iter().map(|taken| of(taken).as_secs_f64() * 1e3).collect())
    };
    let rows = peers.iter().zip(&runs).map(|(peer, runs)| {
        let values = [median(runs, |taken| taken.wall), median(runs, |taken| taken.cpu)];
        Row::new(peer.name, values)
    });
    Group {
        name: name.to_owned(),
        title: format!("{title} by a whole process"),
        unit: "ms, the median".to_owned(),
        columns: vec!["elapsed".to_owned(), "CPU".to_owned()],
        rows: rows.collect(),
    }
}

/// A tool that encrypts the file `../text` as `secret`, and decrypts it.
struct Tool {
    name: &'static str,
    /// Scripts of the shell.
    prepare: &'static [&'static str],
    read: &'static [&'static str],
    write: &'static [&'static str],
}

/// Of Debian's packages `age`, `gpg`, `pass`, `systemd`, `keepassxc` and `ansible-core`. A key of gpg's is without a
/// passphrase, and its agent, which decrypts, is a process of its own, whose time isn't counted.
const TOOLS: [Tool; 6] = [
    Tool {
        name: "age",
        prepare: &["age-keygen -o key", "age-keygen -y key > recipient"],
        read: &["-d", "-i", "key", "secret"],
        write: &["-e", "-R", "recipient", "-o", "secret", "../text"],
    },
    Tool {
        name: "gpg",
        prepare: &[GPG_KEY],
        read: &["--quiet", "--decrypt", "secret"],
        write: &[
            "--quiet",
            "--batch",
            "--yes",
            "--recipient",
            "a@example.com",
            "--output",
            "secret",
            "--encrypt",
            "../text",
        ],
    },
    Tool {
        name: "pass",
        prepare: &[GPG_KEY, "pass init a@example.com"],
        read: &["show", "anna"],
        write: &["insert", "--multiline", "--force", "anna"],
    },
    Tool {
        name: "systemd-creds",
        prepare: &["systemd-creds setup"],
        read: &["decrypt", "--name=anna", "secret", "-"],
        write: &["encrypt", "--with-key=host", "--name=anna", "../text", "secret"],
    },
    Tool {
        name: "keepassxc-cli",
        prepare: &[
            "head -c 32 /dev/urandom > key",
            "keepassxc-cli db-create --set-key-file key secret",
            "keepassxc-cli add --quiet --no-password --key-file key secret anna",
        ],
        read: &[
            "show",
            "--quiet",
            "--no-password",
            "--key-file",
            "key",
            "--show-protected",
            "secret",
            "anna",
        ],
        write: &[
            "edit",
            "--quiet",
            "--no-password",
            "--key-file",
            "key",
            "--password-prompt",
            "secret",
            "anna",
        ],
    },
    Tool {
        name: "ansible-vault",
        prepare: &["echo password > key"],
        read: &["view", "--vault-password-file", "key", "secret"],
        write: &["encrypt", "--vault-password-file", "key", "--output", "secret", "../text"],
    },
];

const GPG_KEY: &str =
    "gpg --batch --quiet --passphrase '' --quick-generate-key a@example.com default default never";

impl Tool {
    /// The tool with a secret that it encrypted in a new directory; `None` where it isn't installed, or can't do that.
    fn prepared(&'static self, home: &Path) -> Option<Installed> {
        if !is_installed(self.name) {
            return None;
        }
        fs::create_dir_all(home.join("gnupg")).unwrap();
        let installed = Installed { tool: self, home: home.to_owned() };
        let shell = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            Peer::new(self.name, command)
        };
        let prepare = self.prepare.iter().map(|script| shell(script));
        for mut step in prepare.chain([installed.write(), installed.read()]) {
            let text = File::open(home.join("../text")).unwrap();
            if !installed.at_home(&mut step.command).stdin(text).output().unwrap().status.success()
            {
                println!("{} is not measured, since it doesn't work here", self.name);
                return None;
            }
        }
        Some(installed)
    }
}

/// A tool, and its directory.
struct Installed {
    tool: &'static Tool,
    home: PathBuf,
}

impl Installed {
    fn at_home<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command
            .current_dir(&self.home)
            .env("GNUPGHOME", self.home.join("gnupg"))
            .env("PASSWORD_STORE_DIR", self.home.join("store"))
            .stderr(Stdio::null())
    }

    fn command(&self, arguments: &[&str]) -> Peer {
        let mut command = Command::new(self.tool.name);
        self.at_home(command.args(arguments));
        Peer::new(self.tool.name, command)
    }

    fn read(&self) -> Peer {
        self.command(self.tool.read)
    }

    fn write(&self) -> Peer {
        self.command(self.tool.write)
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        // What gpg left running.
        let _ = self.at_home(Command::new("gpgconf").args(["--kill", "gpg-agent"])).output();
    }
}
