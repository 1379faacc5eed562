//! Values are exact on every way in and every way out.

use std::fs;
use std::process::Command;

use support::callers::python;
use support::{MOAT, Store, expect, run, run_with_input};

/// All of ASCII, and of what follows: controls, what hides or turns text, marks, private and unassigned characters, the
/// last of each length in UTF-8, in an order in which none could be taken for the end of a line.
pub fn every_kind_of_character() -> String {
    let ascii = ('\0'..='\x7f').rev();
    let others = [
        '\u{80}',
        '\u{85}',
        '\u{9b}',
        '\u{a0}',
        '\u{ad}',
        '\u{301}',
        '\u{61c}',
        '\u{7ff}',
        '\u{800}',
        '\u{200b}',
        '\u{200d}',
        '\u{2028}',
        '\u{202e}',
        '\u{feff}',
        '\u{fffd}',
        '\u{fffe}',
        '\u{ffff}',
        '\u{1f511}',
        '\u{e0041}',
        '\u{10ffff}',
    ];
    ascii.chain(others).chain("\"\\ {{ moat://anna/x }} ${X} $(x) `x` %s \r.".chars()).collect()
}

/// Values without NUL, which neither an argument nor a variable can hold.
fn values() -> Vec<String> {
    let all = every_kind_of_character();
    let ends = ["", " ", "\n", "\r\n", "\n\n", "-", "=", "a=b", "\u{feff}x", "x\u{301}"];
    let mut values: Vec<String> = ends.iter().map(|end| (*end).to_owned()).collect();
    values.push(all.replace('\0', ""));
    values
}

fn store() -> Store {
    let store = Store::new();
    store.put("anna", "horse");
    store
}

