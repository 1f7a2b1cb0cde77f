//! What a namespace may be.

use http::StatusCode;

use crate::http::error::{ApiError, ApiResult};

/// Labels are texts without periods; the failure is plain text, as the Agent Server has it.
pub(super) fn check_labels(labels: &[String]) -> ApiResult<()> {
    match labels.iter().find(|label| label.is_empty() || label.contains('.')) {
        Some(label) => Err(ApiError::text(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("Namespace label '{label}' must be a non-empty string without periods"),
        )),
        None => Ok(()),
    }
}

/// A namespace that an item is put into: not empty, and not the graph library's own.
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
