//! Inputs that no operation expects.

use serde_json::{Value, json};

use crate::harness::NOWHERE;

/// Values of headers.
pub(super) const HEADER_VALUES: &[&[u8]] = &[
    b"",
    b"\xff\xfe",
    b"-",
    b"0",
    b"-1",
    b"99999999999999999999-99999999999999999999",
    b"18446744073709551615-18446744073709551615",
    b"*",
    b"null",
    b"{}",
    b"text/plain",
    b"application/json; charset=\xff",
    b"websocket",
    b"http://evil.example",
    b"%00",
    b"00-00000000000000000000000000000000-0000000000000000-ff",
    b"1.0",
    b"task",
];

/// Headers that the server or a part of it reads.
pub(super) const HEADERS: &[&str] = &[
    "last-event-id",
    "accept",
    "accept-encoding",
    "content-type",
    "content-length",
    "x-request-id",
    "traceparent",
    "tracestate",
    "a2a-version",
    "langgraph-a2a-history-scope",
    "origin",
    "host",
    "upgrade",
    "connection",
    "prefer",
    "expect",
    "x-forwarded-proto",
    "authorization",
    "x-api-key",
    "x-auth-scheme",
    "mcp-session-id",
    "mcp-protocol-version",
    "access-control-request-method",
];

/// Values of query parameters.
pub(super) const QUERIES: &[&str] = &[
    "",
    "=",
    "-1",
    "4294967295",
    "99999999999999999999",
    "%",
    "%00",
    "%FF%FE",
    "%+5",
    "[",
    "[1]",
    "[%22%22]",
    "{}",
    "true",
    "1e999",
    "a,b",
    "%7B%22configurable%22:null%7D",
];

/// JSON values of wrong types and sizes.
pub(super) fn wrong() -> Vec<String> {
    let values = [
        "null",
        "true",
        "0",
        "-1",
        "1.5",
        "1e308",
        "4294967295",
        "4294967296",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775808",
        "1e999",
        "\"\"",
        "\"x\"",
        "\"\\u0000\"",
        "\"a\\u+000b\"",
        "\"\\ud800\"",
        "\"\\u202e\\u2028\"",
        "\"9999999999-01-01T00:00:00Z\"",
        "\"0000-00-00\"",
        "\"%00%ff\"",
        "\"$.a[*]\"",
        "\"values.[0]..x\"",
        "\"-\"",
        "\"*\"",
        "[]",
        "[null]",
        "[[]]",
        "[{}]",
        "[\"\"]",
        "[1e400]",
        "{}",
        "{\"\":null}",
        "{\"$eq\":[]}",
        "{\"$or\":[null]}",
        "{\"configurable\":null}",
        "{\"configurable\":[]}",
        "{\"configurable\":{}}",
        "{\"configurable\":{\"checkpoint_id\":1,\"thread_id\":[]}}",
        "{\"tags\":1,\"recursion_limit\":-1}",
        "{\"ttl\":1e308,\"strategy\":null}",
    ];
    let large = [
        format!("\"{}\"", "é".repeat(3000)),
        "9".repeat(400),
        format!("{}{}", "[".repeat(110), "]".repeat(110)),
        format!("{}1{}", "{\"a\":".repeat(110), "}".repeat(110)),
        format!("{}{}", "[".repeat(200), "]".repeat(200)),
        format!("\"{NOWHERE}\""),
        format!("[\"{NOWHERE}\",\"{NOWHERE}\"]"),
    ];
    values.into_iter().map(str::to_owned).chain(large).collect()
}

/// Bodies that are not JSON objects.
pub(super) fn broken() -> Vec<Vec<u8>> {
    let texts: [&[u8]; 14] = [
        b"",
        b"{",
        b"[",
        b"\"",
        b"{}{}",
        b"{\"a\":1,\"a\":2}",
        b"{\"a\"}",
        b"\xff\xfe",
        b"{\"a\":\"\x00\"}",
        b"\xef\xbb\xbf{}",
        b"nul",
        b"-",
        b"1e",
        b"{\"\\u00\":1}",
    ];
    texts.into_iter().map(<[u8]>::to_vec).chain(wrong().into_iter().map(String::into_bytes)).collect()
}

/// Variants of an object with `text` as the value of each key in turn, of each nested key, and of an unknown key.
pub(super) fn spoiled(whole: &Value, text: &str, deep: usize) -> Vec<String> {
    let mut all = Vec::new();
    match whole {
        Value::Object(fields) => {
            let with = |spoiled: &str, inner: &str| {
                let mut parts: Vec<_> = fields
                    .iter()
                    .filter(|(key, _)| *key != spoiled)
                    .map(|(key, value)| format!("{}:{value}", json!(key)))
                    .collect();
                parts.push(format!("{}:{inner}", json!(spoiled)));
                format!("{{{}}}", parts.join(","))
            };
            for (key, value) in fields {
                all.push(with(key, text));
                if deep > 0 {
                    all.extend(spoiled(value, text, deep - 1).iter().map(|inner| with(key, inner)));
                }
            }
            all.push(with("unknown", text));
        }
        Value::Array(items) => {
            all.push(format!("[{text}]"));
            let inner = items.first().filter(|_| deep > 0);
            all.extend(
                inner.into_iter().flat_map(|item| spoiled(item, text, deep - 1)).map(|inner| format!("[{inner}]")),
            );
        }
        _ => {}
    }
    all
}

/// A body with every field of its schema, with values of the right types.
pub(super) fn whole_body(document: &Value, schema: &Value, base: &Value, deep: usize) -> Value {
    let schema = match schema["$ref"].as_str() {
        Some(name) => document.pointer(name.trim_start_matches('#')).unwrap_or(&Value::Null),
        None => schema,
    };
    let Some(properties) = schema["properties"].as_object().filter(|_| deep > 0) else { return base.clone() };
    let mut whole = base.as_object().cloned().unwrap_or_default();
    for (name, property) in properties {
        let held = whole.get(name).cloned().unwrap_or(Value::Null);
        let inner = property["oneOf"].as_array().and_then(|all| all.iter().find(|each| each["type"] != "null"));
        whole.insert(name.clone(), whole_body(document, inner.unwrap_or(property), &held, deep - 1));
    }
    Value::Object(whole)
}
