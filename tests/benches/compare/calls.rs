//! Calls in a running process: through the library, its derived keys cached, and without a sandbox.

use std::time::{Duration, Instant};

use moat::{Credential, PutOptions, UserId, Vault};
use support::benchmark::{Group, Row, median};
use support::callers::Python;
use support::{KEY, Store, long};

use crate::native::Native;

/// How long calls of a kind are made before it is the turn of the next.
const TURN: Duration = Duration::from_millis(100);

pub(crate) fn group(python: &Python) -> Group {
    let (first, second) = (Store::new(), Store::new());
    let strong = moat::generate_key().unwrap();
    // A key that isn't strong makes a directory of version 1.0.
    let vaults = [first.vault(KEY), second.vault(&strong)];
    let anna = UserId::parse("anna").unwrap();
    let put = |vault: &Vault| {
        vault.put(&anna, &Credential::new("anna", "horse"), &PutOptions::default()).unwrap();
    };
    vaults.iter().for_each(put);
    let [vault_1, vault_2] = &vaults;
    let native_1 = Native::new(first.path(), vec![KEY.to_owned()]);
    let native_2 = Native::new(second.path(), vec![strong.to_string()]);

    let calls: [(&str, &dyn Fn()); 6] = [
        ("get, 2.0, strong key", &|| drop(vault_2.reveal(&anna).unwrap())),
        ("get, 1.0", &|| drop(vault_1.reveal(&anna).unwrap())),
        ("native Rust, get, 2.0, strong key", &|| drop(native_2.get("anna"))),
        ("native Rust, get, 1.0", &|| drop(native_1.get("anna"))),
        ("put, 2.0, strong key", &|| put(vault_2)),
        ("native Rust, put, 2.0, strong key", &|| native_2.put("anna")),
    ];
    let turns = if long() { 20 } else { 2 };
    let mut runs: Vec<Vec<f64>> = calls.iter().map(|_| Vec::new()).collect();
    for _ in 0..turns {
        for ((_, call), runs) in calls.iter().zip(&mut runs) {
            let turn = Instant::now();
            while turn.elapsed() < TURN {
                let begun = Instant::now();
                call();
                runs.push(begun.elapsed().as_secs_f64() * 1e6);
            }
        }
    }
    let mut rows: Vec<_> = calls
        .iter()
        .zip(runs)
        .map(|((name, _), runs)| {
            let fastest = runs.iter().copied().reduce(f64::min);
            Row::new(name, [median(runs), fastest])
        })
        .collect();
    rows.push(Row::new("the Python application's way, get, 1.0", in_python(python).map(Some)));
    Group {
        name: "calls".to_owned(),
        title: "A call in a running process".to_owned(),
        unit: "µs elapsed".to_owned(),
        columns: vec!["median".to_owned(), "fastest".to_owned()],
        rows,
    }
}

/// The application derives the key for each call. The median, and the fastest.
fn in_python(python: &Python) -> [f64; 2] {
    let script = "import hashlib, statistics, time\ntaken = []\nfor n in range(9):\n    \
        t = time.perf_counter()\n    \
        hashlib.pbkdf2_hmac('sha256', b'key', bytes(16), 100_000)\n    \
        taken.append((time.perf_counter() - t) * 1e6)\nprint(statistics.median(taken), min(taken))";
    let output = python.eval(script).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let times: Vec<f64> = printed.split_whitespace().map(|time| time.parse().unwrap()).collect();
    times.try_into().unwrap()
}
