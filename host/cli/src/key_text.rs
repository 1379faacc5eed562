//! What hardly anyone means as a master key, though it stands where one is expected: what editors, shells, secret stores and
//! other systems leave there. It is used as it is, since records may be encrypted with it.

/// What is odd about the text of a key.
pub(super) fn oddity(key: &[u8]) -> Option<&'static str> {
    let starts = |text: &str| key.starts_with(text.as_bytes());
    let ends = |text: &str| key.ends_with(text.as_bytes());
    let lower = key.to_ascii_lowercase();
    let lower = zeroize::Zeroizing::new(lower);
    let has = |text: &str| lower.windows(text.len()).any(|part| part == text.as_bytes());
    let is_enclosed = |open: &str, close: &str| key.len() > 1 && starts(open) && ends(close);
    if key.starts_with(b"\xef\xbb\xbf") {
        Some("it begins with a byte order mark, as some editors write one")
    } else if key.starts_with(b"\xff\xfe") || key.starts_with(b"\xfe\xff") {
        Some("it is text in UTF-16, as PowerShell and some editors write it")
    } else if is_enclosed("-----BEGIN", "-----") {
        Some("it is a PEM file")
    } else if has("\nfossawork_") || (has("=") && (starts("FOSSAWORK_") || starts("export "))) {
        Some("it is the assignment of a variable, not its value")
    } else if is_enclosed("\"", "\"") || is_enclosed("'", "'") {
        Some("it is in quotes, which are part of the key")
    } else if starts("${") || starts("$(") || starts("{{") {
        Some("it is a reference that wasn't replaced by its value")
    } else if starts("{") && ends("}") {
        Some("it is JSON, as secret stores return it")
    } else if starts("<!") || lower.starts_with(b"<html") {
        Some("it is a web page, perhaps an error's")
    } else if (starts("<") && ends(">")) || has("changeme") || has("change-me") || has("your-key") {
        Some("it is a placeholder")
    } else if starts("/") || starts("file:") {
        Some("it is the path of a file, not its contents")
    } else if key.first().is_some_and(u8::is_ascii_whitespace)
        || key.last().is_some_and(u8::is_ascii_whitespace)
    {
        Some("it begins or ends with a blank or a line break, which is part of the key")
    } else if key.contains(&0) {
        Some("it contains NUL bytes, which a variable can't hold")
    } else if key.contains(&b'\n') {
        Some("it has several lines")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hardly_anyone_means_is_named() {
        for (key, part) in [
            (&b"\xef\xbb\xbfkey"[..], "byte order mark"),
            (b"\xff\xfek\0e\0y\0", "UTF-16"),
            (b"-----BEGIN PRIVATE KEY-----\nAA\n-----END PRIVATE KEY-----", "PEM"),
            (b"FOSSAWORK_MASTER_KEY=key", "assignment"),
            (b"export KEY=key", "assignment"),
            (b"# comment\nFOSSAWORK_MASTER_KEY=key", "assignment"),
            (b"\"key\"", "quotes"),
            (b"'key'", "quotes"),
            (b"{\"data\":\"key\"}", "JSON"),
            (b"<!DOCTYPE html>", "web page"),
            (b"<HTML>", "web page"),
            (b"${MASTER_KEY}", "reference"),
            (b"$(cat key)", "reference"),
            (b"{{ .MasterKey }}", "reference"),
            (b"<your key here>", "placeholder"),
            (b"ChangeMe-please-now", "placeholder"),
            (b"/run/secrets/master_key", "path"),
            (b"file:///key", "path"),
            (b"key ", "blank"),
            (b"\tkey", "blank"),
            (b"key\n", "line break"),
            (b"k\0y", "NUL"),
            (b"one\ntwo", "several lines"),
        ] {
            assert!(oddity(key).is_some_and(|found| found.contains(part)), "{key:?}");
        }
    }

    #[test]
    fn keys_are_not_odd() {
        for key in [
            &b"MOAT-MASTER-KEY-1QQQ"[..],
            b"dOeYXjxXfw4nRNKwE-4Pwbdn9R7ctlgGN9weENuP-S0=",
            b"correct horse battery staple",
            b"a/path+in=base64//",
            b"\xf0\x9f\x94\x91 with \xc3\xa9",
            b"\x80\x81\x82",
            b"\"",
            b"",
        ] {
            assert_eq!(oddity(key), None, "{key:?}");
        }
    }
}
