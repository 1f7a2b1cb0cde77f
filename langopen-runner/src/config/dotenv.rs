//! Reads `.env` files as python-dotenv reads them.
//!
//! LangGraph's own servers read `env` files with python-dotenv, so its rules define the meaning of a line. The Rust
//! crates (`dotenvy`, `dotenv`) follow the rules of a shell instead: they expand `$word1` in an unquoted value, end a
//! value at the first `#`, and refuse `two words`. A wrong value is worse than a refusal, so this module has its own
//! parser. `tests/dotenv.rs` compares it with recorded results of python-dotenv, and with python-dotenv itself if it is
//! installed.
//!
//! The rules:
//!
//! - An unquoted value ends at the line's end, or before whitespace and `#`. Nothing in it is an escape.
//! - A value in double quotes may span lines, and has the escapes `\n`, `\t`, `\"` and the like. A value in single
//!   quotes has only `\'` and `\\`. Only a comment may follow the closing quote.
//! - `${NAME}` and `${NAME:-default}` are replaced in all three forms. `$NAME` is not.
//! - A name without `=` has no value.
//! - The parser skips a line that matches none of these rules, and reports its number.

use std::collections::BTreeMap;

/// The contents of a file, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parsed {
    /// Names and values before `${NAME}` is replaced; `None` for a name without `=`.
    pub bindings: Vec<(String, Option<String>)>,
    /// The numbers of the unreadable lines, from 1.
    pub unreadable: Vec<usize>,
}

/// Reads the text of a file.
pub(super) fn parse(text: &str) -> Parsed {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // Python's text mode converts every kind of line end to `\n`.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut reader = Reader { text: &text, at: 0 };
    let mut parsed = Parsed::default();
    loop {
        reader.skip(is_space);
        if reader.rest().is_empty() {
            return parsed;
        }
        let start = reader.at;
        match reader.binding() {
            Some((Some(name), value)) => parsed.bindings.push((name, value)),
            Some((None, _)) => {}
            None => {
                reader.skip(|c| c != '\n');
                parsed.unreadable.push(text[..start].matches('\n').count() + 1);
            }
        }
    }
}

/// Replaces `${NAME}` in every value with an earlier value of the file, or else with the result of `variable`.
pub(super) fn resolve(
    bindings: Vec<(String, Option<String>)>,
    variable: impl Fn(&str) -> Option<String>,
) -> BTreeMap<String, Option<String>> {
    let mut resolved = BTreeMap::<String, Option<String>>::new();
    for (name, value) in bindings {
        let value = value.map(|value| {
            expand(&value, |name, default| match resolved.get(name) {
                Some(own) => own.clone().unwrap_or_default(),
                None => variable(name).unwrap_or_else(|| default.unwrap_or_default().to_owned()),
            })
        });
        resolved.insert(name, value);
    }
    resolved
}

fn expand(value: &str, find: impl Fn(&str, Option<&str>) -> String) -> String {
    let mut expanded = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(start) = rest.find("${") {
        expanded.push_str(&rest[..start]);
        let inside = &rest[start + 2..];
        match reference(inside) {
            Some((name, default, length)) => {
                expanded.push_str(&find(name, default));
                rest = &inside[length..];
            }
            None => {
                expanded.push_str("${");
                rest = inside;
            }
        }
    }
    expanded + rest
}

/// The name and the default at the start of `text`, which follows `${`, and the length up to and with the brace.
fn reference(text: &str) -> Option<(&str, Option<&str>, usize)> {
    let end = text.find(['}', ':'])?;
    let (name, rest) = text.split_at(end);
    if rest.starts_with('}') {
        return Some((name, None, end + 1));
    }
    let rest = rest.strip_prefix(":-")?;
    let length = rest.find('}')?;
    Some((name, Some(&rest[..length]), end + 2 + length + 1))
}

/// Whitespace as Python defines it: Rust's definition and four control characters.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

fn is_blank(c: char) -> bool {
    is_space(c) && c != '\n'
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Skips all characters that fit, and returns them.
    fn skip(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c| !fits(c)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// One binding, or a comment without a name; `None` if the line is unreadable.
    fn binding(&mut self) -> Option<(Option<String>, Option<String>)> {
        self.export();
        let name = match self.peek() {
            Some('#') => None,
            Some('\'') => Some(self.quoted_name()?),
            _ => Some(self.skip(|c| !is_space(c) && c != '=' && c != '#')).filter(|name| !name.is_empty()).map(Some)?,
        };
        self.skip(is_blank);
        let value = if self.peek() == Some('=') { Some(self.value()?) } else { None };
        let before = self.at;
        self.skip(is_blank);
        match self.peek() {
            Some('#') => {
                self.skip(|c| c != '\n');
            }
            None | Some('\n') => {}
            Some(_) => {
                self.at = before;
                return None;
            }
        }
        if self.peek() == Some('\n') {
            self.at += 1;
        }
        Some((name.map(str::to_owned), value))
    }

    fn export(&mut self) {
        let before = self.at;
        if let Some(rest) = self.rest().strip_prefix("export") {
            self.at = self.text.len() - rest.len();
            if self.skip(is_blank).is_empty() {
                self.at = before;
            }
        }
    }

    fn quoted_name(&mut self) -> Option<&'a str> {
        let inside = &self.rest()[1..];
        let length = inside.find('\'').filter(|length| *length > 0)?;
        self.at += length + 2;
        Some(&inside[..length])
    }

    fn value(&mut self) -> Option<String> {
        self.at += 1;
        let blanks = self.skip(is_blank);
        match self.peek() {
            // `NAME= # note` has a comment; `NAME=#note` has a value.
            Some('#') if !blanks.is_empty() => Some(String::new()),
            Some(quote @ ('\'' | '"')) => self.quoted_value(quote),
            None | Some('\n') => Some(String::new()),
            Some(_) => Some(unquoted(self.skip(|c| c != '\n')).to_owned()),
        }
    }

    fn quoted_value(&mut self, quote: char) -> Option<String> {
        let mut value = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        loop {
            match chars.next()? {
                (index, c) if c == quote => {
                    self.at += index + 1;
                    return Some(value);
                }
                (_, '\\') => {
                    let escaped = chars.next()?.1;
                    match if quote == '"' { double(escaped) } else { single(escaped) } {
                        Some(c) => value.push(c),
                        None => value.extend(['\\', escaped]),
                    }
                }
                (_, c) => value.push(c),
            }
        }
    }
}

fn unquoted(line: &str) -> &str {
    let mut before = None;
    let end = line.char_indices().find(|(_, c)| {
        let found = *c == '#' && before.is_some_and(is_space);
        before = Some(*c);
        found
    });
    line[..end.map_or(line.len(), |(index, _)| index)].trim_end_matches(is_space)
}

fn single(escaped: char) -> Option<char> {
    matches!(escaped, '\\' | '\'').then_some(escaped)
}

fn double(escaped: char) -> Option<char> {
    Some(match escaped {
        '\\' | '\'' | '"' => escaped,
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        _ => return None,
    })
}
