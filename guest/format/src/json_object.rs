//! A JSON object whose unknown members survive a rewrite byte for byte: their order, their whitespace, their numbers.

use std::fmt;

use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::error::FormatError;
use crate::message::Fault;

/// The members of an object, in their order, each value as the text that it was read from.
#[derive(Default)]
pub struct RawObject(Vec<(String, Box<RawValue>)>);

impl RawObject {
    /// The value of a member; `None` when it is missing.
    ///
    /// # Errors
    ///
    /// The member occurs twice, or it is not a `T`.
    pub fn find<T: DeserializeOwned>(&self, name: &'static str) -> Result<Option<T>, FormatError> {
        self.get(name).map_err(|fault| FormatError::member(name, fault))
    }

    /// As [`Self::find`], for a member of any name.
    ///
    /// # Errors
    ///
    /// [`Fault::Twice`] or [`Fault::WrongType`].
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Fault> {
        let mut found = self.0.iter().filter(|(key, _)| key == name);
        let Some((_, value)) = found.next() else {
            return Ok(None);
        };
        if found.next().is_some() {
            return Err(Fault::Twice);
        }
        serde_json::from_str(value.get()).map(Some).map_err(|_| Fault::WrongType)
    }

    /// The value of a member that must be there.
    ///
    /// # Errors
    ///
    /// As [`Self::find`], and when the member is missing.
    pub fn require<T: DeserializeOwned>(&self, name: &'static str) -> Result<T, FormatError> {
        self.find(name)?.ok_or(FormatError::member(name, Fault::Missing))
    }

    /// Replaces the value of a member in its place, or appends the member.
    ///
    /// # Errors
    ///
    /// The value can't be written as JSON.
    pub fn set(&mut self, name: &'static str, value: impl Serialize) -> Result<(), FormatError> {
        self.put(name, value).map_err(|fault| FormatError::member(name, fault))
    }

    /// As [`Self::set`], for a member of any name.
    ///
    /// # Errors
    ///
    /// [`Fault::NotJson`] when the value can't be written as JSON.
    pub fn put(&mut self, name: &str, value: impl Serialize) -> Result<(), Fault> {
        let value = serde_json::value::to_raw_value(&value).map_err(|_| Fault::NotJson)?;
        match self.0.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
        Ok(())
    }

    /// Removes a member if it exists.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(key, _)| key != name);
    }

    /// Whether there is a member of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    /// The members, each with the text of its value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.0.iter().map(|(key, value)| (key.as_str(), &**value))
    }
}

impl<'de> Deserialize<'de> for RawObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = RawObject;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawObject, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(RawObject(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl Serialize for RawObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> RawObject {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn keeps_unknown_members_as_they_were_written() {
        let text = r#"{"z":1.50,"big":123456789012345678901234567890,"x":"\ud800","a":"old","n":[1, {"b":2}]}"#;
        let mut members = parse(text);
        members.set("a", "new").unwrap();
        assert_eq!(serde_json::to_string(&members).unwrap(), text.replace("old", "new"));
    }

    #[test]
    fn refuses_twins_and_wrong_types_without_quoting_them() {
        let members = parse(r#"{"a":"x","\u0061":"y","b":"hunter2"}"#);
        assert_eq!(members.find::<String>("a").unwrap_err().to_string(), "`a` occurs twice");
        assert_eq!(members.find::<u32>("b").unwrap_err().to_string(), "`b` has the wrong type");
    }

    #[test]
    fn a_member_that_is_removed_is_gone_and_the_others_stay() {
        let mut members = parse(r#"{"a":1,"b":2,"c":3}"#);
        assert!(members.contains("b"));
        members.remove("b");
        assert!(!members.contains("b") && members.contains("a"));
        let left: Vec<_> = members.iter().map(|(name, value)| (name, value.get())).collect();
        assert_eq!(left, [("a", "1"), ("c", "3")]);
    }

    #[test]
    fn takes_nothing_but_an_object() {
        for text in ["null", "[]", "\"x\"", "1", "{} x", "", "\u{feff}{}"] {
            assert!(serde_json::from_str::<RawObject>(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn deep_nesting_is_no_danger() {
        let text = format!(r#"{{"deep":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(serde_json::to_string(&parse(&text)).unwrap(), text);
    }
}
