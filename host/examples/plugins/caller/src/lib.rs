//! A plugin that calls a service in its user's name without ever seeing the password, and tries what else it can get.

#[allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, reason = "generated from wit/")]
mod bindings {
    wit_bindgen::generate!({
        path: ["../../../../wit", "../wit"],
        world: "example:plugins/caller",
        generate_all,
    });
}

use bindings::exports::example::plugins::plugin::{Guest, Task};
use bindings::fossawork::credentials::types::Error;
use bindings::fossawork::credentials::{apply, vault};
use wasip2::http::outgoing_handler;
use wasip2::http::types::{Fields, Method, OutgoingRequest, Scheme};

struct Caller;

impl Guest for Caller {
    fn run(task: Task) -> Vec<String> {
        let Task { user_id, other_user_id, service } = task;
        let signed = apply::hmac_sha256(&user_id, "signing-key", b"a message");
        let by_password = apply::hmac_sha256(&user_id, "password", b"a message");
        let summary = vault::describe(&user_id);
        vec![
            format!("calling the service: {}", ask(&service, Method::Get, "/account", &[])),
            format!("following a redirect: {}", ask(&service, Method::Get, "/redirect", &[])),
            format!("by another method: {}", ask(&service, Method::Delete, "/account", &[])),
            format!("having it echoed: {}", ask(&service, Method::Trace, "/account", &[])),
            format!(
                "in small letters: {}",
                ask(&service, Method::Other("trace".to_owned()), "/account", &[])
            ),
            format!(
                "with a header of its own: {}",
                ask(&service, Method::Get, "/account", &[("authorization", "Bearer forged")])
            ),
            line("signing", signed.map(|mac| format!("{} bytes", mac.tag.len()))),
            line("signing with the password", by_password.map(|mac| format!("{:?}", mac.tag))),
            line("another's name", vault::describe(&other_user_id).map(|found| found.username)),
            line("its own name", summary.map(|found| found.username)),
        ]
    }
}

fn line(what: &str, outcome: Result<String, Error>) -> String {
    match outcome {
        Ok(answer) => format!("{what}: {answer}"),
        Err(error) => format!("{what}: refused ({:?}: {})", error.code, error.message),
    }
}

/// What becomes of a request: the status and the body, or where it was redirected to and what became of that.
fn ask(authority: &str, method: Method, path: &str, headers: &[(&str, &str)]) -> String {
    match send(authority, &method, path, headers) {
        Ok((status, None, body)) if body.is_empty() => format!("status {status}"),
        Ok((status, None, body)) => format!("status {status}, {body:?}"),
        Ok((status, Some(location), _)) => {
            let there = location.trim_start_matches("http://").split_once('/');
            let (authority, path) = there.unwrap_or_default();
            format!("status {status}, then {}", ask(authority, method, &format!("/{path}"), &[]))
        }
        Err(why) => format!("failed ({why})"),
    }
}

/// Sends a request; returns the status, where a redirect leads to, and the body.
fn send(
    authority: &str,
    method: &Method,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<(u16, Option<String>, String), String> {
    let fields = Fields::new();
    for (name, value) in headers {
        fields.append(name, value.as_bytes()).map_err(|error| error.to_string())?;
    }
    let request = OutgoingRequest::new(fields);
    let set = request
        .set_method(method)
        .and_then(|()| request.set_scheme(Some(&Scheme::Http)))
        .and_then(|()| request.set_authority(Some(authority)))
        .and_then(|()| request.set_path_with_query(Some(path)));
    set.map_err(|()| "it is no address".to_owned())?;
    let pending = outgoing_handler::handle(request, None).map_err(|error| error.to_string())?;
    pending.subscribe().block();
    let response = pending.get().and_then(Result::ok).ok_or("there is no answer")?;
    let response = response.map_err(|error| error.to_string())?;
    let location = response.headers().get("location").pop();
    let location = location.and_then(|value| String::from_utf8(value).ok());
    let mut body = Vec::new();
    let content = response.consume().map_err(|()| "the answer has no body".to_owned())?;
    let stream = content.stream().map_err(|()| "the body can't be read".to_owned())?;
    // An error is the end of it, too.
    while let Ok(part) = stream.blocking_read(4096) {
        body.extend(part);
    }
    Ok((response.status(), location, String::from_utf8_lossy(&body).into_owned()))
}

#[allow(unsafe_code, reason = "generated from wit/")]
mod exports {
    use super::Caller;
    crate::bindings::export!(Caller with_types_in crate::bindings);
}
