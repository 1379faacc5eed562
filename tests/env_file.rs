//! `.env` files: what python-dotenv reads, `moat` reads the same or refuses, with the file and the line.

use std::process::Output;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use support::callers::{Python, python};
use support::{KEY, Store, expect, long, run, run_with_input, write_private};

const NAME: &str = "FOSSAWORK_CREDENTIALS_DIR";

/// What `moat` takes from a file for the name of the directory, which it doesn't find.
enum Taken {
    Value(String),
    /// Nothing, or an empty value.
    Nothing,
    Refused,
}

fn with_file(store: &Store, text: &str, arguments: &[&str]) -> Output {
    let file = store.beside("variables");
    write_private(&file, text.as_bytes());
    let mut moat = store.moat(&[arguments, &["--env-file", file.to_str().unwrap()]].concat());
    moat.env_remove(NAME).env_remove("HOME").env_remove("FOSSAWORK_MASTER_KEY");
    run(moat.current_dir(store.beside("")))
}

fn taken(store: &Store, text: &str) -> Taken {
    let output = with_file(store, text, &["list", "--quiet"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    let error = stderr.strip_prefix("error: ").unwrap_or_else(|| panic!("{text:?}: {stderr}"));
    if let Some(value) = error.strip_prefix("opening the directory ") {
        return Taken::Value(value.rsplit_once(": No such file").unwrap().0.to_owned());
    }
    if error.starts_with("no credentials directory is specified") {
        return Taken::Nothing;
    }
    let file = format!("{}: line ", store.beside("variables").display());
    assert!(error.starts_with(&file), "{text:?}: {stderr}");
    Taken::Refused
}

fn read_by_python(python: &Python, texts: &[String]) -> Vec<Option<String>> {
    let input = serde_json::to_string(texts).unwrap();
    let mut script = python.run(support::tests().join("python/dotenv_values.py"));
    serde_json::from_str(&expect(0, &run_with_input(&mut script, &input)).0).unwrap()
}

/// As messages show it, which let no character control a terminal.
fn as_shown(value: &str) -> String {
    let escape = |c: char| match c.is_control() && c != '\t' || matches!(c, '\u{2028}' | '\u{2029}')
    {
        true => c.escape_unicode().to_string(),
        false if c == '\t' => "\\t".to_owned(),
        false => c.to_string(),
    };
    value.chars().map(escape).collect()
}

/// Whether both take the same, or `moat` refuses.
fn compare(store: &Store, text: &str, read: Option<&str>) -> (bool, String) {
    let (agrees, taken) = match taken(store, text) {
        Taken::Value(value) => (read.map(as_shown) == Some(value.clone()), format!("{value:?}")),
        Taken::Nothing => (read.unwrap_or_default().is_empty(), "nothing".to_owned()),
        Taken::Refused => (true, "refused".to_owned()),
    };
    (agrees, format!("{text:?} | {read:?} | {taken}"))
}

/// What people have in such files. The last column: whether `moat` reads it, where python-dotenv does.
const TABLE: &[(&str, bool)] = &[
    ("N=a", true),
    ("N = a", true),
    ("  N=a  ", true),
    ("export N=a", true),
    ("export\tN=a", true),
    ("export   N=a", true),
    ("exportN=a", true),
    ("N=a # comment", true),
    ("N=a\t# comment", true),
    ("N=a#b", true),
    ("N=#a", false),
    ("N= # comment", false),
    ("N=", true),
    ("N=''", true),
    ("N=\"\"", true),
    ("N='a b'", true),
    ("N=\"a b\"", true),
    ("N='a' # comment", true),
    ("N=\"a#b\" # comment", true),
    ("N='a # b'", true),
    ("N='a'b", false),
    ("N='a", false),
    ("N=\"a", false),
    ("N=a b", false),
    ("N=it's", false),
    ("N=a\\b", false),
    ("N='a\\b'", true),
    ("N='a\\\\b'", false),
    ("N='a\\'b'", false),
    ("N=\"a\\nb\"", false),
    ("N=$HOME", false),
    ("N=${HOME}", false),
    ("N='${HOME}'", false),
    ("N='$HOME'", true),
    ("N=`a`", false),
    ("N='a\nb'", false),
    ("N=a\nN=b", false),
    ("N=a\nN=a", false),
    ("N", false),
    ("N: a", false),
    ("set N=a", false),
    ("'N'=a", true),
    ("# N=a", true),
    ("X=1\r\nN=a\r\n", true),
    ("X=1\rN=a\r", true),
    ("X=1\u{b}N=a", true),
    ("\u{a0}N=a", true),
    ("\u{feff}N=a", false),
    ("X='\nN=a\n'\nN=b", true),
    ("X=\"\nN=a\n\"", true),
    ("X=\"\nN=a\n", true),
    ("what is this\nN=a", true),
    ("=a\nN=b", true),
    ("X=1 N=a", true),
];

#[test]
fn what_people_have_in_such_files() {
    let Some(python) = python() else { return };
    let store = Store::new();
    let texts: Vec<_> = TABLE.iter().map(|(text, _)| text.replace('N', NAME)).collect();
    let read = read_by_python(&python, &texts);
    println!("file | python-dotenv | moat");
    for (((_, reads), text), read) in TABLE.iter().zip(&texts).zip(&read) {
        let (agrees, row) = compare(&store, text, read.as_deref());
        println!("{row}");
        assert!(agrees, "{row}");
        assert_eq!(row.ends_with("| refused"), !reads, "{row}");
    }
}

/// By default a hundred files, with `MOAT_LONG=1` some thousands.
#[test]
fn no_file_is_read_otherwise_than_by_python() {
    let Some(python) = python() else { return };
    let store = Store::new();
    let piece = prop::sample::select(vec![
        NAME, "X", "=", " = ", "'", "\"", "\\", "\\'", "\\\"", "#", " #", " ", "\t", "\n", "\r",
        "a", "b", "$", "${X}", "export ", "é", "\u{85}", "\u{a0}", "\u{2028}", "\u{1f}",
    ]);
    let text = prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat());
    // So that most have the variable.
    let text = (text.clone(), text).prop_map(|(before, after)| format!("{before}\n{NAME}={after}"));
    let cases = if long() { 5_000 } else { 100 };
    let texts = std::cell::RefCell::new(Vec::new());
    let mut runner =
        TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    runner
        .run(&text, |text| {
            texts.borrow_mut().push(text);
            Ok(())
        })
        .unwrap();
    let texts = texts.into_inner();
    let read = read_by_python(&python, &texts);
    for (text, read) in texts.iter().zip(read) {
        let (agrees, row) = compare(&store, text, read.as_deref());
        assert!(agrees, "{row}");
    }
}

#[test]
fn a_misspelled_name_is_refused_and_the_right_one_named() {
    let store = Store::new();
    for (name, hint) in [
        ("FOSSAWORK_MASTERKEY", "did you mean FOSSAWORK_MASTER_KEY?"),
        ("FOSSAWORK_MASTER_KEYS_FILE", "did you mean FOSSAWORK_MASTER_KEY_FILE?"),
        ("fossawork_master_key", "did you mean FOSSAWORK_MASTER_KEY?"),
        ("FOSSAWORK-KEYRING", "expected NAME=VALUE"),
        ("FOSSAWORK_ENCRYPTION_ALGORITHM", "`moat manual` lists all variables"),
    ] {
        let output = with_file(&store, &format!("A=1\n{name}='secret'\n"), &["list"]);
        let (_, stderr) = expect(2, &output);
        assert!(stderr.contains("variables: line 2: ") && stderr.contains(hint), "{stderr}");
        assert!(!stderr.contains("secret"), "{stderr}");
    }
}

#[test]
fn a_file_without_a_key_is_named_and_no_new_key_is_proposed() {
    let store = Store::new();
    store.put("anna", "horse");
    let directory = store.path();
    let text = format!("{NAME}='{}'\n", directory.display());
    for text in [text.clone(), format!("{text}FOSSAWORK_MASTER_KEY=\n")] {
        let (_, stderr) = expect(4, &with_file(&store, &text, &["get", "anna"]));
        assert!(stderr.contains("variables has none"), "{stderr}");
        assert!(!stderr.contains("keygen") && !stderr.contains("init"), "{stderr}");
    }
    let with_key = format!("{text}FOSSAWORK_MASTER_KEY='{KEY}' # the one of last year\n");
    expect(0, &with_file(&store, &with_key, &["get", "anna"]));
}
