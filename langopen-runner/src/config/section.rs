//! Reads a JSON object key by key, and collects every problem, so one message lists all of them.

use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::path::Path;

use serde_json::{Map, Value};

use super::describe;
use super::error::Problem;
use super::target::Target;

/// The state that all sections of one file share.
pub(super) struct Context<'a> {
    /// The start of the file's relative paths.
    pub base_dir: &'a Path,
    problems: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
}

impl<'a> Context<'a> {
    pub(super) fn new(base_dir: &'a Path) -> Self {
        Self { base_dir, problems: RefCell::default(), warnings: RefCell::default() }
    }

    pub(super) fn report(&self, key: impl Into<String>, message: impl Into<String>, remedy: impl Into<String>) {
        self.problems.borrow_mut().push(Problem { key: key.into(), message: message.into(), remedy: remedy.into() });
    }

    pub(super) fn warn(&self, key: impl Into<String>, message: impl Into<String>, remedy: impl Into<String>) {
        self.warnings.borrow_mut().push(Problem { key: key.into(), message: message.into(), remedy: remedy.into() });
    }

    /// The problems and the warnings.
    pub(super) fn into_findings(self) -> (Vec<Problem>, Vec<Problem>) {
        (self.problems.into_inner(), self.warnings.into_inner())
    }
}

