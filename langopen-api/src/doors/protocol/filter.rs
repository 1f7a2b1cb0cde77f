//! Which events of a thread a client wants.

use langopen_core::JsonMap;
use serde_json::Value;

use super::event::{Method, Namespace, ProtocolEvent};

/// A set of methods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Methods(u16);

impl Methods {
    /// Every method.
    pub(super) const ALL: Self = Self(u16::MAX);

    pub(super) fn has(self, method: Method) -> bool {
        self.0 & 1 << method as u16 != 0
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn add(&mut self, method: Method) {
        self.0 |= 1 << method as u16;
    }
}

/// Which events a client wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) methods: Methods,
    /// Names of custom events; all of them if `None`.
    custom: Option<Vec<String>>,
    /// The graphs whose events pass; all graphs if empty.
    namespaces: Vec<Namespace>,
    /// The greatest depth below one of the namespaces.
    depth: Option<usize>,
    /// Only events after this number pass.
    pub(super) since: u64,
}

impl Filter {
    /// Reads `channels`, `namespaces`, `depth` and `since`.
    ///
    /// # Errors
    /// A message that describes the problem.
    pub(super) fn parse(request: &JsonMap) -> Result<Self, String> {
        let channels = match request.get("channels") {
            Some(Value::Array(channels)) if !channels.is_empty() => channels,
            _ => return Err("channels is required and must be a non-empty array".to_owned()),
        };
        let mut filter = Self { custom: Some(Vec::new()), ..Self::default() };
        let mut unsupported = Vec::new();
        for channel in channels {
            if !channel.as_str().is_some_and(|channel| filter.add(channel)) {
                unsupported.push(channel.as_str().map_or_else(|| channel.to_string(), str::to_owned));
            }
        }
        if !unsupported.is_empty() {
            return Err(format!(
                "channels contains unsupported entries: {}. Allowed: values, updates, messages, tools, custom, lifecycle, input, tasks, \
                 checkpoints, or any `custom:<name>`.",
                unsupported.join(", ")
            ));
        }
        filter.namespaces = namespaces(request.get("namespaces"))?;
        filter.depth = whole(request.get("depth"), "depth")?.map(|depth| usize::try_from(depth).unwrap_or(usize::MAX));
        filter.since = whole(request.get("since"), "since")?.unwrap_or_default();
        Ok(filter)
    }

    fn add(&mut self, channel: &str) -> bool {
        match channel {
            "input" => {
                self.methods.add(Method::InputRequested);
                self.methods.add(Method::InputAnswered);
            }
            "custom" => {
                self.methods.add(Method::Custom);
                self.custom = None;
            }
            "values" | "updates" | "messages" | "tools" | "lifecycle" | "checkpoints" | "tasks" => {
                Method::parse(channel).into_iter().for_each(|method| self.methods.add(method));
            }
            _ => match channel.strip_prefix("custom:") {
                Some(name) if !name.is_empty() => {
                    self.methods.add(Method::Custom);
                    self.custom.iter_mut().for_each(|names| names.push(name.to_owned()));
                }
                _ => return false,
            },
        }
        true
    }

    /// Whether the client wants this event.
    pub(super) fn wants(&self, event: &ProtocolEvent) -> bool {
        event.seq > self.since
            && self.methods.has(event.method)
            && (event.method != Method::Custom || self.wants_custom(event.name.as_deref()))
            && (self.namespaces.is_empty() || self.namespaces.iter().any(|above| self.below(above, &event.namespace)))
    }

    fn wants_custom(&self, name: Option<&str>) -> bool {
        self.custom.as_ref().is_none_or(|names| name.is_some_and(|name| names.iter().any(|wanted| wanted == name)))
    }

    fn below(&self, above: &Namespace, namespace: &Namespace) -> bool {
        let Some(depth) = namespace.0.len().checked_sub(above.0.len()) else { return false };
        self.depth.is_none_or(|most| depth <= most)
            && above.0.iter().zip(&namespace.0).all(|(above, step)| matches(above, step))
    }
}

/// Whether a step matches: with its task, or with any task if the filter names none.
fn matches(wanted: &str, step: &str) -> bool {
    wanted == step || step.split_once(':').is_some_and(|(name, _)| name == wanted)
}

