//! Makes the components: dummies of the contract, in which every function has the same body.

#![allow(clippy::print_stdout, reason = "how cargo is told")]

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::Result;
use wasmtime::Engine;
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve};

#[path = "../../host/src/sandbox/engine.rs"]
mod engine;

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

fn main() -> Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../..");
    for input in ["wit", "host/src/sandbox/engine.rs"] {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    let trap = "unreachable";
    let contract = "fossawork:credentials/credential-vault@1.0.0";
    for (name, world, body) in [
        ("greedy", "test:greedy/greedy", trap),
        ("trapping", contract, trap),
        ("endless", contract, "loop br 0 end unreachable"),
        ("hungry", contract, "i32.const 1024 memory.grow drop unreachable"),
    ] {
        let component = component(&root, world, body)?;
        let mut config = engine::config();
        config.target(&env::var("TARGET")?)?;
        let precompiled = Engine::new(&config)?.precompile_component(&component)?;
        let out = PathBuf::from(env::var("OUT_DIR")?);
        fs::write(out.join(name).with_extension("cwasm"), precompiled)?;
    }
    Ok(())
}

/// A component of this world, every function of which has this body.
fn component(root: &Path, world: &str, body: &str) -> Result<Vec<u8>> {
    let mut resolve = Resolve::default();
    let (contract, _) = resolve.push_dir(root.join("wit"))?;
    let greedy = resolve.push_str("greedy.wit", GREEDY)?;
    let world = resolve.select_world(&[contract, greedy], Some(world))?;
    let module = dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    let text = wasmprinter::print_bytes(&module)?.replace("unreachable", body);
    let mut module = wat::parse_str(text)?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    ComponentEncoder::default().module(&module)?.validate(true).encode()
}
