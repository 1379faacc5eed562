//! No value is altered on its way out: every kind of character, through every way to print it, into a pipe, a file and a
//! terminal.

use std::fs::{self, File};
use std::process::Command;

use moat::{Credential, Field, PutOptions, UserId};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::callers::{Python, python};
use support::{KEY, MOAT, Store, expect, long, run};

/// What a terminal must not get as it is, besides U+0000 to U+001F and U+007F to U+009F: it is invisible, or changes
/// the direction of the text.
const FORMAT: &str = "\u{ad}\u{34f}\u{61c}\u{115f}\u{180e}\u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2060}\u{2066}\u{2067}\u{2068}\u{2069}\u{206f}\u{3164}\u{fe0f}\u{feff}\u{ffa0}\u{fff9}\u{1d173}\u{e0001}\u{e0061}\u{e007f}\u{e0100}";

/// What every terminal may get.
const VISIBLE: &str = "\u{a0}é\u{301}\"\\🔑\u{10ffff}";

/// What steers terminals: colours, a title, a link, a query.
const SEQUENCES: &str =
    "\u{1b}[31mred\u{1b}[0m\u{1b}]0;title\u{7}\u{1b}]8;;http://x\u{1b}\\\u{9b}31m\u{1b}P+q\u{1b}\\";

fn is_hidden(c: char) -> bool {
    c.is_control() || FORMAT.contains(c)
}

/// All of them, each between two letters.
fn every_character() -> String {
    let characters = (0..=0xa0).filter_map(char::from_u32);
    let each = characters.chain(FORMAT.chars()).chain(VISIBLE.chars());
    each.map(|c| format!("a{c}b")).collect::<String>() + SEQUENCES
}

/// As a terminal gets it.
fn escaped(text: &str) -> String {
    let escape = |c: char| {
        if is_hidden(c) { c.escape_default().to_string() } else { c.to_string() }
    };
    text.chars().map(escape).collect()
}

/// A store with one credential, all parts of which have every character that they can.
struct Odd {
    store: Store,
    user: String,
    username: String,
    password: String,
    field: String,
    value: String,
}

impl Odd {
    fn new() -> Self {
        let all = every_character();
        let odd = Self {
            store: Store::new(),
            user: format!("u{FORMAT}{VISIBLE}"),
            username: format!("username {all}"),
            password: format!("password {all}"),
            field: format!("f{FORMAT}{VISIBLE}"),
            value: format!("value {all}"),
        };
        odd.put(odd.credential());
        odd
    }

    fn credential(&self) -> Credential {
        Credential::new(self.username.as_str(), self.password.as_str())
            .with_field(Field::new(&self.field, &self.value))
    }

    fn put(&self, credential: Credential) {
        let user = UserId::parse(&self.user).unwrap();
        self.store.vault(KEY).put(&user, &credential, &PutOptions::default()).unwrap();
    }

    /// What the program prints into a pipe, which has to be the same that it prints into a file.
    fn printed(&self, arguments: &[&str]) -> String {
        let (piped, _) = expect(0, &run(&mut self.store.moat(arguments)));
        let path = self.store.beside("printed");
        let mut into_file = self.store.moat(arguments);
        assert!(into_file.stdout(File::create(&path).unwrap()).status().unwrap().success());
        assert_eq!(fs::read_to_string(&path).unwrap(), piped, "{arguments:?}");
        piped
    }

    /// What a terminal gets, which has nothing in it that would steer it.
    fn shown(&self, python: &Python, arguments: &[&str]) -> String {
        let mut command = python.script("pty_prompt.py");
        command.arg(MOAT.as_str()).args(arguments).env("TERM", "xterm").env("NO_COLOR", "1");
        command.env("FOSSAWORK_CREDENTIALS_DIR", self.store.path());
        let shown = expect(0, &run(&mut command)).0.replace("\r\n", "\n");
        let hidden: String = shown.chars().filter(|c| is_hidden(*c) && *c != '\n').collect();
        assert_eq!(hidden, "", "{arguments:?}: {shown}");
        shown
    }

    /// Parses what is printed into a pipe, and what a terminal gets, which have to be the same value.
    fn json(&self, python: &Python, arguments: &[&str]) -> Value {
        let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let piped = parsed(&self.printed(arguments));
        assert_eq!(parsed(&self.shown(python, arguments)), piped, "{arguments:?}");
        piped
    }

