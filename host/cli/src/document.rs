//! A credential as a JSON document: what `set --json-stdin` reads, and `edit` shows.

use std::fmt;
use std::io::Write;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::failure::Failure;
use crate::style::write_json;

/// A credential, or parts of one.
#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    #[serde(default)]
    pub(super) fields: Fields,
}

/// A structure that was read from an object: serde takes an array of its values, too.
pub(super) struct Object<T>(pub(super) T);

/// Names and values in their order. A name that occurs twice stays there twice, and is refused with the fields.
#[derive(Default, Zeroize, ZeroizeOnDrop)]
pub(super) struct Fields(pub(super) Vec<(String, String)>);

impl Document {
    /// Reads a document, which messages call this.
    pub(super) fn parse(text: &str, what: &str) -> Result<Self, Failure> {
        // The message of the parser may quote what it read.
        let Object(document) = serde_json::from_str(text).map_err(|error| {
            Failure::usage(
                format!(
                    "{what} is not as expected (line {}, column {})",
                    error.line(),
                    error.column()
                ),
                r#"nothing was changed; it has to be one JSON object: {"username": "…", "password": "…", "fields": {"NAME": "VALUE"}}"#,
            )
        })?;
        Ok(document)
    }

    /// The document with each value on a line of its own. What could hide in an editor is escaped.
    pub(super) fn text(&self) -> Zeroizing<Vec<u8>> {
        let own = [("username", &self.username), ("password", &self.password)];
        let own = own.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
        // At most six bytes for each, because a growing buffer would leave copies behind.
        let room = |(name, value): (&str, &str)| 6 * (name.len() + value.len()) + 16;
        let length = own.clone().chain(self.fields.iter()).map(room).sum::<usize>() + 64;
        let mut text = Zeroizing::new(Vec::with_capacity(length));
        // Writing to memory doesn't fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut Vec<u8>) -> std::io::Result<()> {
        text.write_all(b"{")?;
        for (name, value) in [("username", &self.username), ("password", &self.password)] {
            if let Some(value) = value {
                write!(text, "\n  \"{name}\": ")?;
                write_json(text, value, true)?;
                text.write_all(b",")?;
            }
        }
        text.write_all(b"\n  \"fields\": {")?;
        for (place, (name, value)) in self.fields.iter().enumerate() {
            text.write_all(if place == 0 { b"\n    " } else { b",\n    " })?;
            write_json(text, &name, true)?;
            text.write_all(b": ")?;
            write_json(text, &value, true)?;
        }
        text.write_all(if self.fields.0.is_empty() { b"}" } else { b"\n  }" })?;
        text.write_all(b"\n}\n")
    }
}

impl Fields {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of this name.
    pub(super) fn find(&self, name: &str) -> Option<&str> {
        self.iter().find(|(found, _)| *found == name).map(|(_, value)| value)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_map(Members(PhantomData)).map(Self)
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of names and values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Fields::default();
                while let Some(field) = map.next_entry()? {
                    fields.0.push(field);
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn document(fields: &[(&str, &str)]) -> Document {
        let fields = fields.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let (username, password) = (Some("anna".to_owned()), Some("horse".to_owned()));
        Document { username, password, fields: Fields(fields.collect()) }
    }

    #[test]
    fn the_text_has_each_value_on_a_line() {
        let text = |fields| String::from_utf8(document(fields).text().to_vec()).unwrap();
        assert_eq!(
            text(&[("pin", "4711"), ("é\"", "a\n\u{7f}\u{202e}")]),
            r#"{
  "username": "anna",
  "password": "horse",
  "fields": {
    "pin": "4711",
    "é\"": "a\n\u007f\u202e"
  }
}
"#
        );
        assert!(text(&[]).ends_with("\"fields\": {}\n}\n"));
    }

    #[test]
    fn only_an_object_is_a_document() {
        assert!(Document::parse("{}", "it").is_ok());
        for text in [r#"["anna", "horse", {}]"#, "[]", "null", r#"{"fields": ["pin"]}"#] {
            assert!(Document::parse(text, "it").is_err(), "{text}");
        }
    }

    #[test]
    fn every_character_comes_back_and_the_buffer_never_grows() {
        let all: String = ('\0'..=char::MAX).collect();
        let document = document(&[(&all, &all), ("x", "\u{7f}")]);
        let text = document.text();
        let (length, capacity) = (text.len(), text.capacity());
        assert!(capacity <= 6 * 4 * all.len() && length <= capacity);
        let read = Document::parse(std::str::from_utf8(&text).unwrap(), "it").unwrap();
        assert!(read.fields.0 == document.fields.0);
        // The one that takes most.
        let most = "\u{7f}".repeat(100);
        let document = super::tests::document(&[(&most, &most)]);
        let mut grown = Vec::new();
        document.write(&mut grown).unwrap();
        assert_eq!(*document.text(), grown);
        assert!(document.text().capacity() < 2 * grown.len());
    }
}
