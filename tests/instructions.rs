//! The main paths take no more instructions than they did: unlike time, these are the same on a busy machine. Callgrind shows
//! programs a CPU with AVX2 and without instructions for SHA-256, whatever the machine has beyond that. It doesn't know the
//! system calls that lock memory, so that no memory is kept for the next call.

use std::collections::BTreeMap;
use std::fs;

use moat::Sandbox;
use support::{profile, run, skipped, tests, tool};

/// By how much a count may differ from the one that is kept: the addresses and random bytes of a process have a say.
const TOLERANCE: f64 = 0.02;

/// How many calls are made, few and many: what they take beyond the few is the calls' own. The slow ones are slow there too.
fn calls(kind: &str) -> (u32, u32) {
    if kind.contains("deriving") { (0, 1) } else { (5, 25) }
}

#[test]
fn the_main_paths_take_no_more_than_they_did() {
    let Some(valgrind) = tool("valgrind") else { return };
    if Sandbox::embedded().unwrap().cpu() != Some("x86-64-v3") {
        return skipped("the counts that are kept are of an x86-64 CPU with AVX2");
    }
    let directory = tempfile::tempdir().unwrap();
    let total = |kind: &str, calls: u32| -> f64 {
        let counts = directory.path().join("counts");
        let mut command = valgrind.command();
        command.args(["--quiet", "--tool=callgrind"]);
        command.arg(format!("--callgrind-out-file={}", counts.display()));
        command.arg(profile().join("moat-calls")).args([kind, &calls.to_string()]);
        let output = run(&mut command);
        assert!(output.status.success(), "{output:?}");
        let counts = fs::read_to_string(counts).unwrap();
        let total = counts.lines().find_map(|line| line.strip_prefix("totals: ")).unwrap();
        total.parse().unwrap()
    };

    let kept: BTreeMap<String, f64> =
        serde_json::from_str(&fs::read_to_string(tests().join("instructions.json")).unwrap())
            .unwrap();
    let now: BTreeMap<_, _> = kept
        .keys()
        .map(|kind| {
            let (few, many) = calls(kind);
            let taken = (total(kind, many) - total(kind, few)) / f64::from(many - few);
            (kind.clone(), taken.round())
        })
        .collect();
    let differs = |(kind, kept): (&String, &f64)| (now[kind] / kept - 1.0).abs() > TOLERANCE;
    assert!(
        !kept.iter().any(differs),
        "kept in tests/instructions.json: {kept:#?}\nnow: {}",
        serde_json::to_string_pretty(&now).unwrap()
    );
}
