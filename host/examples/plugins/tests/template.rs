//! The template of a plugin is built as the manual says, with the contract as `moat component --wit` prints it, and run.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;
use std::process::Command;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use moat::{
    Credential, Directory, Field, KeyRing, MasterKey, Operation, PutOptions, Scope, UserId, Vault,
    plugin,
};
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};

const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// Builds the plugin in a copy, and returns the component.
fn build() -> Vec<u8> {
    let [template, place] = [
        Path::new(HERE).join("template"),
        Path::new(env!("CARGO_TARGET_TMPDIR")).join("my-plugin"),
    ];
    for file in ["Cargo.toml", "src/lib.rs", "wit/world.wit"] {
        let copy = place.join(file);
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(template.join(file), copy).unwrap();
    }
    fs::create_dir_all(place.join("wit/deps")).unwrap();
    fs::write(place.join("wit/deps/moat.wit"), moat::component::wit()).unwrap();
    // The versions that are there.
    fs::copy(Path::new(HERE).join("../../../Cargo.lock"), place.join("Cargo.lock")).unwrap();

    let target = "wasm32-unknown-unknown";
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--release", "--offline", "--target", target]).current_dir(&place);
    // Those of the tests' own cargo.
    for variable in ["CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS", "RUSTC_WORKSPACE_WRAPPER"] {
        cargo.env_remove(variable);
    }
    let output = cargo.env("CARGO_TARGET_DIR", place.join("target")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let module = place.join("target").join(target).join("release/my_plugin.wasm");
    moat_guest_build::component(&fs::read(module).unwrap()).unwrap()
}

#[test]
fn the_template_is_built_as_the_manual_says_and_signs() {
    let directory = tempfile::tempdir().unwrap();
    let dir = Dir::open_ambient_dir(&directory, ambient_authority()).unwrap();
    let keys = KeyRing::new(MasterKey::new(moat::generate_key().unwrap().as_bytes()));
    let vault = Vault::builder(Directory::new(dir).unwrap(), keys).build().unwrap();
    let anna = UserId::parse("anna").unwrap();
    let credential =
        Credential::new("anna", "correct horse").with_field(Field::new("signing-key", "Jefe"));
    vault.put(&anna, &credential, &PutOptions::default()).unwrap();

    let engine = Engine::default();
    let component = Component::new(&engine, build()).unwrap();
    let mut linker = Linker::new(&engine);
    // All that it imports.
    plugin::add_apply_to_linker(&mut linker, |scope: &mut Scope| scope).unwrap();
    let scope = vault.scope("my-plugin", [anna], [Operation::Apply]).only_secrets(["signing-key"]);
    let mut store = Store::new(&engine, scope);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let sign = instance
        .get_typed_func::<(&str, &str), (Result<Vec<u8>, String>,)>(&mut store, "sign")
        .unwrap();

    // RFC 4231, test case 2.
    let (signed,) = sign.call(&mut store, ("anna", "what do ya want for nothing?")).unwrap();
    assert_eq!(signed.unwrap()[..4], [0x5b, 0xdc, 0xc1, 0x46]);
    let (refused,) = sign.call(&mut store, ("bob", "a message")).unwrap();
    assert!(refused.unwrap_err().contains("bob is not in its scope"));
}

/// The manual names the version that the library is built with.
#[test]
fn the_manual_names_the_version_of_wasmtime() {
    let manual = include_str!("../../../docs/plugins.md");
    let workspace = include_str!("../../../../Cargo.toml");
    let line = workspace.lines().find(|line| line.starts_with("wasmtime = ")).unwrap();
    let version = line.split('"').nth(1).unwrap();
    assert!(manual.contains(&format!("wasmtime = {{ version = \"{version}\"")), "{version}");
}
