//! Merges the app's OpenAPI document into the server's.

use serde_json::{Map, Value};

use super::table::is_reserved;

const SCHEMAS: &str = "#/components/schemas/";

/// Puts the app's paths, components and tags into `document`. The app's paths win. An app schema gets another name if
/// the server has a different one of the same name.
pub(crate) fn merge(document: &mut Value, app: &Value) {
    let mut app = app.clone();
    rename(document, &mut app);
    let (Some(document), Some(app)) = (document.as_object_mut(), app.as_object_mut()) else { return };
    let paths = object(document, "paths");
    for (path, operations) in members(app, "paths") {
        if is_reserved(&path) {
            continue;
        }
        match (paths.get_mut(&path).and_then(Value::as_object_mut), operations) {
            (Some(known), Value::Object(operations)) => known.extend(operations),
            (_, operations) => {
                paths.insert(path, operations);
            }
        }
    }
    let components = object(document, "components");
    for (kind, entries) in members(app, "components") {
        let known = object(components, &kind);
        for (name, entry) in entries.as_object().cloned().unwrap_or_default() {
            known.entry(name).or_insert(entry);
        }
    }
    let tags = document.entry("tags").or_insert_with(|| Value::Array(Vec::new()));
    if let (Some(known), Some(Value::Array(more))) = (tags.as_array_mut(), app.remove("tags")) {
        for tag in more {
            if !known.iter().any(|each| each.get("name") == tag.get("name")) {
                known.push(tag);
            }
        }
    }
}

/// Renames the app's schemas that differ from the server's of the same name.
fn rename(document: &Value, app: &mut Value) {
    let ours = document.pointer("/components/schemas").and_then(Value::as_object);
    let theirs = app.pointer_mut("/components/schemas").and_then(Value::as_object_mut);
    let (Some(ours), Some(theirs)) = (ours, theirs) else { return };
    let clash = |name: &String| ours.get(name).is_some_and(|schema| theirs.get(name) != Some(schema));
    let clashes: Vec<String> = theirs.keys().filter(|name| clash(name)).cloned().collect();
    for name in &clashes {
        if let Some(schema) = theirs.remove(name) {
            theirs.insert(format!("App_{name}"), schema);
        }
    }
    if !clashes.is_empty() {
        refer(app, &clashes);
    }
}

fn refer(value: &mut Value, clashes: &[String]) {
    match value {
        Value::String(text) => {
            if let Some(name) = text.strip_prefix(SCHEMAS).filter(|name| clashes.iter().any(|clash| clash == name)) {
                *text = format!("{SCHEMAS}App_{name}");
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| refer(item, clashes)),
        Value::Object(fields) => fields.values_mut().for_each(|field| refer(field, clashes)),
        _ => {}
    }
}

fn members(from: &mut Map<String, Value>, key: &str) -> Map<String, Value> {
    match from.remove(key) {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

fn object<'a>(parent: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let entry = parent.entry(key).or_insert_with(|| Value::Object(Map::new()));
    if !entry.is_object() {
        *entry = Value::Object(Map::new());
    }
    match entry {
        Value::Object(object) => object,
        _ => unreachable!("it was made an object above"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_apps_paths_win_and_its_schemas_do_not_disturb_ours() {
        let mut document = json!({
            "paths": {"/threads": {"post": {"summary": "ours"}, "get": {"summary": "ours"}}, "/ok": {"get": {"summary": "ours"}}},
            "components": {"schemas": {"Thread": {"type": "object"}, "Same": {"type": "string"}}},
            "tags": [{"name": "Threads"}],
        });
        let app = json!({
            "paths": {
                "/threads": {"get": {"summary": "theirs", "schema": {"$ref": "#/components/schemas/Thread"}}},
                "/ok": {"get": {"summary": "theirs"}},
                "/mine": {"get": {}},
            },
            "components": {"schemas": {"Thread": {"type": "array"}, "Same": {"type": "string"}}, "securitySchemes": {"own": {}}},
            "tags": [{"name": "Threads", "description": "no"}, {"name": "Mine"}],
        });
        merge(&mut document, &app);
        let expected = json!({
            "paths": {
                "/threads": {"post": {"summary": "ours"}, "get": {"summary": "theirs", "schema": {"$ref": "#/components/schemas/App_Thread"}}},
                "/ok": {"get": {"summary": "ours"}},
                "/mine": {"get": {}},
            },
            "components": {
                "schemas": {"Thread": {"type": "object"}, "Same": {"type": "string"}, "App_Thread": {"type": "array"}},
                "securitySchemes": {"own": {}},
            },
            "tags": [{"name": "Threads"}, {"name": "Mine"}],
        });
        assert_eq!(document, expected);
    }
}
