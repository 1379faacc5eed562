//! What the process that opens credentials sends to the one that uses them: for each credential its user, its revision, the
//! number of its values, and each value's name and text. Every text comes after its length.

use std::io::{self, Write};

use moat::{Credential, UserId};

/// A user's credential: names and values, the user name and the password first.
pub(crate) struct Values<'m> {
    pub(crate) user: &'m str,
    pub(crate) revision: &'m str,
    pub(crate) values: Vec<(&'m str, &'m str)>,
}

impl Values<'_> {
    /// The value of this name.
    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(found, _)| *found == name).map(|(_, value)| *value)
    }
}

/// Writes the user name, the password and the fields, without a copy of them.
pub(super) fn write(
    pipe: &mut impl Write,
    user: &UserId,
    revision: &str,
    credential: &Credential,
) -> io::Result<()> {
    let own = [("username", credential.username()), ("password", credential.expose_password())];
    let fields = credential.fields().iter().map(|field| (field.name(), field.expose_value()));
    write_text(pipe, user.as_str())?;
    write_text(pipe, revision)?;
    write_number(pipe, own.len() + fields.len())?;
    own.into_iter().chain(fields).try_for_each(|(name, value)| {
        write_text(pipe, name)?;
        write_text(pipe, value)
    })
}

fn write_text(pipe: &mut impl Write, text: &str) -> io::Result<()> {
    write_number(pipe, text.len())?;
    pipe.write_all(text.as_bytes())
}

fn write_number(pipe: &mut impl Write, number: usize) -> io::Result<()> {
    let number = u32::try_from(number).map_err(io::Error::other)?;
    pipe.write_all(&number.to_le_bytes())
}

/// The credentials; `None` unless the message consists of some and nothing else.
pub(super) fn parse(mut message: &[u8]) -> Option<Vec<Values<'_>>> {
    let mut credentials = Vec::new();
    while !message.is_empty() {
        let (user, revision) = (text(&mut message)?, text(&mut message)?);
        let count = number(&mut message)?;
        let values = (0..count).map(|_| Some((text(&mut message)?, text(&mut message)?)));
        credentials.push(Values { user, revision, values: values.collect::<Option<_>>()? });
    }
    Some(credentials)
}

fn text<'m>(message: &mut &'m [u8]) -> Option<&'m str> {
    let length = number(message)?;
    let (text, rest) = message.split_at_checked(length)?;
    *message = rest;
    std::str::from_utf8(text).ok()
}

fn number(message: &mut &[u8]) -> Option<usize> {
    let (number, rest) = message.split_first_chunk()?;
    *message = rest;
    usize::try_from(u32::from_le_bytes(*number)).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use moat::Field;

    fn written(users: &[&str], credential: &Credential) -> Vec<u8> {
        let mut message = Vec::new();
        for user in users {
            write(&mut message, &UserId::parse(user).unwrap(), "r1", credential).unwrap();
        }
        message
    }

    #[test]
    fn what_is_sent_arrives() {
        let fields = [("é", ""), ("two\nlines", "\0")].map(|(name, value)| Field::new(name, value));
        let credential = Credential::new("anna", "horse");
        let message =
            written(&["a", "b"], &fields.into_iter().fold(credential, Credential::with_field));
        let credentials = parse(&message).unwrap();
        assert_eq!(credentials.iter().map(|found| found.user).collect::<Vec<_>>(), ["a", "b"]);
        for found in credentials {
            assert_eq!(found.revision, "r1");
            assert_eq!(
                found.values,
                [("username", "anna"), ("password", "horse"), ("é", ""), ("two\nlines", "\0")]
            );
            assert_eq!(found.find("password"), Some("horse"));
            assert_eq!(found.find("pin"), None);
        }
    }

    #[test]
    fn what_is_cut_off_or_goes_on_is_refused() {
        let message = written(&["anna"], &Credential::new("anna", "horse"));
        for end in 1..message.len() {
            assert!(parse(&message[..end]).is_none(), "{end}");
        }
        assert!(parse(&[&message[..], b"\0"].concat()).is_none());
        assert!(parse(&message[..0]).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_text_or_longer_than_the_message_is_refused() {
        assert!(parse(b"\x01\0\0\0\xff\0\0\0\0\0\0\0\0").is_none());
        assert!(parse(b"\xff\xff\xff\xffname").is_none());
        assert!(parse(b"\0\0\0\0\0\0\0\0\xff\xff\xff\xff").is_none());
    }

    /// The limit of what is read for one credential is that of a record, though each length takes more room than JSON does.
    #[test]
    fn the_longest_message_is_within_the_limit() {
        let in_json = r#","a":"""#.len();
        // A token is in base64.
        let fields = moat::MAX_FILE_BYTES * 3 / 4 / in_json;
        let revision = 4 + 64;
        let head = 4 + moat::MAX_FILE_BYTES / 256 + revision + 4;
        assert!(head + fields * (4 + 1 + 4) <= crate::ambient::MAX_SECRET_BYTES);
    }
}
