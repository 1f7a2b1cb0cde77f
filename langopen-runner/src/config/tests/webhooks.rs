use std::collections::BTreeMap;

use super::{app, load, with};

/// The resolved headers, or the error message.
fn headers(webhooks: &str) -> Result<BTreeMap<String, String>, String> {
    let folder = app(&with(&format!(r#""webhooks": {webhooks}"#)));
    let config = load(folder.path()).unwrap_or_else(|error| panic!("{error}"));
    let variable = |name: &str| match name {
        "LG_WEBHOOK_TOKEN" | "HOOK_TOKEN" | "OTHER" => Some(format!("s3cret of {name}\n")),
        _ => None,
    };
    let found = config.resolve_webhook_headers(variable);
    assert!(!format!("{found:?}").contains("s3cret"), "Debug shows a secret");
    match found {
        Ok(found) => Ok(found.into_iter().map(|(name, value)| (name, value.expose().to_owned())).collect()),
        Err(error) => Err(error.to_string().replace(&folder.path().display().to_string(), "APP")),
    }
}

#[test]
fn expressions_are_replaced_by_variables() {
    let found = headers(
        r#"{"headers": {"Authorization": "Bearer ${{ env.LG_WEBHOOK_TOKEN }}", "x-two": "${{env.LG_WEBHOOK_TOKEN}}/${{ env.LG_WEBHOOK_TOKEN }}", "x-plain": "a $ {{ b }}"}}"#,
    );
    let expected = [
        ("Authorization", "Bearer s3cret of LG_WEBHOOK_TOKEN"),
        ("x-plain", "a $ {{ b }}"),
        ("x-two", "s3cret of LG_WEBHOOK_TOKEN/s3cret of LG_WEBHOOK_TOKEN"),
    ];
    assert_eq!(found, Ok(expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into()));
    let own = headers(r#"{"env_prefix": "HOOK_", "headers": {"a": "${{ env.HOOK_TOKEN }}"}}"#);
    assert_eq!(own.unwrap()["a"], "s3cret of HOOK_TOKEN");
    assert_eq!(headers("{}"), Ok(BTreeMap::new()));
}

#[test]
fn errors_name_expressions_that_cannot_be_replaced() {
    for (template, message) in [
        (
            "${{ env.OTHER }}",
            "`webhooks.headers.a`: the variable OTHER may not stand in a header: its name does not begin with LG_WEBHOOK_. \
             Rename the variable, or change `webhooks.env_prefix`.",
        ),
        (
            "x ${{ env.LG_WEBHOOK_NONE }}",
            "`webhooks.headers.a`: the variable LG_WEBHOOK_NONE is not set. Set it in the environment or under `env`.",
        ),
        ("${{ env.LG_WEBHOOK_TOKEN", "`webhooks.headers.a`: `${{` is not closed. Write ${{ env.NAME }}."),
        (
            "${{ secrets.TOKEN }}",
            "`webhooks.headers.a`: what stands between `${{` and `}}` is not `env.` and the name of a variable. \
             Write ${{ env.NAME }}.",
        ),
    ] {
        let found = headers(&format!(r#"{{"headers": {{"a": "{template}"}}}}"#));
        assert_eq!(found, Err(format!("APP/langgraph.json: {message}")));
    }
}
