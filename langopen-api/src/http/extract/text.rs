//! Checks JSON text for values that its grammar permits but a database, Python or JavaScript cannot represent. These
//! are surrogates without their pair, U+0000, numbers beyond the range of a double, and unlimited nesting.
//!
//! The check is one pass over the text. It skips strings with `memchr`, and decodes only numbers that may be out of
//! range.

use std::borrow::Cow;

/// The maximum nesting of a body. The platform wraps documents in others (a run's row, a page of history), and every
/// component must still be able to parse them. The common limit of parsers is 128.
const MAX_DEPTH: usize = 120;

/// The maximum number of digits of an integer that is certainly within the range of a double. The greatest double has
/// 309 digits.
const SURE_DIGITS: usize = 308;

/// The reason why a body was refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A surrogate without its pair.
    Surrogate,
    /// Nesting of more than [`MAX_DEPTH`] levels.
    TooDeep,
    /// A number beyond the range of a double, with its first characters.
    Number(String),
}

/// Checks `text`, and replaces each U+0000 in it with U+FFFD. Invalid JSON may pass, because the parser refuses it.
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
            b'-' | b'0'..=b'9' => {
                at = number(text, at)?;
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
    Ok(if nuls.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(without_nuls(text, &nuls)) })
}

/// The text with U+FFFD in place of the escapes at these offsets. All escapes have the same length, so the offsets of
/// all other bytes stay the same.
fn without_nuls(text: &str, nuls: &[usize]) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let mut rest = 0;
    for &nul in nuls {
        cleaned.push_str(&text[rest..nul]);
        cleaned.push_str("\\ufffd");
        rest = nul + 6;
    }
    cleaned.push_str(&text[rest..]);
    cleaned
}

/// Skips the number that begins at `at`; returns the offset after it.
fn number(text: &str, at: usize) -> Result<usize, Refusal> {
    let rest = &text.as_bytes()[at..];
    let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    let length = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
    let (digits, end) = (&text[at..at + length], at + length);
    if length <= SURE_DIGITS && memchr::memchr2(b'e', b'E', digits.as_bytes()).is_none() {
        return Ok(end);
    }
    // serde_json also refuses a few of the greatest doubles. It parses the number later, where a failure would be an
    // internal error.
    let finite = digits.parse::<f64>().is_ok_and(f64::is_finite);
    match finite && serde_json::from_str::<f64>(digits).is_ok() {
        true => Ok(end),
        false => Err(Refusal::Number(digits.chars().take(20).collect())),
    }
}

/// Skips the string that begins at `at`; returns the offset after its closing quote.
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
            Some(_) => {}
            // Not a valid escape; the parser refuses it. The string's closing quote may be among the next four
            // characters.
            None => {
                at += 2;
                continue;
            }
        }
        at += 6;
    }
    Ok(bytes.len())
}

/// The code unit of the escape `\uXXXX` at `at`. It accepts exactly four hexadecimal digits, and no sign, which a
/// number parser would accept.
fn unit(bytes: &[u8], at: usize) -> Option<u32> {
    let hex = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    hex.iter().try_fold(0, |unit, digit| Some(unit * 16 + char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cleaned_or_refused() {
        for (text, expected) in [
            (r#"{"a":"b"}"#, Ok(r#"{"a":"b"}"#)),
            (r#""a\u0000b""#, Ok(r#""a\ufffdb""#)),
            (r#"["\u0000","x\u0000\u0000"]"#, Ok(r#"["\ufffd","x\ufffd\ufffd"]"#)),
            (r#""a\\u0000b""#, Ok(r#""a\\u0000b""#)),
            // These are not escapes, because they lack four hexadecimal digits.
            (r#""a\u+000b""#, Ok(r#""a\u+000b""#)),
            (r#""a\u00+0b""#, Ok(r#""a\u00+0b""#)),
            (r#""\u+d8\u+d8""#, Ok(r#""\u+d8\u+d8""#)),
            (r#"["\u00",1e999]"#, Err(Refusal::Number("1e999".to_owned()))),
            (r#""\ud83d\ude00""#, Ok(r#""\ud83d\ude00""#)),
            (r#""\uD83D\uDE00""#, Ok(r#""\uD83D\uDE00""#)),
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

    #[test]
    fn numbers_are_within_the_range_of_a_double() {
        let long = |digits: usize| "9".repeat(digits);
        let fine = [
            "0",
            "-1",
            "1.5e3",
            "1E+308",
            "-1e308",
            "1e-999",
            "0e999",
            "18446744073709551616",
            "1.7976931348623157e308",
        ];
        for number in fine.map(str::to_owned).into_iter().chain([long(308), format!("0.{}", long(400))]) {
            for text in [number.clone(), format!("{{\"x\":[{number}]}}"), format!("\"{}\"", "1e999")] {
                assert!(clean(&text).is_ok(), "{text}");
                assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
            }
        }
        for number in
            ["1e999", "-1E999", "1e309", "2.5e308", "1.0e+400"].map(str::to_owned).into_iter().chain([long(400)])
        {
            for text in [number.clone(), format!("{{\"x\": {number}}}"), format!("[1,{number} ]")] {
                assert!(matches!(clean(&text), Err(Refusal::Number(_))), "{text}");
            }
        }
    }
}
