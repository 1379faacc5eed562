//! The FOSSAWORK_… variables of the environment and of an `.env` file.
//!
//! The file is parsed strictly. Parsers of such files disagree about `$`, backslashes and quotes, and a master key that
//! one of them alters encrypts records that no other program can decrypt. So a value that could be read in different
//! ways is refused.

use std::fmt::Display;
use std::path::Path;

use zeroize::Zeroizing;

use super::failure::Failure;
use super::secret_file::unusable_file;
use crate::ambient;

const PREFIX: &str = "FOSSAWORK_";

/// The variables that the program understands.
#[derive(Default)]
pub(super) struct Environment {
    /// From the file.
    named: Vec<(String, Zeroizing<String>)>,
}

impl Environment {
    /// Reads the file, if one is specified. A variable with different values in the file and in the environment is
    /// refused: nobody should have to guess which key was used.
    pub(super) fn load(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        let refuse = |what: String| {
            let message = format!("{}: {what}", path.display());
            Failure::usage(message, "write it as NAME='value', with no quote inside the value")
        };
        let bytes = ambient::read_secret_file(path).map_err(|error| unusable_file(path, &error))?;
        let text = std::str::from_utf8(&bytes).map_err(|_| refuse("not UTF-8".to_owned()))?;
        let named = parse(text, PREFIX).map_err(refuse)?;
        for (name, value) in &named {
            if ambient::variable(name).is_some_and(|other| *other != value.as_bytes()) {
                return Err(Failure::master_key(
                    format!(
                        "{name} has different values in the environment and in {}",
                        path.display()
                    ),
                    format!("unset it (unset {name}) or remove it from the file"),
                ));
            }
        }
        Ok(Self { named })
    }

    /// A variable, byte for byte; `None` if it is unset.
    pub(super) fn find(&self, name: &str) -> Option<Zeroizing<Vec<u8>>> {
        let named = self.named.iter().find(|(other, _)| other == name);
        match named {
            Some((_, value)) => Some(Zeroizing::new(value.as_bytes().to_vec())),
            None => ambient::variable(name),
        }
    }

    /// A variable without a secret, parsed with this function; `None` if it is unset or empty.
    pub(super) fn parsed<T, E: Display>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Failure> {
        let Some(value) = self.find(name).filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        let refuse =
            |why| Failure::usage(format!("{name}: {why}"), format!("correct or unset {name}"));
        parse(&String::from_utf8_lossy(&value)).map(Some).map_err(refuse)
    }

    /// A variable that is 1 or 0; unset, it is 0.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Failure> {
        let flag = self.parsed(name, |text| match text {
            "1" => Ok(true),
            "0" => Ok(false),
            _ => Err("expected 1 or 0"),
        });
        Ok(flag?.unwrap_or(false))
    }
}

/// The variables of such a file whose names begin like this, and their values.
pub(super) fn parse(text: &str, prefix: &str) -> Result<Vec<(String, Zeroizing<String>)>, String> {
    let mut variables: Vec<(String, Zeroizing<String>)> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        if line.is_empty() || line.starts_with('#') || !line.starts_with(prefix) {
            continue;
        }
        let is_name = |name: &str| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        let (name, value) = line
            .split_once('=')
            .map(|(name, value)| (name.trim_end(), value))
            .filter(|(name, _)| is_name(name))
            .ok_or_else(|| format!("line {number}: expected NAME=VALUE"))?;
        let value = literal(value.trim_start())
            .ok_or_else(|| format!("line {number}: the value of {name} is ambiguous"))?;
        if variables.iter().any(|(other, _)| other == name) {
            return Err(format!("line {number}: {name} is set twice"));
        }
        variables.push((name.to_owned(), Zeroizing::new(value.to_owned())));
    }
    Ok(variables)
}

/// The value, if all parsers of such files agree on it.
fn literal(text: &str) -> Option<&str> {
    let quoted = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
    if let Some(value) = quoted('\'') {
        return (!value.contains('\'')).then_some(value);
    }
    let value = quoted('"').unwrap_or(text);
    let ambiguous = |c: char| matches!(c, '$' | '\\' | '`' | '"' | '\'' | '#');
    let spaces = text == value && value.contains(char::is_whitespace);
    (!value.contains(ambiguous) && !spaces).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_all_readers_agree_on() {
        let text = "# comment\nOTHER=$x\n\nFOSSAWORK_A=plain\n export FOSSAWORK_B = 'a $b \\ # \"c\"'\nFOSSAWORK_C=\"two words\"\nFOSSAWORK_D=\n#FOSSAWORK_E=1\n";
        let variables = parse(text, PREFIX).unwrap();
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| (&name[10..], value.as_str())).collect();
        assert_eq!(
            variables,
            [("A", "plain"), ("B", "a $b \\ # \"c\""), ("C", "two words"), ("D", "")]
        );
    }

    #[test]
    fn refuses_what_readers_differ_on() {
        for value in ["a$b", "\"a$b\"", "a\\b", "a b", "a #b", "'a'b'", "\"a\"b\"", "'a", "\"a"] {
            let text = format!("X=1\nFOSSAWORK_MASTER_KEY={value}");
            let error = parse(&text, PREFIX).unwrap_err();
            assert_eq!(error, "line 2: the value of FOSSAWORK_MASTER_KEY is ambiguous", "{value}");
        }
        assert!(parse("FOSSAWORK_A=1\nFOSSAWORK_A=1", PREFIX).unwrap_err().contains("twice"));
        for line in ["FOSSAWORK_MASTER_KEY: secret", "FOSSAWORK_MASTER_KEY: secret=$x"] {
            assert_eq!(parse(line, PREFIX).unwrap_err(), "line 1: expected NAME=VALUE");
        }
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
