//! What stands in the memory of a long-lived program that embeds the library: while a call runs, the password
//! and the keys; after it, nothing but the one copy of the master key. And after a key ring is saved, one copy of each of
//! its keys.
//!
//! The program is the test once more, in a process of its own; the test reads its memory through `/proc`.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use memchr::memmem;
use moat::{
    Credential, Directory, Field, KeyRing, KeyUsage, MasterKey, PutOptions, RingDocument, UserId,
    Vault,
};
use sha2::{Digest, Sha256};
use support::{Store, write_private};
use zeroize::Zeroizing;

/// Names the store that the program in the other process works on.
const STORE: &str = "MOAT_TEST_STORE";

#[test]
fn after_a_call_no_secret_is_left_in_memory() {
    if let Some(store) = std::env::var_os(STORE) {
        return embed(Path::new(&store));
    }
    let store = Store::new();
    // Made now: a constant would stand in the other process too, which runs the same file.
    let [key, password, field] = [(); 3].map(|()| moat::generate_token().unwrap());
    let credential =
        Credential::new("anna", password.as_str()).with_field(Field::new("totp", field.as_str()));
    let anna = UserId::parse("anna").unwrap();
    store.vault(&key).put(&anna, &credential, &PutOptions::default()).unwrap();
    write_private(&store.beside("key"), key.as_bytes());
    fs::write(store.beside("masked"), mask(&password).collect::<Vec<u8>>()).unwrap();
    let mut derived = [0; 32];
    let salt = Sha256::digest("anna");
    pbkdf2::pbkdf2_hmac::<Sha256>(key.as_bytes(), &salt[..16], 100_000, &mut derived);
    let (signing, encryption) = derived.split_at(16);

    let mut program = Program::start(&store, "after_a_call_no_secret_is_left_in_memory");
    let idle = |program: &Program, when: &str| {
        for secret in [password.as_bytes(), field.as_bytes(), &derived, signing, encryption] {
            assert_eq!(program.count(secret), 0, "{when}: {}", String::from_utf8_lossy(secret));
        }
        assert_eq!(program.count(key.as_bytes()), 1, "{when}: the master key");
    };
    program.wait("idle");
    idle(&program, "after reading");

    // The program is held in the middle of a call: it has to wait for the lock to write.
    let lock = File::open(store.path().join(".moat.lock")).unwrap();
    lock.lock().unwrap();
    program.go_on();
    let begun = Instant::now();
    while program.count(password.as_bytes()) == 0 || program.count(encryption) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(5), "no secret is seen during the call");
    }
    // The component has two memories: the one with the password has no master key.
    let memories = program.linear_memories();
    assert_eq!(memories.len(), 2);
    let have = |secret: &str| {
        memories.iter().map(|memory| occurrences(memory, secret.as_bytes()) > 0).collect::<Vec<_>>()
    };
    let (keys, passwords) = (have(&key), have(&password));
    assert!(keys == [!passwords[0], !passwords[1]] && keys[0] != keys[1], "{keys:?} {passwords:?}");
    lock.unlock().unwrap();
    program.wait("idle");
    idle(&program, "after writing");
    program.go_on();
    assert!(program.child.wait().unwrap().success());
}

/// Tells the test that the program is idle, and waits for it.
fn wait() {
    eprintln!("idle");
    std::io::stdin().lock().read_line(&mut String::new()).unwrap();
}

/// The program: opens the credential, waits, marks it as used, waits.
fn embed(store: &Path) {
    let dir = Dir::open_ambient_dir(store.join("credentials"), ambient_authority()).unwrap();
    let key = {
        let key = Zeroizing::new(fs::read(store.join("key")).unwrap());
        MasterKey::new(&key)
    };
    let vault = Vault::builder(Directory::new(dir).unwrap(), KeyRing::new(key)).build().unwrap();
    let anna = UserId::parse("anna").unwrap();
    let masked = fs::read(store.join("masked")).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let revealed = vault.reveal(&anna).unwrap();
                    let password = revealed.credential().expose_password();
                    assert!(mask(password).eq(masked.iter().copied()));
                }
            });
        }
    });
    wait();
    vault.mark_used(&anna).unwrap();
    wait();
}

