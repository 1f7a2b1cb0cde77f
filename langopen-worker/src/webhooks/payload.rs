//! Builds the body of a webhook from the stored payload.

use indexmap::IndexMap;
use langopen_core::{RawJson, Timestamp};
use serde_json::value::{RawValue, to_raw_value};

/// The payload with the time of sending, reduced to `allowed_fields`. The text of each value stays as it is.
pub(super) fn body(
    payload: &RawJson,
    sent_at: Timestamp,
    allowed_fields: Option<&[String]>,
) -> Result<Vec<u8>, serde_json::Error> {
    let sent_at = to_raw_value(&sent_at)?;
    let mut fields: IndexMap<&str, &RawValue> = payload.decode()?;
    fields.insert("webhook_sent_at", &sent_at);
    if let Some(allowed) = allowed_fields {
        fields.retain(|name, _| allowed.iter().any(|each| each == name));
    }
    serde_json::to_vec(&fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_stamped_and_cut_down() {
        let payload =
            RawJson::from_text(r#"{"run_id":"a","webhook_sent_at":null,"values":{"n": 1.50}}"#.to_owned()).unwrap();
        let sent_at = Timestamp::from_micros(0);
        let text = |allowed: Option<&[String]>| String::from_utf8(body(&payload, sent_at, allowed).unwrap()).unwrap();
        assert_eq!(
            text(None),
            r#"{"run_id":"a","webhook_sent_at":"1970-01-01T00:00:00.000000+00:00","values":{"n": 1.50}}"#
        );
        assert_eq!(text(Some(&["values".to_owned(), "none".to_owned()])), r#"{"values":{"n": 1.50}}"#);
    }
}
