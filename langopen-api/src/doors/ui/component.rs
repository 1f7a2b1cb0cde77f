use axum::Extension;
use axum::extract::{OriginalUri, Path, State};
use axum::response::{IntoResponse, Response};
use http::uri::Authority;
use http::{HeaderMap, Uri, header};
use langopen_core::AssistantId;
use langopen_core::user_interface::Bundle;
use serde::Deserialize;
use serde_json::json;

use super::bundle;
use crate::agent::App;
use crate::agent::assistants;
use crate::agent::error::{ApiError, ApiResult};
use crate::http::access::Caller;
use crate::http::extract::{SmallBody, forwarded_scheme};
use crate::http::reached::Reached;

#[derive(Deserialize)]
pub(super) struct ComponentBody {
    /// The component's name.
    name: String,
}

/// Returns HTML that loads a component and renders it into the page's shadow root. The page fills in the root's id.
/// `name` is the bundle's name, which is usually a graph's id, or an assistant's id.
pub(super) async fn show_component(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    OriginalUri(uri): OriginalUri,
    reached: Option<Extension<Reached>>,
    headers: HeaderMap,
    SmallBody(body): SmallBody<ComponentBody>,
) -> ApiResult<Response> {
    let name = match name.parse::<AssistantId>() {
        Ok(id) => assistants::read(&app, &caller, id).await?.1.graph_id,
        Err(_) => name,
    };
    let bundle = bundle(&app, &name).await?;
    let host = host(&uri, &headers).ok_or_else(|| ApiError::bad_request("The request has no Host header"))?;
    // The path as the client wrote it, so that it includes every mount prefix.
    let before = uri.path().rsplit_once("/ui/").map_or("", |(before, _)| before);
    let before = reached.map_or_else(|| before.to_owned(), |Extension(reached)| reached.without_credentials(before));
    let name = percent_encoding::utf8_percent_encode(&name, percent_encoding::NON_ALPHANUMERIC);
    // A URL without a scheme uses the page's.
    let scheme = forwarded_scheme(&headers).map(|scheme| format!("{scheme}:")).unwrap_or_default();
    let base = format!("{scheme}//{host}{before}/ui/{name}/{}", bundle.hash);
    Ok(([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html(&bundle, &base, &body.name)).into_response())
}

/// The host as the client wrote it.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let named = || headers.get(header::HOST)?.to_str().ok()?.parse().ok();
    uri.authority().cloned().or_else(named)
}

fn html(bundle: &Bundle, base: &str, component: &str) -> String {
    let call = format!("window[{}].render({}, \"{{{{shadowRootId}}}}\")", json!(bundle.global), json!(component));
    let script = format!("<script src=\"{}\" onload=\"{}\"></script>", escape(&format!("{base}.js")), escape(&call));
    match bundle.style {
        Some(_) => format!("<link rel=\"stylesheet\" href=\"{}\" />\n{script}", escape(&format!("{base}.css"))),
        None => script,
    }
}

/// Escapes text for a quoted attribute.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_input_is_escaped() {
        let bundle = Bundle { hash: "h".into(), global: "__LGUI_a".into(), script: "".into(), style: Some("".into()) };
        assert_eq!(
            html(&bundle, "//h/ui/a/h", "x\"'<script>"),
            "<link rel=\"stylesheet\" href=\"//h/ui/a/h.css\" />\n<script src=\"//h/ui/a/h.js\" \
             onload=\"window[&quot;__LGUI_a&quot;].render(&quot;x\\&quot;'&lt;script&gt;&quot;, &quot;{{shadowRootId}}&quot;)\"></script>"
        );
    }
}
