//! The syntax of `.env` files, as python-dotenv 1.x reads them, which the FossaWork application uses.
//!
//! A file is read statement by statement, since a quoted value may have many lines, and what looks like a variable in it is
//! none. Shells, systemd and containers disagree with python-dotenv about `$`, backslashes, blanks and quotes, and a master
//! key that one of them alters encrypts records that no other program can decrypt. So a value that could be read in
//! different ways is refused; only comments after a value are read as python-dotenv does.

use zeroize::Zeroizing;

/// A variable, and the number of its line.
pub(super) struct Variable {
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) value: Zeroizing<String>,
}

/// The variables that are wanted, in their order.
///
/// # Errors
///
/// What is wrong in which line: a wanted variable whose value is ambiguous, or that is set twice; and what is no statement,
/// unless it `is_irrelevant`.
pub(super) fn parse(
    text: &str,
    is_wanted: impl Fn(&str) -> bool,
    is_irrelevant: impl Fn(&str) -> bool,
) -> Result<Vec<Variable>, String> {
    if text.starts_with('\u{feff}') {
        return Err(
            "line 1: a byte order mark is before the first name; save it as UTF-8 without one"
                .to_owned(),
        );
    }
    let mut variables: Vec<Variable> = Vec::new();
    let mut scanner = Scanner { text, position: 0 };
    let (mut start, mut line) = (0, 1);
    loop {
        scanner.skip(is_space);
        line += line_ends(&text[start..scanner.position]);
        start = scanner.position;
        if scanner.rest().is_empty() {
            return Ok(variables);
        }
        let is_name = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let ambiguous = |name: &str| format!("line {line}: the value of {name} is ambiguous");
        let Statement { name, value } = match scanner.statement() {
            Ok(statement) => statement,
            Err(Some(name)) if is_wanted(name) && is_name(name) => return Err(ambiguous(name)),
            Err(_) => {
                scanner.skip(|c| !is_line_end(c));
                if !is_irrelevant(&text[start..scanner.position]) {
                    return Err(format!("line {line}: expected NAME=VALUE"));
                }
                tracing::warn!(
                    "line {line} of the file of variables is passed over: it is not NAME=VALUE"
                );
                continue;
            }
        };
        let Some(name) = name.filter(|name| is_wanted(name)) else { continue };
        let Some(value) = value.filter(|_| is_name(name)) else {
            return Err(format!("line {line}: expected NAME=VALUE"));
        };
        let value = value.certain().ok_or_else(|| ambiguous(name))?;
        if variables.iter().any(|other| other.name == name) {
            return Err(format!("line {line}: {name} is set twice"));
        }
        let value = Zeroizing::new(value.to_owned());
        variables.push(Variable { line, name: name.to_owned(), value });
    }
}

/// A value as it is written.
enum Value<'t> {
    Plain(&'t str),
    SingleQuoted(&'t str),
    DoubleQuoted(&'t str),
}

impl<'t> Value<'t> {
    /// What all readers take it for, but for comments.
    fn certain(self) -> Option<&'t str> {
        let has_lines = |value: &str| value.contains(is_line_end);
        match self {
            // The first of these is expanded by python-dotenv even here.
            Self::SingleQuoted(value) => {
                let is_altered = ["${", "\\\\", "\\'"].iter().any(|text| value.contains(text));
                (!is_altered && !has_lines(value)).then_some(value)
            }
            Self::DoubleQuoted(value) => {
                (!value.contains(['$', '\\', '`']) && !has_lines(value)).then_some(value)
            }
            Self::Plain(text) => {
                let value = without_comment(text).trim_end_matches(is_space);
                let is_altered =
                    |c: char| matches!(c, '$' | '\\' | '`' | '"' | '\'') || is_space(c);
                (!value.contains(is_altered) && !value.starts_with('#')).then_some(value)
            }
        }
    }
}

/// What is before the first `#` that has a blank before it.
fn without_comment(text: &str) -> &str {
    let comment = text.match_indices('#').find(|(at, _)| text[..*at].ends_with(is_space));
    comment.map_or(text, |(at, _)| &text[..at])
}

/// What is up to the end of a line; nothing in it if that is empty or a comment.
struct Statement<'t> {
    name: Option<&'t str>,
    value: Option<Value<'t>>,
}

struct Scanner<'t> {
    text: &'t str,
    position: usize,
}

impl<'t> Scanner<'t> {
    /// The next statement, or the name in what is none because of its value.
    fn statement(&mut self) -> Result<Statement<'t>, Option<&'t str>> {
        let exported = self.rest().strip_prefix("export").filter(|rest| rest.starts_with(is_blank));
        if exported.is_some() {
            self.position += "export".len();
            self.skip(is_blank);
        }
        let mut name = None;
        let mut value = None;
        if !self.rest().starts_with('#') {
            name = Some(self.name().ok_or(None)?);
            self.skip(is_blank);
            if self.accept('=') {
                self.skip(is_blank);
                value = Some(self.value().ok_or(name)?);
            }
        }
        self.skip(is_blank);
        if self.rest().starts_with('#') {
            self.skip(|c| !is_line_end(c));
        }
        if self.rest().is_empty() || self.rest().starts_with(is_line_end) {
            return Ok(Statement { name, value });
        }
        Err(name.filter(|_| value.is_some()))
    }

