//! A host with two plugins. Each is granted one user's credential, in its own way, and tries to get more.
//!
//! `reader` may read its user's password. `caller` may not: the host adds the `Authorization` header to its requests to
//! one service, on the way out. What each of them is offered is seen below, and nothing else is there to be imported.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

mod service;
mod state;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use http::Method;
use moat::{
    Authorization, AuthorizationScheme, Credential, Directory, Field, KeyRing, MasterKey,
    Operation, Origin, PutOptions, UserId, Vault, plugin,
};
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, Store, WasmCoreDump};

use service::Service;
use state::State;

mod bindings {
    wasmtime::component::bindgen!({
        inline: "
            package example:host;
            world plugin-host {
                export example:plugins/plugin;
            }
        ",
        path: ["../../../wit", "wit"],
        world: "example:host/plugin-host",
    });
}
use bindings::PluginHost;
use bindings::exports::example::plugins::plugin::Task;

const READER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/reader.wasm"));
const CALLER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/caller.wasm"));

const USERNAME: &str = "anna@example.com";
const PASSWORD: &str = "correct horse battery staple";

fn main() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let dir = Dir::open_ambient_dir(&directory, ambient_authority())?;
    let keys = KeyRing::new(MasterKey::new(moat::generate_key()?.as_bytes()));
    let vault = Vault::builder(Directory::new(dir)?, keys).build()?;
    let [anna, bob] = [UserId::parse("anna")?, UserId::parse("bob")?];
    let credential = Credential::new(USERNAME, PASSWORD)
        .with_field(Field::new("signing-key", moat::generate_key()?.as_str()));
    vault.put(&anna, &credential, &PutOptions::default())?;
    vault.put(&bob, &Credential::new("bob", "another password"), &PutOptions::default())?;

    // Plugins run in an engine of the host's own. With a deadline each can be stopped; with the dump that it leaves
    // then, its memory can be looked through.
    let mut config = Config::new();
    config.epoch_interruption(true).coredump_on_trap(true);
    let engine = Engine::new(&config)?;
    let reader = Component::new(&engine, READER)?;
    let caller = Component::new(&engine, CALLER)?;
    let service = Service::start()?;
    let task = |service: &str| Task {
        user_id: anna.to_string(),
        other_user_id: bob.to_string(),
        service: service.to_owned(),
    };

    println!("reader, which may read anna's password twice within a minute:");
    let scope = vault
        .scope("reader", [anna.clone()], [Operation::Reveal, Operation::Users])
        .only_secrets(["password"])
        .uses(2)
        .lasting(Duration::from_secs(60));
    let mut linker = Linker::new(&engine);
    plugin::add_vault_to_linker(&mut linker, State::scope)?;
    plugin::add_reveal_to_linker(&mut linker, State::scope)?;
    let found = run(&engine, &reader, &linker, State::new(scope, Vec::new()), &task(""))?;
    println!("  its memory holds the password {}", times(found));
    ensure!(found > 0, "the search for the password finds nothing where it is");

    println!("caller, which may call the service in anna's name, and sign with a key of hers:");
    let scope = vault
        .scope("caller", [anna.clone()], [Operation::Apply, Operation::Describe])
        .only_secrets(["password", "signing-key"]);
    let authorization = Authorization::new(
        scope.clone(),
        anna.clone(),
        Origin::parse(&format!("http://{}", service.address()))?,
        AuthorizationScheme::Basic,
    )
    .methods([Method::GET]);
    // The header is the host's work; by itself the plugin may use the signing key alone.
    let scope = scope.only_secrets(["signing-key"]);
    let mut linker = Linker::new(&engine);
    plugin::add_vault_to_linker(&mut linker, State::scope)?;
    plugin::add_apply_to_linker(&mut linker, State::scope)?;
    wasmtime_wasi_http::p2::add_to_linker_sync(&mut linker)?;
    let state = State::new(scope.clone(), vec![authorization]);
    let found = run(&engine, &caller, &linker, state, &task(service.address()))?;
    println!("  its memory holds the password {}", times(found));
    ensure!(found == 0, "the plugin has got at the password");

    println!("reader, where `reveal` isn't offered:");
    let mut store = Store::new(&engine, State::new(scope, Vec::new()));
    let refusal = linker.instantiate(&mut store, &reader).err().context("it started")?;
    println!("  {refusal:#}");

    println!("what the services have seen:");
    for line in service.seen() {
        println!("  {line}");
    }
    Ok(())
}

/// Runs a plugin and prints what it reports; then counts how often its memory holds the password, or the header with it.
fn run(
    engine: &Engine,
    component: &Component,
    linker: &Linker<State>,
    state: State,
    task: &Task,
) -> Result<usize> {
    let mut store = Store::new(engine, state);
    store.set_epoch_deadline(1);
    let plugin = PluginHost::instantiate(&mut store, component, linker)?;
    let plugin = plugin.example_plugins_plugin();
    for line in plugin.call_run(&mut store, task)? {
        println!("  {line}");
    }
    engine.increment_epoch();
    let stopped = plugin.call_run(&mut store, task).err().context("it was not stopped")?;
    let dump = stopped.downcast_ref::<WasmCoreDump>().context("it left no dump")?;
    let memories = dump.memories().iter();
    let header = STANDARD.encode(format!("{USERNAME}:{PASSWORD}"));
    let found = memories.flat_map(|memory| {
        let bytes = memory.data(&store);
        [PASSWORD, &header].map(|secret| {
            bytes.windows(secret.len()).filter(|part| *part == secret.as_bytes()).count()
        })
    });
    Ok(found.sum())
}

fn times(count: usize) -> &'static str {
    if count == 0 { "nowhere" } else { "somewhere" }
}