#[test]
fn after_a_ring_is_saved_no_erased_key_is_left_in_memory() {
    if let Some(store) = std::env::var_os(STORE) {
        return erase(Path::new(&store));
    }
    let store = Store::new();
    let [erased, primary] = [(); 2].map(|()| moat::generate_token().unwrap());
    let mut ring = RingDocument::new(Some("erased".to_owned()), erased.as_bytes()).unwrap();
    ring.add(Some("primary".to_owned()), primary.as_bytes()).unwrap();
    ring.promote("primary").unwrap();
    ring.retire("erased", &KeyUsage::default()).unwrap();
    ring.save(&store.directory(), "ring.json").unwrap();

    let mut program =
        Program::start(&store, "after_a_ring_is_saved_no_erased_key_is_left_in_memory");
    for (when, copies) in [("before it is erased", 1), ("after it is erased", 0)] {
        program.wait("idle");
        assert_eq!(program.count(erased.as_bytes()), copies, "{when}");
        assert_eq!(program.count(primary.as_bytes()), 1, "{when}");
        program.go_on();
    }
    assert!(program.child.wait().unwrap().success());
}

/// The program: reads the ring, waits, erases the key, waits.
fn erase(store: &Path) {
    let path = store.join("credentials");
    let mut ring = {
        let text = Zeroizing::new(fs::read(path.join("ring.json")).unwrap());
        RingDocument::parse(&text).unwrap()
    };
    wait();
    ring.erase("erased", &KeyUsage::default()).unwrap();
    let dir = Dir::open_ambient_dir(path, ambient_authority()).unwrap();
    ring.save(&Directory::new(dir).unwrap(), "ring.json").unwrap();
    wait();
}

/// A password as the program may know it, to compare with, without having a copy of it.
fn mask(password: &str) -> impl Iterator<Item = u8> {
    password.bytes().map(|byte| byte ^ 0xa5)
}

/// The other process.
struct Program {
    child: Child,
    stderr: BufReader<std::process::ChildStderr>,
}

impl Program {
    fn start(store: &Store, test: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("memory::{test}"), "--nocapture"])
            .env(STORE, store.beside(""))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child, stderr }
    }

    fn wait(&mut self, line: &str) {
        let found = self.stderr.by_ref().lines().find(|read| read.as_ref().unwrap() == line);
        assert!(found.is_some(), "the program ended");
    }

    fn go_on(&mut self) {
        writeln!(self.child.stdin.as_ref().unwrap()).unwrap();
    }

    /// How often the secret stands in the process' memory: as it is, in base64, in hexadecimal.
    fn count(&self, secret: &[u8]) -> usize {
        self.mappings().iter().map(|(_, bytes)| occurrences(bytes, secret)).sum()
    }

    /// The linear memories of WebAssembly: the mappings that are neither dumped nor inherited by a fork.
    fn linear_memories(&self) -> Vec<Vec<u8>> {
        let is_linear = |flags: &str| ["dd", "wf"].iter().all(|flag| flags.contains(flag));
        let mappings = self.mappings().into_iter().filter(|(flags, _)| is_linear(flags));
        // Beyond the end of each, addresses are reserved for it to grow.
        mappings
            .map(|(_, bytes)| bytes)
            .filter(|bytes| bytes.iter().any(|byte| *byte != 0))
            .collect()
    }

    /// The mappings that can be read: the flags of each, and what is in it.
    fn mappings(&self) -> Vec<(String, Vec<u8>)> {
        let process = Path::new("/proc").join(self.child.id().to_string());
        let memory = File::open(process.join("mem")).unwrap();
        let maps = fs::read_to_string(process.join("smaps")).unwrap();
        let mut mappings = Vec::new();
        let mut range = (0, 0);
        for line in maps.lines() {
            if let Some(flags) = line.strip_prefix("VmFlags: ") {
                let mut bytes = vec![0; usize::try_from(range.1 - range.0).unwrap()];
                let can_be_read = flags.split(' ').any(|flag| flag == "rd");
                // The kernel's own pages can't be read.
                if can_be_read && memory.read_exact_at(&mut bytes, range.0).is_ok() {
                    mappings.push((flags.to_owned(), bytes));
                }
            } else if let Some((from, to)) =
                line.split_whitespace().next().and_then(|range| range.split_once('-'))
            {
                let address = |text| u64::from_str_radix(text, 16).unwrap();
                range = (address(from), address(to));
            }
        }
        mappings
    }
}

/// How often the secret stands in these bytes: as it is, in base64, in hexadecimal.
fn occurrences(bytes: &[u8], secret: &[u8]) -> usize {
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let needles = BTreeSet::from([
        secret.to_vec(),
        STANDARD.encode(secret).into_bytes(),
        URL_SAFE.encode(secret).into_bytes(),
        hex.to_uppercase().into_bytes(),
        hex.into_bytes(),
    ]);
    needles.iter().map(|needle| memmem::find_iter(bytes, needle).count()).sum()
}
