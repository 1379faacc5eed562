//! The example of a plugin host: what its plugins get, what they are refused, and what went over the wire.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::process::Command;

use snapbox::cmd::OutputAssert;
use snapbox::str;

#[test]
fn plugins_get_what_is_in_their_scope_and_nothing_else() {
    let output = Command::new(env!("CARGO_BIN_EXE_moat-plugin-host")).output().unwrap();
    let manual = include_str!("../../../docs/plugins.md").split("```text\n").nth(1).unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    for line in manual.split("```").next().unwrap().lines() {
        assert!(stdout.lines().any(|printed| printed == line), "the manual says: {line}");
    }
    OutputAssert::new(output).success().stderr_eq("").stdout_eq(str![[r#"
reader, which may read anna's password twice within a minute:
  its own password: a password of 28 characters
  another's password: refused (ErrorCode::Denied: "reader" may not reveal: bob is not in its scope)
  another's file: refused (ErrorCode::Denied: "reader" may not inspect: bob is not in its scope)
  removing its own: refused (ErrorCode::Denied: "reader" may not remove: the operation is not in its scope)
  all users: anna
  the settings: refused (ErrorCode::Denied: "reader" may not configure: the operation concerns the whole directory)
  a path: refused (ErrorCode::InvalidUserId: the user id begins with a dot)
  a third use: refused (ErrorCode::Denied: "reader" may not reveal: it has no uses left)
  its memory holds the password somewhere
caller, which may call the service in anna's name, and sign with a key of hers:
  calling the service: status 200
  following a redirect: status 302, then status 200
  by another method: status 200
  having it echoed: failed (ErrorCode::HttpRequestDenied)
  in small letters: failed (ErrorCode::HttpRequestDenied)
  with a header of its own: failed (HeaderError::Forbidden)
  signing: 32 bytes
  signing with the password: refused (ErrorCode::Denied: "caller" may not apply: the secret is not in its scope)
  another's name: refused (ErrorCode::Denied: "caller" may not describe: bob is not in its scope)
  its own name: anna@example.com
  its memory holds the password nowhere
reader, where `reveal` isn't offered:
  component imports instance `fossawork:credentials/reveal@1.0.0`, but a matching implementation was not found in the linker[..]
what the services have seen:
  the service: GET /account with authorization: Basic YW5uYUBleGFtcGxlLmNvbTpjb3JyZWN0IGhvcnNlIGJhdHRlcnkgc3RhcGxl
  the service: GET /redirect with authorization: Basic YW5uYUBleGFtcGxlLmNvbTpjb3JyZWN0IGhvcnNlIGJhdHRlcnkgc3RhcGxl
  elsewhere: GET /welcome with no authorization
  the service: DELETE /account with no authorization

"#]]);
}
