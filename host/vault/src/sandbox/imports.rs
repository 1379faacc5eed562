//! What a component may import: few enough interfaces to read in one breath.

use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use crate::component::ALLOWED_IMPORTS;
use crate::contract::ErrorCode;
use crate::error::Error;

/// The component's imports, sorted; interfaces that hold types alone are left out. Fails when there is one
/// that is not allowed.
pub(crate) fn checked(engine: &Engine, component: &Component) -> Result<Vec<String>, Error> {
    let mut imports = Vec::new();
    for (name, import) in component.component_type().imports(engine) {
        if holds_types_alone(engine, &import.ty) {
            continue;
        }
        if !ALLOWED_IMPORTS.contains(&name) {
            let message = format!("the component imports {name:?}, which no component may");
            return Err(Error::new(ErrorCode::Sandbox, message));
        }
        imports.push(name.to_owned());
    }
    imports.sort();
    Ok(imports)
}

fn holds_types_alone(engine: &Engine, item: &ComponentItem) -> bool {
    match item {
        ComponentItem::Type(_) => true,
        ComponentItem::ComponentInstance(instance) => {
            instance.exports(engine).all(|(_, export)| matches!(export.ty, ComponentItem::Type(_)))
        }
        _ => false,
    }
}
