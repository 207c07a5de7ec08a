//! Reading bodies and queries: strict about types, generous about fields nobody knows, and able to name every field
//! that is wrong.

use std::borrow::Cow;
use std::fmt;

use identsphere_core::FieldFault;
use identsphere_kernel::SecretString;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::{Map, Value};

use crate::failure::Failure;

/// Deepest nesting of a body.
const MAX_DEPTH: usize = 32;

/// Reads a JSON object.
///
/// # Errors
/// The body is no JSON object, is nested too deeply, or names a known field twice.
pub(crate) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    let refuse = |message: &dyn fmt::Display| Err(Failure::invalid_field("body", message));
    if body.trim_ascii_start().first() != Some(&b'{') {
        return refuse(&"must be a JSON object");
    }
    if nests_too_deeply(body) {
        return refuse(&"must not be nested deeper than 32 levels");
    }
    serde_json::from_slice(body).or_else(|error| match error.classify() {
        // Fields take values of every type, so all that can be wrong with one here is that it comes twice.
        Category::Data => match error.to_string().split('`').nth(1) {
            Some(field) => refuse(&format_args!("must not hold `{field}` twice")),
            None => refuse(&"must be a JSON object"),
        },
        Category::Syntax | Category::Eof | Category::Io => {
            let (line, column) = (error.line(), error.column());
            refuse(&format_args!("must be valid JSON; it is not at line {line}, column {column}"))
        }
    })
}

/// Whether brackets outside of strings nest deeper than [`MAX_DEPTH`]. Looks at each byte once.
fn nests_too_deeply(body: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return true;
        }
    }
    false
}

/// A field that holds text, read in such a way that a wrong type does not hide the faults of other fields. `null` is
/// the same as absent.
#[derive(Debug, Default)]
pub(crate) enum Text {
    #[default]
    Absent,
    Given(SecretString),
    WrongType,
}

impl Text {
    /// The text of a field that must be there; empty, with a fault noted, when it is not.
    pub(crate) fn required(&self, field: &'static str, faults: &mut Faults) -> &str {
        match self {
            Self::Given(text) => text.expose(),
            Self::Absent => faults.note(field, "is required"),
            Self::WrongType => faults.note(field, "must be a string"),
        }
    }

    /// The text of a field that may be absent.
    pub(crate) fn optional(&self, field: &'static str, faults: &mut Faults) -> Option<&str> {
        match self {
            Self::Given(text) => Some(text.expose()),
            Self::Absent => None,
            Self::WrongType => Some(faults.note(field, "must be a string")),
        }
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text::Given(SecretString::new(text)))
            }

            fn visit_unit<E>(self) -> Result<Text, E> {
                Ok(Text::Absent)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Text, E> {
                Ok(Text::WrongType)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Text, E> {
                Ok(Text::WrongType)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Text, E> {
                Ok(Text::WrongType)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Text, E> {
                Ok(Text::WrongType)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Text, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Text::WrongType)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Text::WrongType)
            }
        }

        deserializer.deserialize_any(TextVisitor)
    }
}

/// A field that holds something other than text, read with the same patience. `null` is the same as absent.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Json(Value);

impl Json {
    /// The truth of a field that may be absent.
    pub(crate) fn flag(self, field: &'static str, faults: &mut Faults) -> Option<bool> {
        match self.0 {
            Value::Null => None,
            Value::Bool(flag) => Some(flag),
            Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                faults.note(field, "must be true or false");
                None
            }
        }
    }

    /// The object of a field that may be absent.
    pub(crate) fn object(self, field: &'static str, faults: &mut Faults) -> Option<Map<String, Value>> {
        match self.0 {
            Value::Null => None,
            Value::Object(members) => Some(members),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                faults.note(field, "must be a JSON object");
                None
            }
        }
    }
}

/// The faults of one request, collected.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<FieldFault>);

impl Faults {
    /// Notes a fault. Gives back the text that stands in for the field until [`Faults::check`] refuses it.
    pub(crate) fn note(&mut self, field: &'static str, message: &'static str) -> &'static str {
        self.0.push(FieldFault::new(field, message));
        ""
    }

    /// Refuses the request if there was a fault.
    pub(crate) fn check(self) -> Result<(), Failure> {
        if self.0.is_empty() { Ok(()) } else { Err(Failure::invalid(self.0)) }
    }
}