/// A field of anna's, as another program gets it through a pipe.
fn read(store: &Store, field: &str) -> String {
    let output = run(&mut store.moat(&["get", "anna", "-n", "--field", field]));
    expect(0, &output);
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_value_is_stored_as_it_is_given_on_every_way_in() {
    let store = store();
    let set = |arguments: &[&str], input: &str| {
        let arguments = [&["set", "anna"], arguments].concat();
        expect(0, &run_with_input(&mut store.moat(&arguments), input));
    };
    let mut all = values();
    all.push(every_kind_of_character());
    for value in &all {
        let line = format!("{value}\n");
        if !value.contains('\0') {
            set(&["--field", &format!("argument={value}")], "");
            assert_eq!(&read(&store, "argument"), value);
        }
        set(&["--field-stdin", "input"], &line);
        assert_eq!(&read(&store, "input"), value);
        fs::write(store.beside("file"), &line).unwrap();
        set(&["--field-file", &format!("file={}", store.beside("file").display())], "");
        assert_eq!(&read(&store, "file"), value);
        let document = serde_json::json!({ "username": value, "password": format!("x{value}"), "fields": { "json": value } });
        set(&["--json-stdin"], &document.to_string());
        for (field, expected) in
            [("json", value), ("username", value), ("password", &format!("x{value}"))]
        {
            assert_eq!(&read(&store, field), expected, "{field}");
        }
        set(&["--password-stdin"], &format!("{line}x\n"));
        assert_eq!(read(&store, "password"), format!("{line}x"));
        let mut shell = Command::new("sh");
        let script = "exec \"$0\" set anna --field-fd descriptor=7 7< \"$1\"";
        store.surround(&mut shell).args(["-c", script, &MOAT]).arg(store.beside("file"));
        expect(0, &run(&mut shell));
        assert_eq!(&read(&store, "descriptor"), value);
        // And under another user id.
        expect(0, &run(&mut store.moat(&["copy", "anna", "bob"])));
        expect(0, &run(&mut store.moat(&["delete", "anna"])));
        expect(0, &run(&mut store.moat(&["rename", "bob", "anna"])));
        for field in ["input", "file", "json", "descriptor"] {
            assert_eq!(&read(&store, field), value, "{field}");
        }
    }
}

#[test]
fn a_value_leaves_as_it_is_stored_on_every_way_out() {
    let store = store();
    for value in values() {
        let document = serde_json::json!({ "fields": { "x": value } });
        let mut set = store.moat(&["set", "anna", "--json-stdin"]);
        expect(0, &run_with_input(&mut set, &document.to_string()));
        let out = |arguments: &[&str]| {
            let output = run(&mut store.moat(arguments));
            expect(0, &output);
            String::from_utf8(output.stdout).unwrap()
        };
        assert_eq!(out(&["get", "anna", "--field", "x"]), format!("{value}\n"));
        assert_eq!(out(&["get", "anna", "-n", "--field", "x", "--field", "x"]), value.repeat(2));
        let json = |text: String| serde_json::from_str::<serde_json::Value>(&text).unwrap();
        assert_eq!(json(out(&["get", "anna", "--field", "x", "--json"]))["x"], value);
        assert_eq!(json(out(&["get", "anna", "--reveal", "--json"]))["fields"]["x"], value);
        let script = "printf %s \"$MOAT_X\"";
        assert_eq!(out(&["exec", "anna", "--", "sh", "-c", script]), value);
        let named = ["exec", "--env", "X=anna:x", "--", "sh", "-c", "printf %s \"$X\""];
        assert_eq!(out(&named), value);
        let template = "a{{ moat://anna/x }}{{moat://anna/x}}{{ .Other }}\n";
        let filled = run_with_input(&mut store.moat(&["inject"]), template);
        let expected = format!("a{value}{value}{{{{ .Other }}}}\n");
        assert_eq!(String::from_utf8(filled.stdout).unwrap(), expected);
    }
}

#[test]
fn what_is_not_text_is_exact_in_base64() {
    let store = store();
    let bytes: Vec<u8> = (0..=255).chain([b'\n']).collect();
    let path = store.beside("binary");
    fs::write(&path, &bytes).unwrap();
    let file = format!("b={}", path.display());
    let (_, stderr) = expect(2, &run(&mut store.moat(&["set", "anna", "--field-file", &file])));
    assert!(stderr.contains("is not UTF-8 text") && stderr.contains("--base64"), "{stderr}");
    expect(0, &run(&mut store.moat(&["set", "anna", "--base64", "--field-file", &file])));
    let output = run(&mut store.moat(&["get", "anna", "--base64", "--field", "b"]));
    assert_eq!(output.stdout, bytes);
    let (_, stderr) =
        expect(2, &run(&mut store.moat(&["get", "anna", "--base64", "--field", "password"])));
    assert!(stderr.contains("is not in base64"), "{stderr}");
}

#[test]
fn a_list_in_a_pipe_is_exact() {
    let store = Store::new();
    for user in ["a\u{200b}b", "é", "e\u{301}", "x y"] {
        store.put(user, "horse");
    }
    let (stdout, _) = expect(0, &run(&mut store.moat(&["list"])));
    assert_eq!(stdout, "a\u{200b}b\ne\u{301}\nx y\né\n");
}

#[test]
fn what_the_document_is_not_is_said_without_quoting_it() {
    let store = store();
    let before = fs::read(store.file("anna")).unwrap();
    for (document, message) in [
        (
            r#"{"username":"u","password":"canary","user":"x"}"#,
            "not as expected (line 1, column 42)",
        ),
        (r#"{"username":"u","password":["canary"]}"#, "not as expected"),
        (r#""canary""#, "not as expected"),
        (r#"{"username":"u","password":"canary","password":"canary"}"#, "not as expected"),
        (r#"{"username":"u"}"#, "has no \"password\""),
        (r#"{"password":"canary"}"#, "has no \"username\""),
        (r#"{"username":"u","password":""}"#, "the password is empty"),
        (
            r#"{"username":"u","password":"canary","fields":{"a":"1","a":"2"}}"#,
            "a field is given twice",
        ),
        ("", "not as expected (line 1, column 0)"),
    ] {
        let mut put = store.moat(&["put", "anna", "--json-stdin"]);
        let (_, stderr) = expect(2, &run_with_input(&mut put, document));
        assert!(stderr.contains(message) && !stderr.contains("canary"), "{document}: {stderr}");
    }
    let mut put = store.moat(&["put", "anna", "--json-stdin", "--username", "x"]);
    let document = r#"{"username":"u","password":"canary"}"#;
    let (_, stderr) = expect(2, &run_with_input(&mut put, document));
    assert!(stderr.contains("given twice"), "{stderr}");
    assert_eq!(fs::read(store.file("anna")).unwrap(), before);
}

#[test]
fn no_source_of_a_value_is_read_halfway() {
    let store = store();
    let before = fs::read(store.file("anna")).unwrap();
    fs::write(store.beside("huge"), vec![b'x'; 70_000]).unwrap();
    let huge = format!("x={}", store.beside("huge").display());
    let missing = format!("x={}", store.beside("missing").display());
    let directory = format!("x={}", store.beside("").display());
    for (arguments, message, hint) in [
        (&["--field-file", &huge][..], "too large", "at most 65536 bytes"),
        (&["--field-file", &missing], "No such file", "check the path"),
        (&["--field-file", &directory], "Is a directory", "specify the file in it"),
        (&["--field-fd", "x=99"], "descriptor 99: No such file", "3< FILE"),
        (&["--field-fd", "x=y"], "not the number of a file descriptor", "usage: moat set"),
        (&["--field-file", "x"], "missing `=`", "usage: moat set"),
        (&["--unset", "x"], "no field of the name to be removed", "`moat get USER` shows"),
        (&["--field", "=x"], "the name of a field is empty", "names of the fields"),
        (&["--password-stdin", "--json-stdin"], "can't be used with", "usage: moat set"),
        (&["--password", "--generate"], "can't be used with", "usage: moat set"),
        (&[], "missing one of --username <NAME>, --password", "usage: moat set"),
    ] {
        let arguments = [&["set", "anna"], arguments].concat();
        let (_, stderr) = expect(2, &run(&mut store.moat(&arguments)));
        assert!(stderr.contains(message) && stderr.contains(hint), "{arguments:?}: {stderr}");
    }
    assert_eq!(fs::read(store.file("anna")).unwrap(), before);
}

/// At a terminal, a value ends with Enter, and cannot be confused with what the terminal sends for a key.
#[test]
fn a_field_without_a_value_is_asked_for_at_the_terminal() {
    let Some(python) = python() else { return };
    let store = store();
    let mut set = python.script("pty_prompt.py");
    set.args([&MOAT, "set", "anna", "--field", "pin", "--field", "totp"]).env("TERM", "xterm");
    set.env("FOSSAWORK_CREDENTIALS_DIR", store.path());
    let typed: String = [&b"12\t34\n"[..], b"  x \n"]
        .iter()
        .map(|answer| answer.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n")
        .collect();
    let (shown, _) = expect(0, &run_with_input(&mut set, &typed));
    assert!(shown.starts_with("\"pin\": \r\n\"totp\": \r\nchanged anna in "), "{shown:?}");
    assert_eq!(read(&store, "pin"), "12\t34");
    assert_eq!(read(&store, "totp"), "  x ");
}
