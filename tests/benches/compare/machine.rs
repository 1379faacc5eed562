//! The machine, and the versions of what is compared.

use std::fs;
use std::process::Command;

use support::callers::Python;

/// The extensions of the CPU that what is compared makes use of.
const FEATURES: [&str; 4] = ["sha_ni", "aes", "avx2", "avx512f"];

/// What asks each for its version, unless it is missing.
const VERSIONS: [(&str, &[&str]); 8] = [
    ("rustc", &["--version"]),
    ("node", &["--version"]),
    ("age", &["--version"]),
    ("gpg", &["--version"]),
    ("pass", &["--version"]),
    ("systemd-creds", &["--version"]),
    ("keepassxc-cli", &["--version"]),
    ("ansible-vault", &["--version"]),
];

pub(crate) fn description(python: &Python) -> Vec<(String, String)> {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap();
    let of_cpu = |name: &str| {
        let line = cpus.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(": ").map_or("", |(_, value)| value).to_owned()
    };
    let flags = of_cpu("flags");
    let has = |feature: &&str| flags.split(' ').any(|flag| flag == *feature);
    let (with, without): (Vec<_>, Vec<_>) = FEATURES.iter().partition(|feature| has(feature));
    let list = |features: Vec<&str>| match features.join(", ") {
        none if none.is_empty() => "nothing".to_owned(),
        some => some,
    };
    let cores = std::thread::available_parallelism().unwrap();
    let cpu = format!(
        "{}, {cores} cores, with {}, without {}",
        of_cpu("model name"),
        list(with),
        list(without)
    );
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let moat =
        format!("{}, component sha256:{}", env!("CARGO_PKG_VERSION"), moat::component::digest());

    let mut lines = vec![
        ("CPU".to_owned(), cpu),
        ("Linux".to_owned(), kernel.trim().to_owned()),
        ("moat".to_owned(), moat),
    ];
    let installed = |(tool, arguments): &(&str, &[&str])| {
        let output = Command::new(tool).args(*arguments).output().ok()?;
        Some(((*tool).to_owned(), version(&output.stdout)?))
    };
    lines.extend(VERSIONS.iter().filter_map(installed));
    let cryptography = "import cryptography, platform, ssl
print(platform.python_version() + ', cryptography ' + cryptography.__version__ + ', ' + ssl.OPENSSL_VERSION)";
    let python = python.eval(cryptography).output().unwrap();
    lines.push(("Python".to_owned(), String::from_utf8(python.stdout).unwrap().trim().to_owned()));
    lines
}

/// The first word that begins like a number.
fn version(printed: &[u8]) -> Option<String> {
    let printed = String::from_utf8_lossy(printed);
    let mut words =
        printed.split_whitespace().map(|word| word.trim_matches(['v', '[', ']', ',', '(', ')']));
    words.find(|word| word.starts_with(|c: char| c.is_ascii_digit())).map(str::to_owned)
}
