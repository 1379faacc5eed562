//! The sandbox: what the component imports, and what becomes of components that want more than they may.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moat::wasmtime::{Config, Engine};
use moat::{
    Credential, Error, ErrorCode, KeyRing, Limits, MasterKey, PutOptions, Sandbox, UserId, Vault,
    component,
};
use support::{KEY, Store};

/// The five interfaces of the design.
const FIVE: [&str; 5] = [
    "fossawork:credentials/directory@1.0.0",
    "fossawork:credentials/key-cache@1.0.0",
    "fossawork:credentials/master-keys@1.0.0",
    "wasi:clocks/wall-clock@0.2.6",
    "wasi:random/random@0.2.6",
];

fn load(precompiled: &[u8]) -> Result<Sandbox, Error> {
    // SAFETY: the bytes are what `Engine::precompile_component` returned to a build script.
    unsafe { Sandbox::from_precompiled(precompiled) }
}

fn vault_over(store: &Store, guest: &[u8], limits: Limits) -> Vault {
    Vault::builder(store.directory(), KeyRing::new(MasterKey::new(KEY.as_bytes())))
        .sandbox(Arc::new(load(guest).unwrap()))
        .limits(limits)
        .build()
        .unwrap()
}

#[test]
fn the_component_imports_the_five_interfaces_and_nothing_else() {
    assert_eq!(Sandbox::embedded().unwrap().imports(), FIVE);
    assert_eq!(component::ALLOWED_IMPORTS, FIVE);
}

#[test]
fn a_component_that_imports_more_is_refused_before_it_runs() {
    let error = load(moat_test_guests::GREEDY).err().unwrap();
    assert_eq!(error.code(), ErrorCode::Sandbox);
    assert_eq!(
        error.to_string(),
        "the component imports \"test:greedy/environment\", which no component may"
    );
}