    fn secrets(&self) -> [(&str, &str); 3] {
        [("username", &self.username), ("password", &self.password), (&self.field, &self.value)]
    }
}

#[test]
fn json_has_every_character_of_every_part() {
    let Some(python) = python() else { return };
    let odd = Odd::new();
    let credential = odd.json(&python, &["get", &odd.user, "--reveal", "--json"]);
    assert_eq!(credential["user_id"], odd.user.as_str());
    assert_eq!(credential["username"], odd.username.as_str());
    assert_eq!(credential["password"], odd.password.as_str());
    assert_eq!(credential["fields"], json!({ &odd.field: odd.value }));
    for (name, value) in odd.secrets() {
        let printed = odd.json(&python, &["get", &odd.user, "--field", name, "--json"]);
        assert_eq!(printed, json!({ name: value }));
    }
    assert_eq!(odd.json(&python, &["list", "--json"])["users"], json!([{ "user_id": odd.user }]));
    assert_eq!(odd.json(&python, &["inspect", &odd.user, "--json"])["user_id"], odd.user.as_str());
    assert_eq!(
        odd.json(&python, &["verify", "--json"])["records"][0]["user_id"],
        odd.user.as_str()
    );
}

#[test]
fn json_in_a_pipe_is_plain() {
    let odd = Odd::new();
    let password = serde_json::to_string(&odd.password).unwrap();
    assert!(password.contains('\u{7f}') && password.contains('\u{200b}'));
    let printed = odd.printed(&["get", &odd.user, "--field", "password", "--json"]);
    assert_eq!(printed, format!("{{\"password\":{password}}}\n"));
}

#[test]
fn text_in_a_pipe_has_every_character_of_every_part() {
    let Some(python) = python() else { return };
    let odd = Odd::new();
    let table = odd.printed(&["get", &odd.user, "--reveal"]);
    let shown = odd.shown(&python, &["get", &odd.user, "--reveal"]);
    let field = format!("{} = {}", odd.field, odd.value);
    for (label, value) in [
        ("user id ", odd.user.as_str()),
        ("username", &odd.username),
        ("password", &odd.password),
        ("field   ", &field),
    ] {
        let row = |value: &str| format!("{label}    {value}\n");
        assert!(table.contains(&row(value)), "{label}: {table:?}");
        assert!(shown.contains(&row(&escaped(value))), "{label}: {shown}");
    }
    for (name, value) in odd.secrets() {
        let arguments = ["get", &odd.user, "--field", name];
        assert_eq!(odd.printed(&arguments), format!("{value}\n"));
        assert!(odd.shown(&python, &arguments).ends_with(&format!("{}\n", escaped(value))));
    }
}

#[test]
fn a_list_in_a_pipe_has_the_user_ids_that_are_there() {
    let Some(python) = python() else { return };
    let odd = Odd::new();
    assert_eq!(odd.printed(&["list"]), format!("{}\n", odd.user));
    assert_eq!(odd.shown(&python, &["list"]), format!("{}\n", escaped(&odd.user)));
    assert!(odd.printed(&["verify"]).starts_with(&format!("ok      {}\n", odd.user)));
    // What a pipeline does with it.
    let mut pipeline = Command::new("bash");
    let get_each =
        "\"$0\" list | while IFS= read -r user; do \"$0\" get \"$user\" --field user_id; done";
    odd.store.surround(pipeline.args(["-c", get_each, MOAT.as_str()]));
    assert_eq!(expect(0, &run(&mut pipeline)).0, format!("{}\n", odd.user));
}

#[test]
fn variables_have_every_character_but_nul() {
    let odd = Odd::new();
    let (_, stderr) = expect(1, &run(&mut odd.store.moat(&["exec", &odd.user, "--", "true"])));
    assert!(stderr.contains("contains a NUL byte, which a variable can't hold"), "{stderr}");

    let [username, password] = [&odd.username, &odd.password].map(|text| text.replace('\0', ""));
    odd.put(Credential::new(username.as_str(), password.as_str()));
    for (name, value) in [("MOAT_USERNAME", &username), ("MOAT_PASSWORD", &password)] {
        let printed = odd.printed(&["exec", &odd.user, "--", "printenv", "-0", name]);
        assert_eq!(printed, format!("{value}\0"));
    }
}

