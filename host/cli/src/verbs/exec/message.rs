//! What the process that opens the credential sends to the one that runs the program: names and values by turns, each
//! after its length.

use std::io::{self, Write};

use moat::Credential;

/// Writes the user name, the password and the fields, without a copy of them.
pub(super) fn write(pipe: &mut impl Write, credential: &Credential) -> io::Result<()> {
    let own = [("username", credential.username()), ("password", credential.expose_password())];
    let fields = credential.fields().iter().map(|field| (field.name(), field.expose_value()));
    for (name, value) in own.into_iter().chain(fields) {
        for text in [name, value] {
            let length = u32::try_from(text.len()).map_err(io::Error::other)?;
            pipe.write_all(&length.to_le_bytes())?;
            pipe.write_all(text.as_bytes())?;
        }
    }
    Ok(())
}

/// The names and their values; `None` unless the message consists of these and nothing else.
pub(super) fn parse(mut message: &[u8]) -> Option<Vec<(&str, &str)>> {
    let mut pairs = Vec::new();
    while !message.is_empty() {
        pairs.push((text(&mut message)?, text(&mut message)?));
    }
    Some(pairs)
}

fn text<'m>(message: &mut &'m [u8]) -> Option<&'m str> {
    let (length, rest) = message.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (text, rest) = rest.split_at_checked(length)?;
    *message = rest;
    std::str::from_utf8(text).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use moat::Field;

    fn written(credential: &Credential) -> Vec<u8> {
        let mut message = Vec::new();
        write(&mut message, credential).unwrap();
        message
    }

    #[test]
    fn what_is_sent_arrives() {
        let fields = [("é", ""), ("two\nlines", "\0")].map(|(name, value)| Field::new(name, value));
        let credential = Credential::new("anna", "horse");
        let message = written(&fields.into_iter().fold(credential, Credential::with_field));
        assert_eq!(
            parse(&message).unwrap(),
            [("username", "anna"), ("password", "horse"), ("é", ""), ("two\nlines", "\0")]
        );
    }

    #[test]
    fn what_is_cut_off_or_goes_on_is_refused() {
        let message = written(&Credential::new("anna", "horse"));
        let whole = [message.len(), 4 + "username".len() + 4 + "anna".len(), 0];
        for end in (0..message.len()).filter(|end| !whole.contains(end)) {
            assert_eq!(parse(&message[..end]), None, "{end}");
        }
        assert_eq!(parse(&[&message[..], b"\0"].concat()), None);
    }

    #[test]
    fn what_is_no_text_or_longer_than_the_message_is_refused() {
        assert_eq!(parse(b"\x01\0\0\0\xff\0\0\0\0"), None);
        assert_eq!(parse(b"\xff\xff\xff\xffname"), None);
    }

    /// The limit of what is read from a pipe is that of a record, though each length takes more room than JSON does.
    #[test]
    fn the_longest_message_is_within_the_limit() {
        let in_json = r#","a":"""#.len();
        // A token is in base64.
        let fields = moat::MAX_FILE_BYTES * 3 / 4 / in_json;
        assert!(fields * (4 + 1 + 4) <= crate::ambient::MAX_SECRET_BYTES);
    }
}