    fn name(&mut self) -> Option<&'t str> {
        if self.accept('\'') {
            let name = self.take_while(|c| c != '\'');
            return (self.accept('\'') && !name.is_empty()).then_some(name);
        }
        let name = self.take_while(|c| c != '=' && c != '#' && !is_space(c));
        (!name.is_empty()).then_some(name)
    }

    fn value(&mut self) -> Option<Value<'t>> {
        match self.rest().chars().next() {
            Some('\'') => self.quoted('\'').map(Value::SingleQuoted),
            Some('"') => self.quoted('"').map(Value::DoubleQuoted),
            _ => Some(Value::Plain(self.take_while(|c| !is_line_end(c)))),
        }
    }

    /// What is between this quote and the next one. After a backslash anything is a part of it.
    fn quoted(&mut self, quote: char) -> Option<&'t str> {
        let text = &self.rest()[1..];
        let mut is_escaped = false;
        let end = text.find(|c| {
            let ends = c == quote && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            ends
        })?;
        self.position += 1 + end + 1;
        Some(&text[..end])
    }

    fn rest(&self) -> &'t str {
        &self.text[self.position..]
    }

    fn accept(&mut self, expected: char) -> bool {
        let found = self.rest().starts_with(expected);
        self.position += if found { expected.len_utf8() } else { 0 };
        found
    }

    fn skip(&mut self, skipped: impl Fn(char) -> bool) {
        self.take_while(skipped);
    }

    fn take_while(&mut self, taken: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c| !taken(c)).unwrap_or(rest.len());
        self.position += end;
        &rest[..end]
    }
}

/// How many lines end in a text.
fn line_ends(text: &str) -> usize {
    text.matches(is_line_end).count() - text.matches("\r\n").count()
}

fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r')
}

/// White space as Python has it.
fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\x1c'..='\x1f')
}

fn is_blank(c: char) -> bool {
    is_space(c) && !is_line_end(c)
}

#[cfg(test)]
mod tests {

    const PREFIX: &str = "FOSSAWORK_";

    /// The variables with this prefix, and their values.
    fn parse(text: &str, prefix: &str) -> Result<Vec<(String, String)>, String> {
        let variables =
            super::parse(text, |name| name.starts_with(prefix), |text| !text.contains(prefix));
        Ok(variables?
            .into_iter()
            .map(|variable| (variable.name, variable.value.to_string()))
            .collect())
    }

    #[test]
    fn reads_what_python_dotenv_reads() {
        let text = "# comment\nOTHER=$x\n\nFOSSAWORK_A=plain\n export\tFOSSAWORK_B = 'a $b \\ # \"c\"'\nFOSSAWORK_C=\"two # words'\"\r\nFOSSAWORK_D=\r#FOSSAWORK_E=1\n'FOSSAWORK_F'=a#b \t# c\nFOSSAWORK_G='' # x";
        let variables = parse(text, PREFIX).unwrap();
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| (&name[10..], value.as_str())).collect();
        assert_eq!(
            variables,
            [
                ("A", "plain"),
                ("B", "a $b \\ # \"c\""),
                ("C", "two # words'"),
                ("D", ""),
                ("F", "a#b"),
                ("G", "")
            ]
        );
    }

    #[test]
    fn what_looks_like_a_variable_in_a_value_is_none() {
        for text in [
            "NOTE=\"\nFOSSAWORK_A=1\n\"\nFOSSAWORK_B=2",
            "NOTE='\\'\nFOSSAWORK_A=1\n'\nFOSSAWORK_B=2",
            "NOTE='\nFOSSAWORK_A=1\n\\\\'\nFOSSAWORK_B=2",
            "'a\nFOSSAWORK_A'=1\nFOSSAWORK_B=2",
        ] {
            assert_eq!(
                parse(text, PREFIX).unwrap(),
                [("FOSSAWORK_B".into(), "2".into())],
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_what_readers_differ_on() {
        for value in [
            "a$b", "\"a$b\"", "a\\b", "a b", "#b", " #b", "'${a}'", "'a\\\\b'", "'a\nb'", "a\x1fb",
            "'a'b'", "\"a\"b\"", "'a", "\"a", "'a\\'",
        ] {
            let text = format!("X=1\nFOSSAWORK_MASTER_KEY={value}");
            let error = parse(&text, PREFIX).unwrap_err();
            assert_eq!(error, "line 2: the value of FOSSAWORK_MASTER_KEY is ambiguous", "{value}");
        }
        assert!(parse("FOSSAWORK_A=1\nFOSSAWORK_A=1", PREFIX).unwrap_err().contains("twice"));
        for text in ["A: secret", "A: secret=$x", "A", "-A=1"] {
            let text = format!("\r\n\rFOSSAWORK_{text}");
            assert_eq!(parse(&text, PREFIX).unwrap_err(), "line 3: expected NAME=VALUE", "{text}");
        }
        assert!(parse("set FOSSAWORK_A=1", PREFIX).unwrap_err().contains("line 1: "));
        assert!(parse("\u{feff}A=1", PREFIX).unwrap_err().contains("byte order mark"));
        assert!(parse("what is this?\nFOSSAWORK_A=1", PREFIX).is_ok());
    }

    #[test]
    fn without_a_prefix_every_line_has_to_be_a_variable() {
        let text = "# comment\n\nexport A=x\nB='y z'\n";
        let variables = parse(text, "").unwrap();
        let names: Vec<_> = variables.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["A", "B"]);
        for line in ["secret", "=secret", "a-b=secret"] {
            assert_eq!(parse(line, "").unwrap_err(), "line 1: expected NAME=VALUE", "{line}");
        }
    }
}
