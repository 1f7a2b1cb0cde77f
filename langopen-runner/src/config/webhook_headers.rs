//! Replaces `${{ env.NAME }}` in the headers of webhooks.

use std::collections::BTreeMap;

use super::error::Problem;
use super::secret::Secret;
use super::webhooks::WebhooksConfig;

/// The default of `env_prefix`.
const PREFIX: &str = "LG_WEBHOOK_";

pub(super) fn resolve(
    config: &WebhooksConfig,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, Secret>, Vec<Problem>> {
    let prefix = config.env_prefix.as_deref().unwrap_or(PREFIX);
    let mut problems = Vec::new();
    let mut headers = BTreeMap::new();
    for (name, template) in &config.headers {
        match fill(template.expose(), prefix, &variable) {
            Ok(value) => {
                headers.insert(name.clone(), value.into());
            }
            Err((message, remedy)) => {
                problems.push(Problem { key: format!("webhooks.headers.{name}"), message, remedy });
            }
        }
    }
    if problems.is_empty() { Ok(headers) } else { Err(problems) }
}

/// Replaces each expression. An error names the problem and the remedy, but no value.
fn fill(template: &str, prefix: &str, variable: impl Fn(&str) -> Option<String>) -> Result<String, (String, String)> {
    let mut value = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("${{") {
        value.push_str(before);
        let Some((expression, after)) = after.split_once("}}") else {
            return Err(("`${{` is not closed".to_owned(), "Write ${{ env.NAME }}.".to_owned()));
        };
        let name = expression.trim().strip_prefix("env.").filter(|name| is_name(name)).ok_or_else(|| {
            let message = "what stands between `${{` and `}}` is not `env.` and the name of a variable";
            (message.to_owned(), "Write ${{ env.NAME }}.".to_owned())
        })?;
        if !name.starts_with(prefix) {
            let message =
                format!("the variable {name} may not stand in a header: its name does not begin with {prefix}");
            let remedy = "Rename the variable, or change `webhooks.env_prefix`.".to_owned();
            return Err((message, remedy));
        }
        let found = variable(name).ok_or_else(|| {
            (format!("the variable {name} is not set"), "Set it in the environment or under `env`.".to_owned())
        })?;
        value.push_str(found.trim());
        rest = after;
    }
    value.push_str(rest);
    Ok(value)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
