//! The headers that every webhook carries.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Headers that control the transport of the request. Only the HTTP client sets them.
const RESERVED: [HeaderName; 8] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The headers that every webhook carries. The values are secrets: no log or debug output shows them.
#[derive(Clone, Default)]
pub struct WebhookHeaders(HeaderMap);

/// A header that cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidHeader {
    /// The name of the header.
    pub name: String,
    /// Why it cannot be sent. It does not contain the value.
    pub reason: &'static str,
}

impl fmt::Display for InvalidHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the header {:?} {}", self.name, self.reason)
    }
}

impl std::error::Error for InvalidHeader {}

impl WebhookHeaders {
    /// Headers by name and value.
    ///
    /// # Errors
    /// `InvalidHeader` if HTTP does not allow a name or a value, or if a header controls the transport of the request.
    pub fn new<'a>(headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, InvalidHeader> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let invalid = |reason| InvalidHeader { name: name.to_owned(), reason };
            let key: HeaderName = name.parse().map_err(|_| invalid("has a name that HTTP does not allow"))?;
            if RESERVED.contains(&key) {
                return Err(invalid("is set by the server itself"));
            }
            let mut value: HeaderValue =
                value.parse().map_err(|_| invalid("has a value with characters that HTTP does not allow"))?;
            value.set_sensitive(true);
            map.insert(key, value);
        }
        Ok(Self(map))
    }

    pub(super) fn map(&self) -> HeaderMap {
        self.0.clone()
    }
}

impl fmt::Debug for WebhookHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked_and_never_shown() {
        let headers = WebhookHeaders::new([("Authorization", "Bearer s3cret"), ("x-a", "é")]).unwrap();
        assert_eq!(format!("{headers:?}"), r#"{"authorization", "x-a"}"#);
        for (name, value) in [("a b", "x"), ("", "x"), ("Host", "x"), ("content-length", "1"), ("a", "s3cret\r\nb: c")]
        {
            let error = WebhookHeaders::new([(name, value)]).unwrap_err();
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }
}
