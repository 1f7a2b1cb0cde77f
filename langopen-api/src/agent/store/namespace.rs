//! Validates namespaces.

use http::StatusCode;

use crate::agent::error::{ApiError, ApiResult};

/// Checks that each label is a text without periods. The failure is plain text, as in the reference Agent Server.
pub(super) fn check_labels(labels: &[String]) -> ApiResult<()> {
    match labels.iter().find(|label| label.is_empty() || label.contains('.')) {
        Some(label) => Err(ApiError::text(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("Namespace label '{label}' must be a non-empty string without periods"),
        )),
        None => Ok(()),
    }
}

/// Checks the namespace of an item to store: it must not be empty, nor have the graph library's root label.
pub(super) fn check_target(labels: &[String]) -> ApiResult<()> {
    check_labels(labels)?;
    match labels {
        [] => Err(ApiError::bad_request("Namespace cannot be empty.")),
        [root, rest @ ..] if root == "langgraph" => {
            let quoted: Vec<_> = labels.iter().map(|label| format!("'{label}'")).collect();
            let comma = if rest.is_empty() { "," } else { "" };
            Err(ApiError::bad_request(format!(
                "Root label for namespace cannot be \"langgraph\". Got: ({}{comma})",
                quoted.join(", ")
            )))
        }
        _ => Ok(()),
    }
}
