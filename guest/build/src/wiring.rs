//! Which part of a component gets which import.

use anyhow::{Context, Result, bail};
use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentInstance, Encoding, Parser, Payload,
};

/// A part of a component: a component in it that it makes an instance of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it imports, and where that comes from, sorted by name.
    pub imports: Vec<(String, Source)>,
    /// The part itself, a whole component.
    pub component: Vec<u8>,
}

/// Where an import of a part comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// From the host.
    Host,
    /// From the part at this place.
    Part(usize),
}

/// The parts of a component that was [`composed`](crate::composed), each after those that it gets something from.
/// Fails when these bytes are no component, or one that joins its parts in another way.
fn parts(component: &[u8]) -> Result<Vec<Part>> {
    let mut nested = Vec::new();
    let mut parts: Vec<Part> = Vec::new();
    // Where each instance of the outermost component comes from, by its index.
    let mut instances = Vec::new();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                bail!("it is a module, not a component")
            }
            Payload::ComponentSection { unchecked_range, .. } => {
                if depth == 0 {
                    nested.push(component.get(unchecked_range).context("a cut-off part")?);
                }
                depth += 1;
            }
            Payload::ModuleSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            Payload::ComponentImportSection(imports) => {
                for import in imports {
                    if import?.ty.kind() == ComponentExternalKind::Instance {
                        instances.push(Source::Host);
                    }
                }
            }
            Payload::ComponentAliasSection(aliases) => {
                for alias in aliases {
                    if let ComponentAlias::InstanceExport {
                        kind: ComponentExternalKind::Instance,
                        instance_index,
                        ..
                    } = alias?
                    {
                        instances.push(at(&instances, instance_index)?);
                    }
                }
            }
            Payload::ComponentExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    if export.kind == ComponentExternalKind::Instance {
                        instances.push(at(&instances, export.index)?);
                    }
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section {
                    let ComponentInstance::Instantiate { component_index, args } = instance? else {
                        bail!("it puts together an instance of its own")
                    };
                    let mut imports = args
                        .iter()
                        .filter(|argument| argument.kind == ComponentExternalKind::Instance)
                        .map(|argument| {
                            Ok((argument.name.to_owned(), at(&instances, argument.index)?))
                        })
                        .collect::<Result<Vec<_>>>()?;
                    imports.sort();
                    instances.push(Source::Part(parts.len()));
                    parts.push(Part { imports, component: at(&nested, component_index)?.to_vec() });
                }
            }
            _ => {}
        }
    }
    Ok(parts)
}

fn at<T: Copy>(items: &[T], index: u32) -> Result<T> {
    let index = usize::try_from(index)?;
    items.get(index).copied().context("an index that leads nowhere")
}

/// The names of the [`vault_parts`].
pub const PARTS: [&str; 2] = ["keys", "records"];

/// The parts of a [`vault_component`](crate::vault_component): the first has the master keys and derived ones, and nothing
/// else; the second has everything else, and keys only from the first.
///
/// # Errors
///
/// When these bytes are no component of such parts, or a part gets another import than it should.
pub fn vault_parts(component: &[u8]) -> Result<[Part; 2]> {
    const KEYS: [(&str, Source); 3] = [
        ("fossawork:credentials/key-cache@1.0.0", Source::Host),
        ("fossawork:credentials/master-keys@1.0.0", Source::Host),
        ("fossawork:credentials/types@1.0.0", Source::Host),
    ];
    const RECORDS: [(&str, Source); 5] = [
        ("fossawork:credentials/directory@1.0.0", Source::Host),
        ("fossawork:credentials/types@1.0.0", Source::Host),
        ("moat:parts/user-keys@1.0.0", Source::Part(0)),
        ("wasi:clocks/wall-clock@0.2.6", Source::Host),
        ("wasi:random/random@0.2.6", Source::Host),
    ];
    let has = |part: &Part, expected: &[(&str, Source)]| {
        let imports = part.imports.iter().map(|(name, source)| (name.as_str(), *source));
        imports.eq(expected.iter().copied())
    };
    let parts = parts(component)?;
    let is_so = matches!(&parts[..], [keys, records] if has(keys, &KEYS) && has(records, &RECORDS));
    let imports: Vec<_> = parts.iter().map(|part| part.imports.clone()).collect();
    parts.try_into().ok().filter(|_| is_so).with_context(|| {
        format!("the parts of the component are joined in another way: {imports:?}")
    })
}
