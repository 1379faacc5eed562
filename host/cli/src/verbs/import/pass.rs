//! The text of an entry of pass or gopass: the password on the first line, then values, one a line, and notes.

use zeroize::Zeroizing;

use super::entry::Draft;

/// Which program's entries they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Pass,
    /// With values in YAML after a line `---`.
    Gopass,
}

/// Keys under which people keep the user name.
const USERNAME_KEYS: [&str; 3] = ["login", "user", "username"];

/// The first line of a form that gopass had for a while, in which the password is one of the values.
const GOPASS_MIME: &str = "GOPASS-SECRET-1.0";

/// The longest name of a value; a longer one is a sentence.
const MAX_KEY: usize = 64;

/// Takes an entry apart.
pub(super) fn parse(text: &str, dialect: Dialect) -> Draft {
    let mut draft = Draft::default();
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    if !(dialect == Dialect::Gopass && first == GOPASS_MIME) {
        draft.password(first);
    }
    let rest: Vec<&str> = lines.collect();
    let section = rest.iter().position(|line| dialect == Dialect::Gopass && *line == "---");
    let (body, yaml) = match section.and_then(|at| rest.split_at_checked(at)) {
        Some((body, [_, yaml @ ..])) => (body, yaml),
        _ => (&*rest, &[][..]),
    };

    let mut notes: Vec<&str> = Vec::new();
    let mut is_in_a_key = false;
    for line in body {
        // What PEM has between these lines looks like values, and isn't.
        is_in_a_key |= line.starts_with("-----BEGIN ");
        if line.starts_with("otpauth://") {
            draft.field("otpauth", line);
        } else if let Some((key, value)) = pair(line).filter(|_| !is_in_a_key) {
            take(&mut draft, key, value);
        } else {
            notes.push(line);
        }
        is_in_a_key &= !line.starts_with("-----END ");
    }
    let yaml_values: Option<Vec<_>> = yaml.iter().map(|line| scalar(line)).collect();
    match yaml_values {
        Some(values) => values.into_iter().for_each(|(key, value)| take(&mut draft, key, value)),
        None => draft.field("yaml", &joined(yaml)),
    }
    draft.field_with_something("notes", Some(joined(&notes).as_str()));
    draft
}

/// Lines without the empty ones around them.
fn joined(lines: &[&str]) -> Zeroizing<String> {
    let is_empty = |line: &&str| line.trim().is_empty();
    let begin = lines.iter().position(|line| !is_empty(line)).unwrap_or(lines.len());
    let end = lines.iter().rposition(|line| !is_empty(line)).map_or(begin, |last| last + 1);
    Zeroizing::new(lines.get(begin..end).unwrap_or_default().join("\n"))
}

fn take(draft: &mut Draft, key: &str, value: &str) {
    let is = |name: &&str| key.eq_ignore_ascii_case(name);
    if USERNAME_KEYS.iter().any(is) {
        draft.username(value);
    } else if is(&"password") {
        draft.password(value);
    } else {
        draft.field(key, value);
    }
}

/// `KEY: VALUE`. An address is none, since no blank follows its colon.
fn pair(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(':')?;
    let key = key.trim();
    let is_name = |c: char| c.is_alphanumeric() || " _-.".contains(c);
    let is_key = !key.is_empty() && key.len() <= MAX_KEY && key.chars().all(is_name);
    let is_apart = value.is_empty() || value.starts_with([' ', '\t']);
    (is_key && is_apart).then(|| (key, value.trim_start()))
}

/// A line of YAML that is a key and a text, which all readers understand alike.
fn scalar(line: &str) -> Option<(&str, &str)> {
    let (key, value) = pair(line).filter(|_| !line.starts_with([' ', '\t', '-']))?;
    let value = value.trim_end();
    for quote in ['"', '\''] {
        if let Some(quoted) = value.strip_prefix(quote) {
            let text = quoted.strip_suffix(quote)?;
            return (!text.contains([quote, '\\'])).then_some((key, text));
        }
    }
    let is_plain = !value.starts_with(|c: char| "|>[]{}&*!%@`#,?-:".contains(c));
    let is_whole = !value.contains(": ") && !value.contains(" #");
    (!value.is_empty() && is_plain && is_whole).then_some((key, value))
}