/// One object of the file. A key with the value `null` counts as absent.
pub(super) struct Section<'a> {
    pub context: &'a Context<'a>,
    path: String,
    map: &'a Map<String, Value>,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Section<'a> {
    /// Reads `map` with `read`, then adds a warning for each key that `read` did not request.
    pub(super) fn read<T>(
        context: &'a Context<'a>,
        path: String,
        map: &'a Map<String, Value>,
        read: impl FnOnce(&Section<'a>) -> T,
    ) -> T {
        let section = Section { context, path, map, known: RefCell::default() };
        let result = read(&section);
        section.warn_of_unknown();
        result
    }

    /// The path of `key` from the top of the file.
    pub(super) fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The raw value of `key`.
    pub(super) fn get(&self, key: &'static str) -> Option<&'a Value> {
        self.get_or_null(key).filter(|value| !value.is_null())
    }

    /// Like `get`, for keys whose `null` does not mean absence.
    pub(super) fn get_or_null(&self, key: &'static str) -> Option<&'a Value> {
        let mut known = self.known.borrow_mut();
        if !known.contains(&key) {
            known.push(key);
        }
        self.map.get(key)
    }

    /// Reports that the value at `key` is not of the expected kind.
    pub(super) fn wrong(&self, key: &str, found: &Value, expected: &str) {
        self.context.wrong(self.key(key), found, expected);
    }

    pub(super) fn text(&self, key: &'static str) -> Option<String> {
        let value = self.get(key)?;
        match value.as_str().map(str::trim) {
            Some(text) if !text.is_empty() => Some(text.to_owned()),
            _ => {
                self.wrong(key, value, "a text");
                None
            }
        }
    }

    pub(super) fn flag(&self, key: &'static str) -> Option<bool> {
        let value = self.get(key)?;
        if value.as_bool().is_none() {
            self.wrong(key, value, "true or false");
        }
        value.as_bool()
    }

    /// A duration in minutes; fractions are allowed.
    pub(super) fn minutes(&self, key: &'static str) -> Option<f64> {
        let value = self.get(key)?;
        let minutes = value.as_f64().filter(|minutes| *minutes >= 0.0);
        if minutes.is_none() {
            self.wrong(key, value, "a number of minutes, 0 or more");
        }
        minutes
    }

    /// A whole number. `unit` completes "a whole number" in messages: `of seconds`, or nothing.
    pub(super) fn whole(&self, key: &'static str, range: RangeInclusive<u64>, unit: &str) -> Option<u64> {
        let value = self.get(key)?;
        let number = value.as_u64().filter(|number| range.contains(number));
        if number.is_none() {
            let (low, high) = (range.start(), range.end());
            let bounds = if *high == u64::MAX { format!(", {low} or more") } else { format!(" from {low} to {high}") };
            let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
            self.wrong(key, value, &format!("a whole number{unit}{bounds}"));
        }
        number
    }

    pub(super) fn texts(&self, key: &'static str) -> Option<Vec<String>> {
        let value = self.get(key)?;
        let Some(items) = value.as_array() else {
            self.wrong(key, value, "a list of texts");
            return None;
        };
        let mut texts = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match item.as_str() {
                Some(text) => texts.push(text.to_owned()),
                None => self.wrong(&format!("{key}[{index}]"), item, "a text"),
            }
        }
        Some(texts)
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let value = self.get(key)?;
        let found = choices.iter().find(|(name, _)| value.as_str() == Some(name));
        if found.is_none() {
            let names = || choices.iter().map(|(name, _)| *name);
            let remedy = match value.as_str().and_then(|text| describe::closest(text, names())) {
                Some(name) => format!("Did you mean `{name}`?"),
                None => "Choose one of them, or remove the key to get the default.".into(),
            };
            let message = format!("found {}, expected {}", describe::value(value), describe::alternatives(names()));
            self.context.report(self.key(key), message, remedy);
        }
        found.map(|(_, choice)| *choice)
    }

    /// An object with known keys.
    pub(super) fn section<T>(&self, key: &'static str, read: impl FnOnce(&Section<'a>) -> T) -> Option<T> {
        let map = self.object(key)?;
        Some(Section::read(self.context, self.key(key), map, read))
    }

    /// An object with the author's own keys.
    pub(super) fn object(&self, key: &'static str) -> Option<&'a Map<String, Value>> {
        let value = self.get(key)?;
        if !value.is_object() {
            self.wrong(key, value, "an object");
        }
        value.as_object()
    }

    /// A reference to an object in the user's code.
    pub(super) fn target(&self, key: &'static str) -> Option<Target> {
        Target::read(self.context, &self.key(key), &self.text(key)?)
    }

    // A server that knows fewer keys than the file must still start, as LangGraph's own servers do.
    fn warn_of_unknown(&self) {
        let known = self.known.borrow();
        for (name, value) in self.map.iter().filter(|(name, _)| !known.contains(&name.as_str())) {
            if value.is_null() {
                continue;
            }
            let elsewhere = || ELSEWHERE.iter().find(|(key, _)| self.path.is_empty() && key == name);
            let remedy = match describe::closest(name, known.iter().copied()) {
                Some(close) => format!("Did you mean `{}`?", self.key(close)),
                None => match elsewhere() {
                    Some((_, path)) => format!("Did you mean `{path}`?"),
                    None => format!("The keys here are {}.", describe::alternatives(known.iter().copied())),
                },
            };
            self.context.warn(self.key(name), "this key is unknown and has no effect", remedy);
        }
    }
}

/// Keys that authors often write at the top of the file, and where they belong.
const ELSEWHERE: [(&str, &str); 5] = [
    ("app", "http.app"),
    ("configurable_headers", "http.configurable_headers"),
    ("cors", "http.cors"),
    ("index", "store.index"),
    ("mount_prefix", "http.mount_prefix"),
];

impl Context<'_> {
    /// Reports that the value at `key` is not of the expected kind.
    pub(super) fn wrong(&self, key: impl Into<String>, found: &Value, expected: &str) {
        let message = format!("found {}, expected {expected}", describe::value(found));
        self.report(key, message, remedy(found, expected));
    }
}

// The usual mistakes: extra quotes, missing quotes, and a single item instead of a list.
fn remedy(found: &Value, expected: &str) -> String {
    match found {
        Value::Number(number) if expected.starts_with("a text") => format!("Put it in quotes: \"{number}\"."),
        Value::Bool(flag) if expected.starts_with("a text") => format!("Put it in quotes: \"{flag}\"."),
        Value::String(text) if expected.starts_with("a list") => format!("Write it as a list: [{text:?}]."),
        Value::String(text) if expected.starts_with("true") && matches!(text.as_str(), "true" | "false") => {
            format!("Write {text} without quotes.")
        }
        Value::String(text) if expected.contains("number") && text.parse::<f64>().is_ok() => {
            format!("Write {text} without quotes.")
        }
        _ => "Change it, or remove the key to get the default.".into(),
    }
}
