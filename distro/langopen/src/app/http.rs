//! The `http` section of `langgraph.json`, and the environment variables that replace absent keys.

use std::collections::BTreeMap;
use std::time::Duration;

use langopen_api::{ConfigurableHeaders, Cors, Features, LoggingHeaders, Settings};
use langopen_runner::config::{AppSettings, CorsConfig};
use serde::Deserialize;

use crate::error::CommandError;

/// Looks up variables in the process's environment first, then in the application's.
pub(super) struct Variables<'a>(pub(crate) &'a BTreeMap<String, String>);

impl Variables<'_> {
    /// The value of the variable.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().or_else(|| self.0.get(name).cloned())
    }

    /// The first of `names` whose value is not empty.
    fn get(&self, names: &[&'static str]) -> Option<(&'static str, String)> {
        names.iter().find_map(|&name| {
            self.value(name).filter(|value| !value.trim().is_empty()).map(|value| (name, value.trim().to_owned()))
        })
    }
}

/// Applies `http` and its variables. The file overrides the environment.
pub(super) fn apply(settings: &mut Settings, app: &AppSettings) -> Result<(), CommandError> {
    let (http, env) = (&app.http, &Variables(&app.variables));
    settings.features = Features {
        assistants: !http.disable_assistants,
        threads: !http.disable_threads,
        runs: !http.disable_runs,
        store: !http.disable_store,
        mcp: !http.disable_mcp,
        a2a: !http.disable_a2a,
        ui: !http.disable_ui,
        webhooks: !http.disable_webhooks,
        event_streaming: !http.disable_event_streaming,
        meta: !http.disable_meta,
    };
    settings.mount_prefix = mount_prefix(app)?;
    if let Some(headers) = http.configurable_headers.clone() {
        let (includes, excludes) = (headers.includes.unwrap_or_default(), headers.excludes.unwrap_or_default());
        settings.configurable_headers = ConfigurableHeaders { includes, excludes };
    }
    if let Some(headers) = http.logging_headers.clone() {
        let (includes, excludes) = (headers.includes.unwrap_or_default(), headers.excludes.unwrap_or_default());
        settings.logging_headers = LoggingHeaders { includes, excludes };
    }
    if let Some((name, text)) = env.get(&["HTTP_MAX_REQUEST_BODY_BYTES"]) {
        settings.max_body_bytes = text.parse().map_err(|_| wrong(name, "is not a number of bytes"))?;
    }
    if let Some((name, text)) = env.get(&["HTTP_MAX_SEARCH_BODY_BYTES"]) {
        settings.max_search_body_bytes = text.parse().map_err(|_| wrong(name, "is not a number of bytes"))?;
    }
    if let Some((name, text)) = env.get(&["HTTP_MAX_WEBSOCKET_MESSAGE_BYTES"]) {
        settings.max_message_bytes = text.parse().map_err(|_| wrong(name, "is not a number of bytes"))?;
    }
    settings.default_a2a_assistant = env.get(&["DEFAULT_A2A_ASSISTANT_ID"]).map(|(_, id)| id);
    // An empty value means an empty list of tools.
    settings.a2a_tool_results = env.value("A2A_ALLOWED_TOOL_CALL_RESULTS").map(|names| words(&names).collect());
    settings.cors = Some(cors(http.cors.as_ref(), env)?);
    Ok(())
}

/// The path prefix of the API, if any.
pub(crate) fn mount_prefix(app: &AppSettings) -> Result<Option<String>, CommandError> {
    if let Some(prefix) = &app.http.mount_prefix {
        return Ok(Some(prefix.clone()));
    }
    let Some((name, prefix)) = Variables(&app.variables).get(&["MOUNT_PREFIX", "LANGGRAPH_MOUNT_PREFIX"]) else {
        return Ok(None);
    };
    if !prefix.starts_with('/') {
        return Err(wrong(name, "does not start with a slash"));
    }
    Ok(Some(prefix.trim_end_matches('/').to_owned()).filter(|prefix| !prefix.is_empty()))
}

