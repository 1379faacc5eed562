//! How entries are called here: user ids from the names of folders and entries, fields from the names of values.

use moat::RESERVED_FIELD_NAMES;

/// A user id from names: joined with dots, `_` for each slash and control character, and for a dot at the beginning.
pub(super) fn user_id<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<String> = names
        .into_iter()
        .map(|name| name.replace(|c: char| c == '/' || c.is_control(), "_"))
        .collect();
    let id = names.join(".");
    match id.strip_prefix('.') {
        Some(rest) => format!("_{rest}"),
        None => id,
    }
}

/// The name of a field: `_` for each control character; of a name that is taken, the first free one of `NAME-2`, `NAME-3`, ….
pub(super) fn field_name(wanted: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let plain = wanted.replace(char::is_control, "_");
    let plain = if plain.is_empty() { "field".to_owned() } else { plain };
    let is_free = |name: &String| !RESERVED_FIELD_NAMES.contains(&name.as_str()) && !is_taken(name);
    let others = (2_u32..).map(|number| format!("{plain}-{number}"));
    std::iter::once(plain.clone()).chain(others).find(is_free).unwrap_or(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_ids_are_file_names() {
        for (names, id) in [
            (&["web", "github.com"][..], "web.github.com"),
            (&["My Bank"], "My Bank"),
            (&["..", "x"], "_..x"),
            (&[".hidden"], "_hidden"),
            (&["a/b", "c\0d\n"], "a_b.c_d_"),
            (&["", "x"], "_x"),
            (&["é", "-x"], "é.-x"),
        ] {
            assert_eq!(user_id(names.iter().copied()), id);
        }
    }

    #[test]
    fn no_field_has_a_name_that_is_taken() {
        let taken = ["url", "url-2"];
        let name = |wanted| field_name(wanted, |name| taken.contains(&name));
        for (wanted, given) in [
            ("url", "url-3"),
            ("password", "password-2"),
            ("a\nb", "a_b"),
            ("", "field"),
            ("Password", "Password"),
        ] {
            assert_eq!(name(wanted), given);
        }
        for reserved in RESERVED_FIELD_NAMES {
            assert_eq!(name(reserved), format!("{reserved}-2"));
        }
    }
}
