//! An answer in small types of our own, for adapters to translate.

use bytes::Bytes;
use serde::Serialize;

/// The type of every JSON document here. RFC 8259 knows no `charset`; browsers that guess anyway are told (WB-01).
pub(crate) const JSON: &str = "application/json; charset=utf-8";

/// Room for the body of a usual answer.
const USUAL_BODY: usize = 1_024;
/// Room for the header fields of a usual answer.
const USUAL_FIELDS: usize = 12;

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Header fields: names in lower case, values without line breaks. A name may occur more than once.
    pub headers: Vec<(&'static str, Bytes)>,
    /// The body. Present for HEAD too: the server leaves it out and keeps its length.
    pub body: Bytes,
}

impl Reply {
    /// An answer without a body.
    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::with_capacity(USUAL_FIELDS), body: Bytes::new() }
    }

    /// An answer in JSON.
    ///
    /// # Errors
    /// The value cannot be written as JSON, which no wire type allows to happen.
    pub(crate) fn json(status: u16, value: &impl Serialize) -> Result<Self, serde_json::Error> {
        let mut body = Vec::with_capacity(USUAL_BODY);
        serde_json::to_writer(&mut body, value)?;
        Ok(Self::document(status, JSON, body))
    }

    /// An answer whose body exists already.
    pub(crate) fn document(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut reply = Self::empty(status);
        reply.body = body.into();
        reply.with("content-type", content_type)
    }

    /// The same with one more header field of fixed text.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, Bytes::from_static(value.as_bytes())));
        self
    }

    /// The same with one more header field.
    #[must_use]
    pub(crate) fn with_value(mut self, name: &'static str, value: impl Into<Bytes>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The first value of a header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(at, _)| *at == name)?;
        std::str::from_utf8(value).ok()
    }
}
