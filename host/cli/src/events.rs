//! Log events on standard error: warnings, and more with `-v`.

use std::fmt::{self, Write as _};

use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;

use super::style;

/// Starts showing events: warnings; with `-v` the main steps; with `-vv` every call into the sandbox.
pub(super) fn show(verbose: u8, quiet: bool, json: bool) {
    let level = match (quiet, verbose) {
        (true, _) => Level::ERROR,
        (false, 0) => Level::WARN,
        (false, 1) => Level::INFO,
        (false, _) => Level::DEBUG,
    };
    // Fails only if a subscriber is already set, and this is the only one.
    let _ =
        tracing::subscriber::set_global_default(Registry::default().with(Printer { level, json }));
}

struct Printer {
    level: Level,
    json: bool,
}

impl<S: Subscriber> Layer<S> for Printer {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        // Not errors: the program reports those itself when it ends.
        let level = *metadata.level();
        level != Level::ERROR && level <= self.level && metadata.target().starts_with("moat")
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        let text = text.message + &text.fields;
        let level = match *event.metadata().level() {
            Level::WARN => "warning",
            Level::INFO => "info",
            _ => "debug",
        };
        if self.json {
            style::print_json(&json!({ level: { "message": text } }));
        } else {
            let style = if level == "warning" { style::YELLOW } else { style::BOLD };
            style::print_message(style, level, &text);
        }
    }
}

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string doesn't fail.
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
    }
}
