//! With the compiler built in, another component than the embedded one can be named: by file and digest.

use std::collections::BTreeMap;
use std::sync::Arc;

use moat::{
    Credential, ErrorCode, KeyRing, MasterKey, PutOptions, Sandbox, UserId, Vault, component,
};
use support::{KEY, Store, expect, run, sha256, tests};
use wit_parser::Resolve;

#[test]
fn a_component_named_by_file_and_digest_is_used() {
    let store = Store::new();
    store.put("anna", "horse");
    let file = store.beside("component.wasm");
    // The embedded one under another digest: a custom section more, which means nothing.
    let bytes = [component::BYTES, b"\x00\x02\x01x"].concat();
    std::fs::write(&file, &bytes).unwrap();
    let digest = sha256(&bytes);

    let get = |digest: &str| {
        let arguments = ["get", "anna", "--field", "password", "--component"];
        let mut moat = store.moat(&arguments);
        run(moat.arg(&file).args(["--component-sha256", digest]))
    };
    assert_eq!(expect(0, &get(&digest)).0, "horse\n");
    let (stdout, stderr) = expect(11, &get(component::digest()));
    assert_eq!(stdout, "");
    let message =
        format!("error: this is not the expected component: its SHA-256 is {digest}\nhint: ");
    assert!(stderr.starts_with(&message), "{stderr}");
}

#[test]
fn a_component_is_never_named_by_half() {
    let store = Store::new();
    let digest = component::digest();
    for arguments in [["--component", "component.wasm"], ["--component-sha256", digest]] {
        let (_, stderr) = expect(2, &run(store.moat(&["list"]).args(arguments)));
        assert!(stderr.contains("missing --component"), "{stderr}");
    }
}

#[test]
fn what_is_no_component_is_refused() {
    let error = Sandbox::compile(b"text", &sha256(b"text")).err().unwrap();
    assert_eq!(error.code(), ErrorCode::Sandbox);
    assert_eq!(error.to_string(), "the component can't be compiled");
}

/// As one would that was miscompiled: what it encrypts has a member of another name.
#[test]
fn a_component_that_gives_another_answer_may_not_write() {
    let mut bytes = component::BYTES.to_vec();
    let name = b"last_used";
    let is_name = |place: &usize| bytes[*place..].starts_with(name);
    let places: Vec<usize> = (0..bytes.len()).filter(is_name).collect();
    for place in places {
        bytes[place] = b'L';
    }
    let sandbox = Sandbox::compile(&bytes, &sha256(&bytes)).unwrap();
    let store = Store::new();
    let keys = KeyRing::new(MasterKey::new(KEY.as_bytes()));
    let vault = Vault::builder(store.directory(), keys).sandbox(Arc::new(sandbox)).build().unwrap();

    let anna = UserId::parse("anna").unwrap();
    let credential = Credential::new("anna", "horse");
    let error = vault.put(&anna, &credential, &PutOptions::default()).err().unwrap();
    assert_eq!(error.code(), ErrorCode::Sandbox);
    assert_eq!(error.to_string(), "the component failed its self-test");
    assert!(store.names().is_empty());
}

/// As it is printed, one document is the whole contract.
#[test]
fn the_contract_is_one_document_and_the_same_as_its_files() {
    let store = Store::new();
    let (printed, _) = expect(0, &run(&mut store.moat(&["component", "--wit"])));
    let mut of_document = Resolve::default();
    let package = of_document.push_str("moat.wit", &printed).unwrap();
    let mut of_files = Resolve::default();
    let (folder, _) = of_files.push_dir(tests().join("../wit")).unwrap();

    assert_eq!(printed, component::wit());
    assert_eq!(of_document.packages[package].name, of_files.packages[folder].name);
    let functions = |of: &Resolve| -> BTreeMap<String, Vec<String>> {
        let interfaces = of.interfaces.iter().filter_map(|(id, interface)| {
            Some((of.id_of(id)?, interface.functions.keys().cloned().collect()))
        });
        interfaces.collect()
    };
    assert_eq!(functions(&of_document), functions(&of_files));
    assert_eq!(functions(&of_document)["wasi:random/random@0.2.6"].len(), 2);
    for world in ["credential-vault", "plugin"] {
        let imports = |of: &Resolve, package| -> Vec<String> {
            let world = of.select_world(&[package], Some(world)).unwrap();
            of.worlds[world].imports.keys().map(|key| of.name_world_key(key)).collect()
        };
        assert_eq!(imports(&of_document, package), imports(&of_files, folder), "{world}");
    }
}
