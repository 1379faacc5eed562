//! Building the guest: the same bytes elsewhere and from nothing, and a plain word when it can't be built.

use std::fs;
use std::process::Command;

#[test]
fn another_build_gives_the_same_component() {
    let workspace = support::tests().join("..");
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("a/place/of another/name");
    fs::create_dir_all(&copy).unwrap();
    for part in ["Cargo.toml", "Cargo.lock", "guest", "wit", "host", "tests"] {
        let copied = Command::new("cp").arg("-r").arg(workspace.join(part)).arg(&copy).status();
        assert!(copied.unwrap().success());
    }
    let target = elsewhere.path().join("target");
    let again = moat_guest_build::vault_component(&copy, &target).unwrap();
    assert!(again == moat::component::BYTES, "two builds of the guest differ");
    let text = String::from_utf8_lossy(&again);
    for place in [workspace.canonicalize().unwrap().as_path(), copy.as_path()] {
        assert!(!text.contains(place.to_str().unwrap()), "the guest names {}", place.display());
    }
}

#[test]
fn a_missing_target_is_told_with_the_command_to_run() {
    let error = moat_guest_build::check_target("echo".as_ref()).unwrap_err().to_string();
    assert_eq!(
        error,
        "the guest needs the Rust target wasm32-unknown-unknown; run: rustup target add wasm32-unknown-unknown"
    );
}