/// What the component keeps, the host's own look at the record doesn't stumble over.
#[test]
fn members_that_hardly_any_parser_takes_survive_a_rewrite() {
    let store = Store::new();
    store.put("anna", "secret");
    let odd = format!(r#","a":1e999,"b":"\ud800","c":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    let record = std::fs::read_to_string(store.file("anna")).unwrap();
    std::fs::write(store.file("anna"), record.trim_end_matches('}').to_owned() + &odd).unwrap();
    store.vault(KEY).mark_used(&UserId::parse("anna").unwrap()).unwrap();
    assert!(std::fs::read_to_string(store.file("anna")).unwrap().contains(&odd[..odd.len() - 1]));
}

#[test]
fn what_is_no_compiled_component_is_refused() {
    let error = load(b"not a component").err().unwrap();
    assert_eq!(error.code(), ErrorCode::Sandbox);
}

#[test]
fn a_component_that_traps_is_an_error_and_changes_nothing() {
    let store = Store::new();
    store.put("anna", "horse");
    let vault = vault_over(&store, moat_test_guests::TRAPPING, Limits::default());
    let anna = UserId::parse("anna").unwrap();
    let before = std::fs::read(store.file("anna")).unwrap();
    let credential = Credential::new("anna", "other");
    for error in [
        vault.put(&anna, &credential, &PutOptions::default()).err().unwrap(),
        vault.reveal(&anna).err().unwrap(),
        vault.remove(&anna, None).err().unwrap(),
        vault.users().next().unwrap().err().unwrap(),
        vault.verify(std::slice::from_ref(&anna)).err().unwrap(),
    ] {
        assert_eq!(error.code(), ErrorCode::Sandbox);
        assert!(error.to_string().contains("unreachable"), "{error}");
    }
    assert_eq!(std::fs::read(store.file("anna")).unwrap(), before);
}

#[test]
fn a_component_that_never_returns_is_stopped_at_the_deadline() {
    let store = Store::new();
    let mut limits = Limits::default();
    limits.deadline = Duration::from_millis(200);
    let vault = vault_over(&store, moat_test_guests::ENDLESS, limits);
    let begun = Instant::now();
    let error = vault.inspect(&UserId::parse("anna").unwrap()).err().unwrap();
    assert_eq!(error.code(), ErrorCode::Sandbox);
    assert!(error.to_string().ends_with("it ran past its deadline"), "{error}");
    assert!(begun.elapsed() >= limits.deadline);
}

#[test]
fn a_component_that_wants_more_memory_than_its_limit_is_stopped() {
    let store = Store::new();
    let vault = vault_over(&store, moat_test_guests::HUNGRY, Limits::default());
    let error = vault.inspect(&UserId::parse("anna").unwrap()).err().unwrap();
    assert_eq!(error.code(), ErrorCode::Sandbox);
    assert!(error.to_string().ends_with("it asked for more memory than its limit"), "{error}");
}

#[test]
fn the_real_component_is_stopped_by_the_same_limits() {
    let store = Store::new();
    store.put("anna", "horse");
    let mut limits = Limits::default();
    limits.memory_bytes = 64 * 1024;
    let keys = KeyRing::new(MasterKey::new(KEY.as_bytes()));
    let vault = Vault::builder(store.directory(), keys).limits(limits).build().unwrap();
    let error = vault.reveal(&UserId::parse("anna").unwrap()).err().unwrap();
    assert_eq!(error.code(), ErrorCode::Sandbox);
}

/// A record that no key of a long ring decrypts is slow to refuse: that is no fault of the component.
#[test]
fn a_long_ring_has_as_much_more_time() {
    let store = Store::new();
    let key =
        |number: u32| MasterKey::new(format!("a key that may be guessed, {number}").as_bytes());
    let ring = |keys: std::ops::Range<u32>| {
        let [first, others @ ..] = &*keys.map(key).collect::<Vec<_>>() else { panic!("no key") };
        others.iter().cloned().fold(KeyRing::new(first.clone()), KeyRing::with_other)
    };
    let anna = UserId::parse("anna").unwrap();
    let right = Vault::builder(store.directory(), ring(0..1)).build().unwrap();
    right.configure(Some("2.0"), None).unwrap();
    right.put(&anna, &Credential::new("anna", "horse"), &PutOptions::default()).unwrap();

    let refuse = |keys, limits| {
        let vault = Vault::builder(store.directory(), ring(keys)).limits(limits).build().unwrap();
        let begun = Instant::now();
        let code = vault.reveal(&anna).err().unwrap().code();
        (code, begun.elapsed())
    };
    let (code, once) = refuse(1..2, Limits::default());
    assert_eq!(code, ErrorCode::WrongKeyOrTampered);
    let mut limits = Limits::default();
    limits.deadline = 2 * once;
    assert_eq!(refuse(1..7, limits).0, ErrorCode::WrongKeyOrTampered);
}

#[test]
fn threads_share_a_vault() {
    let store = Store::new();
    let vault = store.vault(KEY);
    std::thread::scope(|scope| {
        for n in 0..4 {
            let vault = vault.clone();
            scope.spawn(move || {
                let user = UserId::parse(&format!("user{n}")).unwrap();
                let password = format!("password {n}");
                vault
                    .put(&user, &Credential::new("x", &*password), &PutOptions::default())
                    .unwrap();
                for _ in 0..20 {
                    assert_eq!(
                        vault.reveal(&user).unwrap().credential().expose_password(),
                        password
                    );
                }
            });
        }
    });
    assert_eq!(vault.users().count(), 4);
}

/// One engine runs the code where it is, and leaves it as it was when it goes.
#[test]
fn engines_come_and_go_side_by_side() {
    let engines = [(); 3].map(|()| Sandbox::embedded().unwrap());
    engines.iter().for_each(|sandbox| sandbox.self_test().unwrap());
    let [first, second, third] = engines;
    drop(first);
    second.try_to_store_in_the_clear().unwrap();
    Sandbox::embedded().unwrap().self_test().unwrap();
    drop(second);
    third.try_to_store_in_the_clear().unwrap();
}

#[test]
fn an_embedders_own_engine_will_do_if_it_protects_its_memory() {
    let store = Store::new();
    let (mut config, protection) = Sandbox::config();
    config.native_unwind_info(true).wasm_simd(true).wasm_multi_memory(true);
    let engine = Engine::new(&config).unwrap();
    let sandbox = Sandbox::in_engine(&engine, &protection).unwrap();
    let keys = KeyRing::new(MasterKey::new(KEY.as_bytes()));
    let builder = Vault::builder(store.directory(), keys).sandbox(Arc::new(sandbox));
    let (vault, anna) = (builder.build().unwrap(), UserId::parse("anna").unwrap());
    vault.put(&anna, &Credential::new("anna", "horse"), &PutOptions::default()).unwrap();
    assert_eq!(store.vault(KEY).reveal(&anna).unwrap().credential().expose_password(), "horse");

    let refused = |engine: &Engine, why: &str| {
        let error = Sandbox::in_engine(engine, &protection).err().unwrap();
        assert_eq!(error.code(), ErrorCode::Sandbox);
        assert!(error.to_string().contains(why), "{error}");
    };
    refused(&Engine::default(), "can't be loaded in this engine");
    // The settings that compiled code needs, and no more.
    let mut config = Config::new();
    config.epoch_interruption(true).memory_init_cow(false).concurrency_support(false);
    config.memory_reservation(0).memory_guard_size(0);
    refused(&Engine::new(&config).unwrap(), "without the protection of its memories");
}
