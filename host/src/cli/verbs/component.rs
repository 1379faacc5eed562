use std::process::ExitCode;

use moat::{Access, Limits, MAX_FILE_BYTES, Operation, Sandbox, component};
use serde_json::{Map, Value, json};

use crate::ambient;
use crate::cli::args::Component;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output;

pub(crate) fn run(context: &Context, arguments: &Component) -> Result<ExitCode, Failure> {
    if arguments.wit {
        context.output.line(component::WIT.join("\n").trim_end())?;
    } else if let Some(path) = &arguments.out {
        ambient::write_new_file(path, component::BYTES).map_err(|error| {
            let message = format!("writing {}: {error}", path.display());
            Failure::other(message, "name a new file in a directory where you can write")
        })?;
        let text = format!("wrote {} ({} bytes)", path.display(), component::BYTES.len());
        let value = json!({ "file": path.display().to_string(), "digest": component::digest() });
        context.output.done(&output::printable(&text), &value)?;
    } else {
        describe(context)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(context: &Context) -> Result<(), Failure> {
    let sandbox = Sandbox::embedded().map_err(|error| context.explain(&error))?;
    let limits = Limits::default();
    if context.output.json {
        let grants: Map<_, _> = Operation::ALL
            .iter()
            .map(|o| (o.name().to_owned(), granted(o.access()).into()))
            .collect();
        return context.output.value(&json!({
            "digest": component::digest(),
            "size": component::BYTES.len(),
            "compiled_for": sandbox.cpu(),
            "imports": sandbox.imports(),
            "limits": {
                "memory_bytes": limits.memory_bytes,
                "deadline_seconds": limits.deadline.as_secs_f64(),
                "file_bytes": MAX_FILE_BYTES,
            },
            "grants": Value::Object(grants),
        }));
    }
    let mut rows = vec![
        ("digest", format!("sha256:{}", component::digest())),
        ("size", format!("{} bytes", component::BYTES.len())),
        ("compiled for", sandbox.cpu().unwrap_or_default().to_owned()),
    ];
    rows.extend(sandbox.imports().iter().map(|import| ("import", import.clone())));
    rows.extend([
        ("limit", format!("memory: {} MiB a call", limits.memory_bytes / (1024 * 1024))),
        ("limit", format!("deadline: {} s inside the sandbox a call", limits.deadline.as_secs())),
        ("limit", format!("file: {} KiB", MAX_FILE_BYTES / 1024)),
    ]);
    rows.extend(Operation::ALL.iter().map(|operation| {
        let grants = granted(operation.access()).join(", ");
        ("grant", format!("{:15}{grants}", operation.name()))
    }));
    context.output.table(&rows)
}

fn granted(access: Access) -> Vec<&'static str> {
    let grants = [
        (access.read, "read the user's file"),
        (access.write, "write the user's file"),
        (access.remove, "remove the user's file"),
        (access.list, "list the directory"),
        (access.keys, "master keys"),
    ];
    grants.iter().filter(|(granted, _)| *granted).map(|(_, name)| *name).collect()
}