/// `CORS_CONFIG`: the same keys as `http.cors`.
#[derive(Deserialize)]
struct CorsVariable {
    allow_origins: Option<Vec<String>>,
    allow_methods: Option<Vec<String>>,
    allow_headers: Option<Vec<String>>,
    allow_credentials: Option<bool>,
    allow_origin_regex: Option<String>,
    expose_headers: Option<Vec<String>>,
    max_age: Option<u64>,
}

fn cors(given: Option<&CorsConfig>, env: &Variables<'_>) -> Result<Cors, CommandError> {
    let (name, rules) = match given {
        Some(given) => ("http.cors", given.clone()),
        None => from_environment(env)?,
    };
    let default = Cors::default();
    // With a pattern but no list, only origins that match the pattern are allowed.
    let origins = if rules.allow_origin_regex.is_some() { Vec::new() } else { default.allow_origins };
    let private =
        env.get(&["ALLOW_PRIVATE_NETWORK"]).is_none_or(|(_, text)| text.eq_ignore_ascii_case("true") || text == "1");
    let cors = Cors {
        allow_origins: rules.allow_origins.unwrap_or(origins),
        allow_origin_regex: rules.allow_origin_regex,
        allow_methods: rules.allow_methods.unwrap_or(default.allow_methods),
        allow_headers: rules.allow_headers.unwrap_or(default.allow_headers),
        allow_credentials: rules.allow_credentials.unwrap_or(default.allow_credentials),
        expose_headers: rules.expose_headers.unwrap_or(default.expose_headers),
        max_age: rules.max_age.map_or(default.max_age, Duration::from_secs),
        allow_private_network: private,
    };
    cors.validate().map_err(|error| wrong(name, &error.to_string()))?;
    Ok(cors)
}

fn from_environment(env: &Variables<'_>) -> Result<(&'static str, CorsConfig), CommandError> {
    if let Some((name, text)) = env.get(&["CORS_CONFIG"]) {
        let found: CorsVariable =
            serde_json::from_str(&text).map_err(|error| wrong(name, &format!("is not an object of rules: {error}")))?;
        let rules = CorsConfig {
            allow_origins: found.allow_origins,
            allow_methods: found.allow_methods,
            allow_headers: found.allow_headers,
            allow_credentials: found.allow_credentials,
            allow_origin_regex: found.allow_origin_regex,
            expose_headers: found.expose_headers,
            max_age: found.max_age,
        };
        return Ok((name, rules));
    }
    let Some((name, text)) = env.get(&["CORS_ALLOW_ORIGINS"]) else { return Ok(("http.cors", CorsConfig::default())) };
    Ok((name, CorsConfig { allow_origins: Some(words(&text).collect()), ..CorsConfig::default() }))
}

/// The comma-separated words of a variable.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned)
}

fn wrong(name: &'static str, why: &str) -> CommandError {
    CommandError::Setting { name, why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)], given: Option<&CorsConfig>) -> Result<Cors, CommandError> {
        let env = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        cors(given, &Variables(&env))
    }

    #[test]
    fn the_file_wins_over_the_environment() {
        let origins = "https://a.example, https://b.example";
        let by_list = read(&[("CORS_ALLOW_ORIGINS", origins)], None).unwrap_or_default();
        assert_eq!(by_list.allow_origins, ["https://a.example", "https://b.example"]);
        let rules = r#"{"allow_origin_regex": "https://.*", "max_age": 5}"#;
        let by_rules = read(&[("CORS_ALLOW_ORIGINS", origins), ("CORS_CONFIG", rules)], None).unwrap_or_default();
        assert_eq!((by_rules.allow_origins.len(), by_rules.max_age), (0, Duration::from_secs(5)));
        let file = CorsConfig { allow_credentials: Some(true), ..CorsConfig::default() };
        let by_file = read(&[("CORS_CONFIG", rules)], Some(&file)).unwrap_or_default();
        assert_eq!((by_file.allow_origins, by_file.allow_credentials), (vec!["*".to_owned()], true));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let said = |variables| read(variables, None).map(|_| ()).map_err(|error| error.to_string());
        assert!(said(&[("CORS_CONFIG", "[]")]).is_err_and(|text| text.contains("CORS_CONFIG")));
        let pattern = r#"{"allow_origin_regex": "("}"#;
        assert!(said(&[("CORS_CONFIG", pattern)]).is_err_and(|text| text.contains("allow_origin_regex")));
    }
}
