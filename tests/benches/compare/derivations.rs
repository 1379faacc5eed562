//! One key of version 1.0, which takes 200,000 compressions of SHA-256, one after the other.

use std::process::Command;

use moat_guest_build::cpu_levels;
use moat_test_guests::DERIVATIONS;
use support::benchmark::{Group, Row};
use support::callers::Python;
use support::{KEY, cpu_time, long, tool};
use wasmtime::{Engine, Linker, Module, Store};

/// The functions of the module, and what each shows.
const FUNCTIONS: [(&str, &str); 3] = [
    ("one_by_one", "by the component's own SHA-256"),
    ("in_lanes", "in four lanes"),
    ("by_sha2", "by the crate `sha2`"),
];

/// How many keys are derived at a time.
const KEYS: u32 = 8;

pub(crate) fn group(python: &Python) -> Group {
    let [own_name, lanes_name, crates_name] = FUNCTIONS.map(|(_, name)| name);
    let row = |engine: &str, name: &str, value| Row::new(&format!("{engine}, {name}"), [value]);
    let mut rows = vec![
        row("wasmtime", own_name, None),
        row("wasmtime", lanes_name, None),
        row("wasmtime", crates_name, None),
        row("V8", own_name, None),
        row("V8", lanes_name, None),
        row("V8", crates_name, None),
        row("native Rust", crates_name, None),
        row("Python", "by `hashlib`", None),
    ];
    for _ in 0..if long() { 7 } else { 1 } {
        let wasmtime = in_wasmtime().map(Some);
        let v8 = in_v8().map_or([None; 3], |times| times.map(Some));
        let others = [Some(native()), Some(in_python(python))];
        let times = wasmtime.into_iter().chain(v8).chain(others);
        rows.iter_mut().zip(times).for_each(|(row, time)| row.keep_fastest(time));
    }
    Group {
        name: "derivations".to_owned(),
        title: "Deriving a key of version 1.0".to_owned(),
        unit: "ms of CPU time a key, the fastest".to_owned(),
        columns: vec!["CPU".to_owned()],
        rows,
    }
}

/// The CPU time of deriving one of the keys, in ms.
fn measured(derive: impl FnOnce()) -> f64 {
    let begun = cpu_time();
    derive();
    (cpu_time() - begun).as_secs_f64() * 1e3 / f64::from(KEYS)
}

fn in_wasmtime() -> [f64; 3] {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut loaded = cpu_levels(&target).iter().filter_map(|level| {
        let config = moat_guest_build::config(&target, level.features).unwrap();
        Module::new(&Engine::new(&config).unwrap(), DERIVATIONS).ok()
    });
    let module = loaded.next().unwrap();
    let mut store = Store::new(module.engine(), ());
    store.set_epoch_deadline(1);
    let mut linker = Linker::new(module.engine());
    linker.define_unknown_imports_as_traps(&module).unwrap();
    let instance = linker.instantiate(&mut store, &module).unwrap();
    FUNCTIONS.map(|(function, _)| {
        let derive = instance.get_typed_func::<u32, ()>(&mut store, function).unwrap();
        measured(|| derive.call(&mut store, KEYS).unwrap())
    })
}

/// The same in Node.js, after its compiler has seen the code for a while.
fn in_v8() -> Option<[f64; 3]> {
    let directory = tempfile::tempdir().unwrap();
    let module = directory.path().join("derivations.wasm");
    std::fs::write(&module, DERIVATIONS).unwrap();
    let functions = FUNCTIONS.map(|(function, _)| function);
    let script = format!(
        "import {{ readFileSync }} from 'node:fs';
        const module = new WebAssembly.Module(readFileSync(process.argv[1]));
        const imports = {{}};
        for (const {{ module: from, name }} of WebAssembly.Module.imports(module)) {{
            (imports[from] ??= {{}})[name] = () => {{ throw new Error(name); }};
        }}
        const {{ exports }} = new WebAssembly.Instance(module, imports);
        for (const name of {functions:?}) {{
            exports[name](4);
            // Its compiler is at work in the background for a while.
            await new Promise((resume) => setTimeout(resume, 500));
            const before = process.cpuUsage();
            exports[name]({KEYS});
            const {{ user, system }} = process.cpuUsage(before);
            console.log((user + system) / 1000 / {KEYS});
        }}"
    );
    let mut node: Command = tool("node")?.command();
    let output =
        node.args(["--input-type=module", "--eval", &script]).arg(module).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let times: Vec<f64> = printed.lines().map(|line| line.parse().unwrap()).collect();
    Some(times.try_into().unwrap())
}

fn native() -> f64 {
    measured(|| {
        for number in 0..KEYS {
            let mut key = [0; 32];
            let salt = number.to_be_bytes();
            pbkdf2::pbkdf2_hmac::<sha2::Sha256>(KEY.as_bytes(), &salt, 100_000, &mut key);
            std::hint::black_box(key);
        }
    })
}

fn in_python(python: &Python) -> f64 {
    let script = format!(
        "import hashlib, time\nt = time.process_time()\nfor n in range({KEYS}):\n    \
         hashlib.pbkdf2_hmac('sha256', b'key', n.to_bytes(16, 'big'), 100_000)\n\
         print((time.process_time() - t) * 1000 / {KEYS})"
    );
    let output = python.eval(&script).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}
