//! Makes the components: dummies of the contract, in which every function has the same body, and the hostile
//! guest, which is built like the real one. And hostile parts, to be joined with real ones, and the module of a benchmark.

#![allow(clippy::print_stdout, reason = "how a build script instructs cargo")]

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result};
use wasmparser::WasmFeatures;
use wasmtime::Engine;
use wit_component::{StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve};

const CONTRACT: &str = "fossawork:credentials/credential-vault@1.0.0";

/// The contract, and one import more.
const GREEDY: &str = "
    package test:greedy;
    world greedy {
        include fossawork:credentials/credential-vault@1.0.0;
        import environment;
    }
    interface environment {
        get: func() -> list<tuple<string, string>>;
    }
";

/// The dummies: name, world, the body of every function, and further parts of the module.
const DUMMIES: [(&str, &str, &str, &str); 8] = [
    ("greedy", "test:greedy/greedy", "unreachable", ""),
    ("trapping", CONTRACT, "unreachable", ""),
    ("endless", CONTRACT, "loop br 0 end unreachable", ""),
    ("hungry", CONTRACT, "i32.const 1024 memory.grow drop unreachable", ""),
    (
        "spreading",
        CONTRACT,
        "loop ref.null func i32.const 1000 table.grow $spread drop br 0 end unreachable",
        "(table $spread 1 funcref)",
    ),
    ("born-endless", CONTRACT, "unreachable", "(func $begin loop br 0 end) (start $begin)"),
    ("born-trapping", CONTRACT, "unreachable", "(func $begin unreachable) (start $begin)"),
    ("born-spread", CONTRACT, "unreachable", "(table 1000000 funcref)"),
];

/// Dummies that make more instances, memories or tables than one: name, what each has, how many.
const CROWDS: [(&str, &str, usize); 3] = [
    ("many-instances", "", 9),
    ("many-memories", "(memory 1)", 3),
    ("many-tables", "(table 1 funcref)", 5),
];

fn main() -> Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../..").canonicalize()?;
    for input in
        ["Cargo.toml", "Cargo.lock", "wit", "guest/wit", "guest/keys/src", "guest/format/src"]
    {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    for guest in ["derivations", "hostile", "keys", "records"] {
        println!("cargo::rerun-if-changed={}", root.join("tests/guests").join(guest).display());
    }
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut config = moat_guest_build::config(&env::var("TARGET")?, &[])?;
    let engine = Engine::new(&config)?;
    // Growing a table is of a proposal that is off.
    let wider = Engine::new(config.wasm_features(WasmFeatures::REFERENCE_TYPES, true))?;
    let save = |name: &str, component: Vec<u8>| -> Result<()> {
        let engine = if name == "spreading" { &wider } else { &engine };
        let precompiled = engine.precompile_component(&component)?;
        Ok(fs::write(out.join(name).with_extension("cwasm"), precompiled)?)
    };
    for (name, world, body, parts) in DUMMIES {
        let component = component(&root, world, |dummy| {
            let text = wasmprinter::print_bytes(dummy)?.replace("unreachable", body);
            with_parts(&text, parts)
        });
        save(name, component?)?;
    }
    let dummy = wasmprinter::print_bytes(component(&root, CONTRACT, |dummy| Ok(dummy.to_vec()))?)?;
    for (name, part, count) in CROWDS {
        let instances = "(core instance (instantiate $more))".repeat(count);
        save(name, with_parts(&dummy, &format!("(core module $more {part}) {instances}"))?)?;
    }
    let module = |package: &str| moat_guest_build::module(package, &root, &out.join("guests"));
    for part in ["keys", "records"] {
        let part_component =
            moat_guest_build::component(&module(&format!("moat-hostile-{part}"))?)?;
        fs::write(out.join(part).with_extension("wasm"), part_component)?;
    }
    fs::write(out.join("derivations.wasm"), module("moat-derivations")?)?;
    let hostile = component(&root, CONTRACT, |_| module("moat-hostile-guest"))?;
    fs::write(out.join("hostile.wasm"), &hostile)?;
    save("hostile", hostile)
}

/// The module or component of this text, with further parts.
fn with_parts(text: &str, parts: &str) -> Result<Vec<u8>> {
    let (text, _) = text.trim_end().rsplit_once(')').context("the end of the text")?;
    Ok(wat::parse_str(format!("{text} {parts})"))?)
}

/// A component of this world, with a module made from a dummy of it.
fn component(
    root: &Path,
    world: &str,
    module: impl FnOnce(&[u8]) -> Result<Vec<u8>>,
) -> Result<Vec<u8>> {
    let mut resolve = Resolve::default();
    let (contract, _) = resolve.push_dir(root.join("wit"))?;
    let greedy = resolve.push_str("greedy.wit", GREEDY)?;
    let world = resolve.select_world(&[contract, greedy], Some(world))?;
    let mut module = module(&dummy_module(&resolve, world, ManglingAndAbi::Standard32))?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    moat_guest_build::component(&module)
}
