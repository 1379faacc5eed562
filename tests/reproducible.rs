//! Building the guest: the same bytes elsewhere and from nothing, and a plain word when it can't be built.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../host/build/guest.rs"]
mod guest;

use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn another_build_gives_the_same_component() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("a/place/of another/name");
    fs::create_dir_all(&copy).unwrap();
    for part in ["Cargo.toml", "Cargo.lock", "guest", "wit", "host", "tests"] {
        let copied = Command::new("cp").arg("-r").arg(workspace.join(part)).arg(&copy).status();
        assert!(copied.unwrap().success());
    }
    let again = guest::build("moat-guest", &copy, &elsewhere.path().join("target")).unwrap();

    // `wit-component` and the compiler add nothing of the machine: the module decides.
    let built = concat!(env!("OUT_DIR"), "/guest/wasm32-unknown-unknown/guest/moat_guest.wasm");
    assert!(fs::read(built).unwrap() == again, "two builds of the guest differ");
    let text = String::from_utf8_lossy(&again);
    for place in [workspace.canonicalize().unwrap().as_path(), copy.as_path()] {
        assert!(!text.contains(place.to_str().unwrap()), "the guest names {}", place.display());
    }
}

#[test]
fn a_missing_target_is_told_with_the_command_to_run() {
    let error = guest::check_target("echo".as_ref()).unwrap_err().to_string();
    assert_eq!(
        error,
        "the guest needs the Rust target wasm32-unknown-unknown; run: rustup target add wasm32-unknown-unknown"
    );
}