#[test]
fn colours_stand_beside_values_and_not_in_them() {
    let odd = Odd::new();
    let mut command = odd.store.moat(&["get", &odd.user, "--reveal"]);
    let (coloured, _) = expect(0, &run(command.env("CLICOLOR_FORCE", "1")));
    let row = format!("\u{1b}[1mpassword  \u{1b}[0m  {}\n", odd.password);
    assert!(coloured.contains(&row), "{coloured:?}");
}

/// A message is for people, wherever it goes: one line, in which nothing steers a terminal. In JSON it is exact.
#[test]
fn messages_are_one_line_and_json_is_exact() {
    let odd = Odd::new();
    let missing = odd.store.beside("a\u{1b}[31m\u{202e}\nb");
    let get = |arguments: &[&str]| {
        let mut command = odd.store.moat(&["get", "anna", "--master-key-file"]);
        expect(4, &run(command.arg(&missing).args(arguments))).1
    };
    let text = get(&[]);
    assert!(text.contains("a\\u{1b}[31m\\u{202e}\\nb: No such file"), "{text}");
    assert_eq!(text.lines().count(), 2, "{text}");
    let error: Value = serde_json::from_str(&get(&["--json"])).unwrap();
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.contains("a\u{1b}[31m\u{202e}\nb: No such file"), "{message}");
}

#[test]
fn what_can_not_be_printed_is_a_failure() {
    let store = Store::new();
    store.put("anna", "horse");
    let shell = |redirection: &str, arguments: &[&str]| {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &format!("exec \"$0\" \"$@\" {redirection}"), MOAT.as_str()])
            .args(arguments);
        run(store.surround(&mut shell))
    };
    let verbs: [&[&str]; 11] = [
        &["get", "anna", "--field", "password"],
        &["get", "anna", "--json", "--reveal"],
        &["get", "anna"],
        &["list"],
        &["list", "--json"],
        &["verify"],
        &["keygen"],
        &["touch", "anna"],
        &["component", "--wit"],
        &["completions", "bash"],
        &["--help"],
    ];
    for arguments in verbs {
        let (_, stderr) = expect(1, &shell(">&-", arguments));
        assert!(
            stderr.contains("writing to standard output: Bad file descriptor"),
            "{arguments:?}: {stderr}"
        );
        let (_, stderr) = expect(1, &shell(">/dev/full", arguments));
        assert!(
            stderr.contains("writing to standard output: No space left"),
            "{arguments:?}: {stderr}"
        );
        // Who throws it away has it so, however /dev/null was opened.
        for null in [">/dev/null", "1<>/dev/null"] {
            assert_eq!(expect(0, &shell(null, arguments)).1, "", "{arguments:?}");
        }
    }
    // Nothing is to be printed.
    for arguments in [&["touch", "anna", "--quiet"][..], &["exec", "anna", "--", "true"]] {
        expect(0, &shell(">&-", arguments));
    }
    // What was done is said to be done.
    let (_, stderr) = expect(1, &shell(">&-", &["delete", "anna"]));
    assert!(stderr.contains("the operation itself succeeded"), "{stderr}");
    assert!(!store.file("anna").exists());
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if long() { 2_000 } else { 24 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_password_comes_out_as_it_went_in(
        password in prop::collection::vec(prop_oneof![any::<char>(), prop::char::range('\0', '\u{a0}')], 1..100),
    ) {
        let password = String::from_iter(password);
        thread_local!(static STORE: Store = Store::new());
        STORE.with(|store| {
            let anna = UserId::parse("anna").unwrap();
            let credential = Credential::new("anna", password.as_str());
            store.vault(KEY).put(&anna, &credential, &PutOptions::default()).unwrap();
            let get = |arguments: &[&str]| {
                expect(0, &run(store.moat(&["get", "anna"]).args(arguments))).0
            };
            let json: Value = serde_json::from_str(&get(&["--reveal", "--json"])).unwrap();
            prop_assert_eq!(json["password"].as_str().unwrap(), &password);
            prop_assert_eq!(get(&["--field", "password"]), format!("{password}\n"));
            Ok(())
        })?;
    }
}
