//! Removes duplicate keys of objects. The last one wins, as in the JSON parsers of clients.

use std::collections::HashMap;

use crate::http::entries::Entries;

/// The depth to which the API's own fields reach. Deeper values are read as maps or passed on as text, where the last
/// key wins anyway.
const DEPTH: usize = 6;

/// The text with only the last value of each key.
pub(super) fn without_duplicates(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    write(text.trim(), DEPTH, &mut out);
    out
}

fn write(text: &str, depth: usize, out: &mut String) {
    let inner = depth.saturating_sub(1);
    match text.as_bytes().first() {
        Some(b'{') if depth > 0 => {
            let Ok(Entries(entries)) = serde_json::from_str(text) else { return out.push_str(text) };
            let last: HashMap<&str, usize> = entries.iter().enumerate().map(|(at, (key, _))| (&**key, at)).collect();
            let kept = entries.iter().enumerate().filter(|(at, (key, _))| last.get(&**key) == Some(at));
            out.push('{');
            for (n, (_, (key, value))) in kept.enumerate() {
                out.push_str(if n == 0 { "" } else { "," });
                out.push_str(&serde_json::Value::from(&**key).to_string());
                out.push(':');
                write(value.get(), inner, out);
            }
            out.push('}');
        }
        Some(b'[') if depth > 0 => {
            let items = serde_json::from_str::<Vec<&serde_json::value::RawValue>>(text);
            let Ok(items) = items else { return out.push_str(text) };
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                out.push_str(if n == 0 { "" } else { "," });
                write(item.get(), inner, out);
            }
            out.push(']');
        }
        _ => out.push_str(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_key_wins() {
        for (text, expected) in [
            (r#"{"a":1,"b":[{"c":1e9,"c":2}],"a":{"x":1.50}}"#, r#"{"b":[{"c":2}],"a":{"x":1.50}}"#),
            (r#" {"\u0061":1,"a":2} "#, r#"{"a":2}"#),
            ("[]", "[]"),
            ("1", "1"),
        ] {
            assert_eq!(without_duplicates(text), expected);
        }
    }
}
