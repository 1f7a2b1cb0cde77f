//! What JSON grammar alone does not forbid but databases, Python or other readers cannot hold: surrogates without their pair, U+0000, and
//! nesting without end. One pass over the text, most of it by `memchr`.

use std::borrow::Cow;

/// How deep a body may nest. Documents are wrapped in others (a run's row, a page of history) and must still be readable by every
/// part of the platform; 128 is the common limit.
const MAX_DEPTH: usize = 120;

/// Why a body was refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Surrogate,
    TooDeep,
}

/// Checks `text`, and replaces each U+0000 in it with U+FFFD. Text that is not JSON may pass: the parser decides about that.
pub(super) fn clean(text: &str) -> Result<Cow<'_, str>, Refusal> {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    let mut at = 0;
    let mut nuls = Vec::new();
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = string(bytes, at + 1, &mut nuls)?;
                continue;
            }
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(Refusal::TooDeep);
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    if nuls.is_empty() {
        return Ok(Cow::Borrowed(text));
    }
    let mut cleaned = text.to_owned();
    for nul in nuls {
        cleaned.replace_range(nul..nul + 6, "\\ufffd");
    }
    Ok(Cow::Owned(cleaned))
}

/// Goes through a string that begins at `at`; returns the place after its closing quote.
fn string(bytes: &[u8], mut at: usize, nuls: &mut Vec<usize>) -> Result<usize, Refusal> {
    while let Some(found) = memchr::memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
        at += found;
        if bytes[at] == b'"' {
            return Ok(at + 1);
        }
        if bytes.get(at + 1) != Some(&b'u') {
            at += 2;
            continue;
        }
        match unit(bytes, at) {
            Some(0) => nuls.push(at),
            Some(0xd800..=0xdbff) => {
                if !matches!(unit(bytes, at + 6), Some(0xdc00..=0xdfff)) {
                    return Err(Refusal::Surrogate);
                }
                at += 6;
            }
            Some(0xdc00..=0xdfff) => return Err(Refusal::Surrogate),
            _ => {}
        }
        at += 6;
    }
    Ok(bytes.len())
}

/// The code unit of the escape `\uXXXX` at `at`.
fn unit(bytes: &[u8], at: usize) -> Option<u32> {
    let hex = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u32::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cleaned_or_refused() {
        for (text, expected) in [
            (r#"{"a":"b"}"#, Ok(r#"{"a":"b"}"#)),
            (r#""a\u0000b""#, Ok(r#""a\ufffdb""#)),
            (r#""a\\u0000b""#, Ok(r#""a\\u0000b""#)),
            (r#""\ud83d\ude00""#, Ok(r#""\ud83d\ude00""#)),
            (r#""\ud83d""#, Err(Refusal::Surrogate)),
            (r#""\ude00""#, Err(Refusal::Surrogate)),
            (r#""\ud83d\u0041""#, Err(Refusal::Surrogate)),
            (r#""open"#, Ok(r#""open"#)),
            (r#""open\"#, Ok(r#""open\"#)),
        ] {
            assert_eq!(
                clean(text).as_deref().map_err(|e| format!("{e:?}")),
                expected.map_err(|e| format!("{e:?}")),
                "{text}"
            );
        }
        let deep = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert!(clean(&deep(MAX_DEPTH)).is_ok());
        assert_eq!(clean(&deep(MAX_DEPTH + 1)), Err(Refusal::TooDeep));
    }
}
