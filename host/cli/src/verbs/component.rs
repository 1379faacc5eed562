//! `moat component`: shows or exports the sandboxed component.

use std::process::ExitCode;

use moat::component::{Import, Part as ComponentPart};
use moat::{Limits, MAX_FILE_BYTES, Operation, Sandbox, component};
use serde_json::{Map, Value, json};

use crate::ambient;
use crate::args::Component;
use crate::confinement::{self, Part};
use crate::context::Context;
use crate::failure::Failure;

pub(crate) fn run(context: &Context, arguments: &Component) -> Result<ExitCode, Failure> {
    if arguments.wit {
        context.output.line(component::wit().trim_end())?;
    } else if let Some(path) = &arguments.out {
        component::check().map_err(|error| context.explain(&error))?;
        ambient::write_new_file(path, component::BYTES).map_err(|error| {
            let message = format!("writing {}: {error}", path.display());
            Failure::other(message, "choose a new file in a directory that you can write to")
        })?;
        let text = format!("wrote {} ({} bytes)", path.display(), component::BYTES.len());
        let value = json!({ "file": path.display().to_string(), "digest": component::digest() });
        context.output.done(&text, &value)?;
    } else {
        describe(context)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(context: &Context) -> Result<(), Failure> {
    let failed = |error| context.explain(&error);
    component::check().map_err(failed)?;
    let sandbox = Sandbox::embedded().map_err(failed)?;
    let [dumps, swap] = [confinement::forbid_dumps(), confinement::lock_memory()];
    let confinement = context.confine(&[])?;
    context.require(&confinement)?;
    let [files, system_calls] = confinement;
    sandbox.self_test().map_err(failed)?;
    let memory = if sandbox.locks_memory() {
        Part::InForce("the sandbox's memory is locked, never dumped, and wiped".to_owned())
    } else {
        let limit = "the sandbox's memory is wiped, but `ulimit -l` is too low to lock it";
        Part::Missing(limit.to_owned())
    };
    let confinement = [dumps, swap, memory, files, system_calls];

    let limits = limits();
    if context.output.json {
        let limits: Map<_, _> = limits
            .iter()
            .map(|(name, number, unit)| {
                let name = format!("{name} {unit}");
                (name.trim_end().replace(' ', "_"), json!(number))
            })
            .collect();
        let grants: Map<_, _> = Operation::ALL
            .iter()
            .map(|o| (o.name().to_owned(), o.access().names().into()))
            .collect();
        let parts: Map<_, _> = component::PARTS
            .iter()
            .map(|part| (part.name.to_owned(), imports(part).into()))
            .collect();
        let confinement: Vec<_> = confinement
            .iter()
            .map(|part| json!({ "in_force": part.is_in_force(), "what": part.to_string() }))
            .collect();
        return context.output.value(&json!({
            "digest": component::digest(),
            "size": component::BYTES.len(),
            "compiled_for": sandbox.cpu(),
            "self_test": "passed",
            "imports": sandbox.imports(),
            "parts": parts,
            "limits": Value::Object(limits),
            "grants": Value::Object(grants),
            "confinement": confinement,
        }));
    }
    let mut rows = vec![
        ("digest", format!("sha256:{}", component::digest())),
        ("size", format!("{} bytes", component::BYTES.len())),
        ("compiled for", sandbox.cpu().unwrap_or_default().to_owned()),
        ("self-test", "passed".to_owned()),
    ];
    rows.extend(sandbox.imports().iter().map(|import| ("import", import.clone())));
    rows.extend(component::PARTS.iter().flat_map(|part| {
        imports(part).into_iter().map(|import| ("part", format!("{:15}{import}", part.name)))
    }));
    rows.extend(limits.iter().map(|(name, number, unit)| {
        let limit = format!("{name:15}{number} {unit}");
        ("limit", limit.trim_end().to_owned())
    }));
    rows.extend(Operation::ALL.iter().map(|operation| {
        let grants = operation.access().names().join(", ");
        ("grant", format!("{:15}{grants}", operation.name()))
    }));
    rows.extend(confinement.iter().map(|part| ("confinement", part.to_string())));
    context.output.table(&rows)
}

/// What a part of the component imports.
fn imports(part: &ComponentPart) -> Vec<String> {
    let import = |import: &Import| match import.part {
        None => import.interface.to_owned(),
        Some(part) => format!("{} from {part}", import.interface),
    };
    part.imports.iter().map(import).collect()
}

/// The limits: what is limited, the number, and its unit, if any.
fn limits() -> [(&'static str, u64, &'static str); 12] {
    let limits = Limits::default();
    [
        ("memory", limits.memory_bytes as u64, "bytes"),
        ("deadline", limits.deadline.as_secs(), "seconds"),
        ("host calls", limits.host_calls.into(), ""),
        ("host traffic", limits.host_bytes, "bytes"),
        ("stack", Limits::STACK_BYTES as u64, "bytes"),
        ("value", Limits::VALUE_BYTES as u64, "bytes"),
        ("random request", Limits::RANDOM_BYTES, "bytes"),
        ("instances", Limits::INSTANCES as u64, ""),
        ("memories", Limits::MEMORIES as u64, ""),
        ("tables", Limits::TABLES as u64, ""),
        ("table", Limits::TABLE_ELEMENTS as u64, "elements"),
        ("file", MAX_FILE_BYTES as u64, "bytes"),
    ]
}