fn namespaces(given: Option<&Value>) -> Result<Vec<Namespace>, String> {
    let wrong = || "namespaces must be an array of arrays of strings".to_owned();
    let given = match given {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(given) => given.as_array().ok_or_else(wrong)?,
    };
    given.iter().map(|each| namespace(each).ok_or_else(wrong)).collect()
}

/// Reads a namespace: an array of strings.
pub(super) fn namespace(given: &Value) -> Option<Namespace> {
    let steps: Option<Vec<_>> = given.as_array()?.iter().map(|step| step.as_str().map(str::to_owned)).collect();
    steps.map(Namespace)
}

fn whole(given: Option<&Value>, name: &str) -> Result<Option<u64>, String> {
    match given {
        None | Some(Value::Null) => Ok(None),
        Some(given) => {
            given.as_u64().map(Some).ok_or_else(|| format!("{name} must be an integer that is not negative"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::Body;
    use super::*;
    use serde_json::json;

    fn parse(request: Value) -> Result<Filter, String> {
        Filter::parse(request.as_object().unwrap())
    }

    fn event(method: Method, namespace: &[&str], name: Option<&str>) -> ProtocolEvent {
        ProtocolEvent {
            id: String::new(),
            seq: 5,
            method,
            namespace: Namespace(namespace.iter().map(|step| (*step).to_owned()).collect()),
            timestamp: 0,
            name: name.map(str::to_owned),
            body: Body::Data("1".into()),
        }
    }

    #[test]
    fn channels_choose() {
        let filter = parse(json!({"channels": ["input", "custom:a"], "since": 4})).unwrap();
        assert!(filter.wants(&event(Method::InputRequested, &[], None)));
        assert!(filter.wants(&event(Method::InputAnswered, &["x:1"], None)));
        assert!(filter.wants(&event(Method::Custom, &[], Some("a"))));
        assert!(!filter.wants(&event(Method::Custom, &[], Some("b"))));
        assert!(!filter.wants(&event(Method::Custom, &[], None)));
        assert!(!filter.wants(&event(Method::Values, &[], None)));
        let all = parse(json!({"channels": ["custom:a", "custom"]})).unwrap();
        assert!(all.wants(&event(Method::Custom, &[], Some("b"))) && all.wants(&event(Method::Custom, &[], None)));
        let later = parse(json!({"channels": ["values"], "since": 5})).unwrap();
        assert!(!later.wants(&event(Method::Values, &[], None)));
    }

    #[test]
    fn namespaces_are_prefixes_with_a_depth() {
        let wants = |namespaces: Value, depth: Value, namespace: &[&str]| {
            let filter = parse(json!({"channels": ["values"], "namespaces": namespaces, "depth": depth})).unwrap();
            filter.wants(&event(Method::Values, namespace, None))
        };
        assert!(wants(json!([["sub"]]), json!(null), &["sub:1", "inner:2"]));
        assert!(wants(json!([["sub:1"]]), json!(0), &["sub:1"]));
        assert!(!wants(json!([["sub:2"]]), json!(null), &["sub:1"]));
        assert!(!wants(json!([["sub"]]), json!(null), &[]));
        assert!(!wants(json!([["sub"]]), json!(0), &["sub:1", "inner:2"]));
        assert!(wants(json!([[]]), json!(0), &[]) && !wants(json!([[]]), json!(0), &["sub:1"]));
        assert!(wants(json!([]), json!(null), &["any:1"]));
    }

    #[test]
    fn errors_name_the_invalid_field() {
        for (request, reason) in [
            (json!({}), "channels is required"),
            (json!({"channels": []}), "channels is required"),
            (json!({"channels": ["debug", 3, "custom:"]}), "unsupported entries: debug, 3, custom:. Allowed"),
            (json!({"channels": ["values"], "namespaces": ["sub"]}), "namespaces must be"),
            (json!({"channels": ["values"], "depth": -1}), "depth must be"),
            (json!({"channels": ["values"], "since": "5"}), "since must be"),
        ] {
            let error = parse(request.clone()).unwrap_err();
            assert!(error.contains(reason), "{request}: {error}");
        }
    }
}