/// The value of a query parameter.
///
/// # Errors
/// It is given more than once.
pub(crate) fn query<'q>(query: &'q str, name: &'static str) -> Result<Option<Cow<'q, str>>, Failure> {
    let mut values =
        url::form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name).map(|(_, value)| value);
    let value = values.next();
    match values.next() {
        Some(_) => Err(Failure::invalid_field(name, "must be given once")),
        None => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Sample {
        email: Text,
        name: Text,
    }

    fn faults(body: &[u8]) -> Vec<(String, String)> {
        let check = || {
            let sample: Sample = json(body)?;
            let mut faults = Faults::default();
            sample.email.required("email", &mut faults);
            sample.name.optional("name", &mut faults);
            faults.check()
        };
        let Err(failure) = check() else { return vec![] };
        let envelope: Value = serde_json::from_slice(&failure.into_reply("r").body).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let fields = envelope["error"]["fields"].as_array().unwrap();
        fields.iter().map(|fault| (text(&fault["field"]), text(&fault["message"]))).collect()
    }

    fn fault(body: &str) -> (String, String) {
        faults(body.as_bytes()).into_iter().next().unwrap()
    }

    #[test]
    fn every_wrong_field_is_named() {
        let all = faults(br#"{ "email": 5, "name": {"first": ["x"]} }"#);
        assert_eq!(
            all,
            [("email", "must be a string"), ("name", "must be a string")]
                .map(|(field, message)| (field.to_owned(), message.to_owned()))
        );
        assert_eq!(fault("{}"), ("email".into(), "is required".into()));
        assert_eq!(fault(r#"{"email":null}"#), ("email".into(), "is required".into()));
        for wrong in ["true", "1", "-1", "1.5", "[]", "{}"] {
            assert_eq!(fault(&format!(r#"{{"email":{wrong}}}"#)).1, "must be a string", "{wrong}");
        }
    }

    #[test]
    fn unknown_fields_are_ignored_and_known_ones_given_once() {
        assert!(faults(br#"{"email":"a","name":null,"role":"owner","role":{"x":[1,2]}}"#).is_empty());
        assert_eq!(
            fault(r#"{"email":"a","email":"b"}"#),
            ("body".into(), "must not hold `email` twice".into())
        );
    }

    #[test]
    fn what_is_no_json_object_is_refused() {
        for body in ["", "{", "nonsense", r#"{"email":"a"}x"#, "{'email':'a'}", r#"{"email":1e999}"#] {
            assert_eq!(fault(body).0, "body", "{body}");
        }
        for body in ["5", "null", "\"email\"", "true", r#"["a@example.com","b"]"#] {
            assert_eq!(fault(body), ("body".into(), "must be a JSON object".into()), "{body}");
        }
        assert_eq!(faults(b"{\"email\":\"\xff\"}")[0].0, "body");
        assert_eq!(fault(r#"{"email":"\ud800"}"#).0, "body");
    }

    #[test]
    fn nesting_has_an_end() {
        let nested = |depth: usize| {
            format!(r#"{{"email":"a","x":{}{}}}"#, "[".repeat(depth - 1), "]".repeat(depth - 1))
        };
        assert!(faults(nested(32).as_bytes()).is_empty());
        assert_eq!(fault(&nested(33)), ("body".into(), "must not be nested deeper than 32 levels".into()));
        assert!(faults(format!(r#"{{"email":"{}\"[["}}"#, "[".repeat(100)).as_bytes()).is_empty());
    }

    #[test]
    fn a_parameter_is_given_once() {
        assert_eq!(query("a=1&b=%32", "b").unwrap().as_deref(), Some("2"));
        assert_eq!(query("a=1", "b").unwrap(), None);
        assert!(query("b=1&b=1", "b").is_err());
    }

    proptest! {
        #[test]
        fn no_body_makes_the_reader_panic(body in any::<Vec<u8>>()) {
            let _ = faults(&body);
        }
    }
}
