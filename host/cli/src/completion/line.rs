//! The words of a command line up to the cursor, and how the last one is quoted.

use std::ffi::OsString;

/// A command line.
pub(super) struct Line {
    /// Without quotes; the last one is being typed.
    words: Vec<String>,
    /// How what is inserted has to be quoted, and how much of it is there already.
    bash: Option<Typed>,
}

/// How bash has the word that is being typed.
struct Typed {
    quote: Option<char>,
    /// The part of the word before the place where bash begins to insert, without quotes.
    kept: String,
}

impl Line {
    /// What bash passes: the line up to the cursor, and the characters at which it breaks words.
    pub(super) fn of_bash(arguments: &[OsString]) -> Option<Self> {
        let mut arguments = arguments.iter().map(|argument| argument.to_str());
        let (words, quote, kept) = split(arguments.next()??, arguments.next()??);
        Some(Self { words, bash: Some(Typed { quote, kept }) })
    }

    /// What other shells pass: the words, without quotes.
    pub(super) fn of_words(words: &[OsString]) -> Option<Self> {
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        (words.len() > 1).then_some(Self { words, bash: None })
    }

    pub(super) fn words(&self) -> &[String] {
        &self.words
    }

    /// The word that is being typed.
    pub(super) fn current(&self) -> &str {
        self.words.last().map_or("", String::as_str)
    }

    /// What the shell is to insert for this word. Other shells than bash quote it themselves.
    pub(super) fn inserted(&self, word: &str) -> String {
        let Some(Typed { quote, kept }) = &self.bash else { return word.to_owned() };
        let rest = word.strip_prefix(kept.as_str()).unwrap_or(word);
        match quote {
            Some('\'') => rest.replace('\'', r"'\''"),
            Some(_) => escaped(rest, |c| matches!(c, '"' | '\\' | '$' | '`')),
            None => escaped(rest, |c| {
                c.is_ascii() && !c.is_ascii_alphanumeric() && !"@%+=:,./_-".contains(c)
            }),
        }
    }
}

fn escaped(text: &str, is_special: fn(char) -> bool) -> String {
    text.chars().flat_map(|c| is_special(c).then_some('\\').into_iter().chain([c])).collect()
}

/// The words of a line, the quote that is open at its end, and the part of the last word up to where it was last broken.
fn split(line: &str, breaks: &str) -> (Vec<String>, Option<char>, String) {
    let mut words = Vec::new();
    let (mut word, mut kept, mut quote) = (String::new(), String::new(), None);
    let mut is_word = false;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (None, '\'' | '"') => {
                quote = Some(c);
                kept.clone_from(&word);
            }
            (Some(open), _) if c == open => quote = None,
            (Some('\''), _) => word.push(c),
            (_, '\\') => word.extend(characters.next()),
            (None, _) if c.is_ascii_whitespace() => {
                if is_word {
                    words.push(std::mem::take(&mut word));
                    kept.clear();
                }
                is_word = false;
                continue;
            }
            _ => {
                let breaks_here = quote.is_none() && breaks.contains(c);
                // Bash replaces this one too, which may begin the name of a host.
                if breaks_here && c == '@' {
                    kept.clone_from(&word);
                }
                word.push(c);
                if breaks_here && c != '@' {
                    kept.clone_from(&word);
                }
            }
        }
        is_word = true;
    }
    words.push(word);
    (words, quote, kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_does() {
        for (line, words, quote, kept) in [
            ("moat get ", &["moat", "get", ""][..], None, ""),
            ("moat  get a\\ b", &["moat", "get", "a b"], None, ""),
            ("moat get 'a b", &["moat", "get", "a b"], Some('\''), ""),
            ("moat get \"a \\\"b", &["moat", "get", "a \"b"], Some('"'), ""),
            ("moat get 'a' ", &["moat", "get", "a", ""], None, ""),
            ("moat '' x", &["moat", "", "x"], None, ""),
            ("moat get a@b", &["moat", "get", "a@b"], None, "a"),
            ("moat get a@'b", &["moat", "get", "a@b"], Some('\''), "a@"),
            ("moat --dir=x:y", &["moat", "--dir=x:y"], None, "--dir=x:"),
            ("", &[""], None, ""),
        ] {
            let expected =
                (words.iter().map(|word| (*word).to_owned()).collect(), quote, kept.to_owned());
            assert_eq!(split(line, "@=:"), expected, "{line}");
        }
    }

    #[test]
    fn what_is_inserted_is_quoted_as_the_word_is() {
        let inserted = |quote, kept: &str, word| {
            let bash = Some(Typed { quote, kept: kept.to_owned() });
            Line { words: Vec::new(), bash }.inserted(word)
        };
        assert_eq!(inserted(None, "", "a b'é$@x.y"), r"a\ b\'é\$@x.y");
        assert_eq!(inserted(None, "a", "a@b"), "@b");
        assert_eq!(inserted(Some('\''), "", "a b'c"), r"a b'\''c");
        assert_eq!(inserted(Some('"'), "", "a b\"$c"), r#"a b\"\$c"#);
    }
}
