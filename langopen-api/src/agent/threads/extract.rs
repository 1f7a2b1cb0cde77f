//! `extract` of a thread search: parts of threads, under names that the client chooses.

use std::collections::BTreeMap;

use langopen_core::JsonMap;
use langopen_core::model::Thread;
use serde_json::Value;

use crate::agent::error::{ApiError, ApiResult};
use crate::agent::wire::ThreadBody;

const ROOTS: [&str; 4] = ["config", "interrupts", "metadata", "values"];
const MOST: usize = 10;

/// The names, each with the path of its part.
pub(super) struct Extract(Vec<(String, Root, Vec<Step>)>);

#[derive(Clone, Copy)]
enum Root {
    Config,
    Interrupts,
    Metadata,
    Values,
}

#[derive(Debug, PartialEq)]
enum Step {
    Key(String),
    /// A negative index counts from the end.
    Index(i64),
}

impl Extract {
    pub(super) fn parse(wanted: &BTreeMap<String, String>) -> ApiResult<Self> {
        let reserved: Vec<_> = wanted
            .keys()
            .filter(|name| ThreadBody::FIELDS.contains(&name.as_str()))
            .map(|name| format!("'{name}'"))
            .collect();
        if !reserved.is_empty() {
            let reserved = reserved.join(", ");
            return Err(ApiError::invalid(format!("Extract keys cannot use reserved field names: [{reserved}]")));
        }
        if wanted.len() > MOST {
            return Err(ApiError::invalid(format!("extract: at most {MOST} names, got {}", wanted.len())));
        }
        let paths = wanted.iter().map(|(name, path)| {
            let (root, rest) = path.split_at(path.find(['.', '[']).unwrap_or(path.len()));
            let root = match root {
                "config" => Root::Config,
                "interrupts" => Root::Interrupts,
                "metadata" => Root::Metadata,
                "values" => Root::Values,
                _ => {
                    let roots = ROOTS.join(", ");
                    return Err(ApiError::invalid(format!("Extract path '{path}' must start with one of: {roots}")));
                }
            };
            let steps = steps(rest).ok_or_else(|| ApiError::invalid(format!("Extract path '{path}' is not valid")))?;
            Ok((name.clone(), root, steps))
        });
        paths.collect::<ApiResult<_>>().map(Self)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The parts of a thread. A missing part is `null`.
    pub(super) fn of(&self, thread: &Thread) -> JsonMap {
        let decode = |raw: &Option<langopen_core::RawJson>| {
            raw.as_ref().and_then(|raw| raw.decode().ok()).unwrap_or(Value::Null)
        };
        let (values, interrupts) = (decode(&thread.values), decode(&thread.interrupts));
        let (config, metadata) = (Value::Object(thread.config.clone()), Value::Object(thread.metadata.clone()));
        let piece = |(name, root, steps): &(String, Root, Vec<Step>)| {
            let root = match root {
                Root::Config => &config,
                Root::Interrupts => &interrupts,
                Root::Metadata => &metadata,
                Root::Values => &values,
            };
            (name.clone(), steps.iter().try_fold(root, follow).cloned().unwrap_or(Value::Null))
        };
        self.0.iter().map(piece).collect()
    }
}

fn follow<'a>(value: &'a Value, step: &Step) -> Option<&'a Value> {
    match step {
        Step::Key(key) => value.get(key),
        Step::Index(index) => {
            let list = value.as_array()?;
            let at = if *index < 0 { i64::try_from(list.len()).ok()? + index } else { *index };
            list.get(usize::try_from(at).ok()?)
        }
    }
}

/// Parses a sequence of `.key` and `[n]`.
fn steps(mut path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    while !path.is_empty() {
        if let Some(rest) = path.strip_prefix('[') {
            let (index, rest) = rest.split_once(']')?;
            steps.push(Step::Index(index.parse().ok()?));
            path = rest;
        } else {
            let rest = path.strip_prefix('.')?;
            let (key, rest) = rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()));
            if key.is_empty() {
                return None;
            }
            steps.push(Step::Key(key.to_owned()));
            path = rest;
        }
    }
    Some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_keys_and_indices() {
        assert_eq!(steps(".log[-1].a"), Some(vec![Step::Key("log".into()), Step::Index(-1), Step::Key("a".into())]));
        for bad in [".", "x", "[a]", "[1", ".a..b"] {
            assert_eq!(steps(bad), None, "{bad}");
        }
    }
}
