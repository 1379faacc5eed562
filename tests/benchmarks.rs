//! What the benchmarks' manual shows is what was measured.

use std::fs;

use support::benchmark::Results;

#[test]
fn the_manual_shows_the_kept_results() {
    for (file, shown) in Results::kept().shown() {
        assert_eq!(fs::read_to_string(&file).unwrap(), shown, "{file:?}");
    }
}