#[cfg(test)]
#[allow(clippy::panic, reason = "tests")]
mod tests {
    use super::super::entry::{Item, Name};
    use super::*;

    /// User name, password, and the fields.
    fn parsed(text: &str, dialect: Dialect) -> Vec<(String, String)> {
        let name = Name::Exact("x".to_owned());
        let Item::Entry(entry) = parse(text, dialect).finish("x".to_owned(), name) else {
            panic!("{text}")
        };
        let credential = &entry.credential;
        let own = [("username", credential.username()), ("password", credential.expose_password())];
        let fields = credential.fields().iter().map(|field| (field.name(), field.expose_value()));
        let all = own.into_iter().chain(fields);
        all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[track_caller]
    fn check(dialect: Dialect, text: &str, expected: &[(&str, &str)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        assert_eq!(parsed(text, dialect), expected, "{text}");
    }

    #[test]
    fn the_first_line_is_the_password_and_others_are_values_and_notes() {
        let text = "pa: ss \nLogin: anna\nurl: https://a.example:8443/?a=b: c\n\nhttps://b.example\notpauth://totp/a?secret=X\npin:\nurl: second\nuser: other\n  indented: yes\nRemember: this one, it matters\n\n";
        check(
            Dialect::Pass,
            text,
            &[
                ("username", "anna"),
                ("password", "pa: ss "),
                ("url", "https://a.example:8443/?a=b: c"),
                ("otpauth", "otpauth://totp/a?secret=X"),
                ("pin", ""),
                ("url-2", "second"),
                ("username-2", "other"),
                ("indented", "yes"),
                ("Remember", "this one, it matters"),
                ("notes", "https://b.example"),
            ],
        );
    }

    #[test]
    fn a_key_in_the_notes_stays_in_one_piece() {
        let key = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nabc\n-----END RSA PRIVATE KEY-----";
        let text = format!("\n{key}\nuser: anna\n---\n");
        check(
            Dialect::Pass,
            &text,
            &[("username", "anna"), ("password", ""), ("notes", &format!("{key}\n---"))],
        );
    }

    #[test]
    fn yaml_of_simple_values_becomes_fields_and_other_yaml_stays_as_it_is() {
        check(
            Dialect::Gopass,
            "horse\nnote\n---\nuser: anna\nport: 5432\nname: 'a: b'\nquoted: \"x # y\"\n",
            &[
                ("username", "anna"),
                ("password", "horse"),
                ("port", "5432"),
                ("name", "a: b"),
                ("quoted", "x # y"),
                ("notes", "note"),
            ],
        );
        for yaml in [
            "a:\n  b: c",
            "a: |\n  text",
            "a: [1, 2]",
            "- a",
            "a: \"\\n\"",
            "a: 'it''s'",
            "a: b # c",
        ] {
            let text = format!("horse\n---\nuser: anna\n{yaml}\n");
            let kept = format!("user: anna\n{yaml}");
            check(
                Dialect::Gopass,
                &text,
                &[("username", ""), ("password", "horse"), ("yaml", &kept)],
            );
        }
    }

    #[test]
    fn a_form_of_gopass_has_the_password_among_the_values() {
        check(
            Dialect::Gopass,
            "GOPASS-SECRET-1.0\nPassword: horse\nUser: anna\n\nbody\n",
            &[("username", "anna"), ("password", "horse"), ("notes", "body")],
        );
        check(
            Dialect::Pass,
            "GOPASS-SECRET-1.0\n",
            &[("username", ""), ("password", "GOPASS-SECRET-1.0")],
        );
    }
}
