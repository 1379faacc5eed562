//! A plugin that is to read one user's password, and tries what else it can get.

#[allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, reason = "generated from wit/")]
mod bindings {
    wit_bindgen::generate!({
        path: ["../../../../wit", "../wit"],
        world: "example:plugins/reader",
        generate_all,
    });
}

use bindings::exports::example::plugins::plugin::{Guest, Task};
use bindings::fossawork::credentials::reveal::reveal;
use bindings::fossawork::credentials::types::Error;
use bindings::fossawork::credentials::vault;

struct Reader;

impl Guest for Reader {
    fn run(task: Task) -> Vec<String> {
        let Task { user_id, other_user_id, .. } = task;
        let read = |user: &str| {
            reveal(user).map(|revealed| {
                let length = revealed.credential.password.chars().count();
                // It keeps what it has read, as a plugin may.
                std::mem::forget(revealed);
                format!("a password of {length} characters")
            })
        };
        vec![
            line("its own password", read(&user_id)),
            line("another's password", read(&other_user_id)),
            line("another's file", vault::inspect(&other_user_id).map(|file| file.revision)),
            line("removing its own", vault::remove(&user_id, None).map(|_| "gone".to_owned())),
            line("all users", vault::users(None, 100).map(|page| page.user_ids.join(", "))),
            line(
                "the settings",
                vault::configure(Some("2.0"), None, None).map(|_| "changed".to_owned()),
            ),
            line("a path", read("../../etc/passwd")),
            line("a third use", read(&user_id)),
        ]
    }
}

fn line(what: &str, outcome: Result<String, Error>) -> String {
    match outcome {
        Ok(answer) => format!("{what}: {answer}"),
        Err(error) => format!("{what}: refused ({:?}: {})", error.code, error.message),
    }
}

#[allow(unsafe_code, reason = "generated from wit/")]
mod exports {
    use super::Reader;
    crate::bindings::export!(Reader with_types_in crate::bindings);
}
