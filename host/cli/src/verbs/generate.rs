//! `moat generate`: prints a random password.

use std::process::ExitCode;

use serde::ser::{Serialize, SerializeMap, Serializer};
use zeroize::Zeroizing;

use crate::args::Generate;
use crate::context::Context;
use crate::failure::Failure;
use crate::password::Recipe;

pub(crate) fn run(context: &Context, generate: &Generate) -> Result<ExitCode, Failure> {
    let recipe = match generate.words {
        Some(count) => Recipe::Words { count, separator: generate.separator.clone() },
        None => Recipe::characters(generate.length, &generate.classes),
    };
    let password = recipe.password()?;
    if context.output.json {
        context.output.value(&Generated { password, bits: recipe.bits() })?;
    } else {
        context.output.line(&password)?;
        tracing::info!("{} bits", recipe.bits());
    }
    Ok(ExitCode::SUCCESS)
}

struct Generated {
    password: Zeroizing<String>,
    bits: u32,
}

impl Serialize for Generated {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("password", self.password.as_str())?;
        map.serialize_entry("bits", &self.bits)?;
        map.end()
    }
}
