//! The modules of this crate depend on each other in one direction only.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use regex::Regex;

/// The layers, from the lowest to the highest. A module may use modules of its own layer and of lower ones.
const LAYERS: [&str; 8] = ["http", "settings", "agent", "doors", "openapi", "router", "server", "gateway"];

/// The modules, each with the modules that it uses. In a layer with folders, its files and folders are the modules.
type Arrows = BTreeMap<String, BTreeSet<String>>;

#[test]
fn modules_use_only_lower_layers() {
    let height = |module: &str| {
        let layer = module.split("::").next().unwrap_or_default();
        LAYERS.iter().position(|known| *known == layer).unwrap_or_else(|| panic!("{module} belongs to no layer"))
    };
    let arrows = arrows();
    assert!(arrows.len() > 30, "the sources were read: {arrows:?}");
    for (module, used) in &arrows {
        for used in used {
            assert!(height(used) <= height(module), "{module} uses {used}, which is of a higher layer");
        }
    }
}

#[test]
fn no_module_uses_itself_through_others() {
    let arrows = arrows();
    for module in arrows.keys() {
        let (mut reached, mut next) = (BTreeSet::new(), vec![module]);
        while let Some(at) = next.pop() {
            for used in arrows.get(at).into_iter().flatten() {
                assert_ne!(used, module, "{module} uses {at}, which uses {module} again");
                if reached.insert(used) {
                    next.push(used);
                }
            }
        }
    }
}

/// Reads the paths that begin with `crate::` in the sources.
fn arrows() -> Arrows {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    list(&src, &mut files);
    let sources: Vec<_> = files.iter().map(|file| (module_of(&src, file), read(file))).collect();
    let exports = exports(&sources);
    let path = Regex::new(r"\bcrate::(\w+)(?:::(\w+|\{[^}]*\}))?").unwrap();
    let mut arrows = Arrows::new();
    for (module, source) in &sources {
        // The root and the `mod.rs` of a layer only declare and export modules.
        let Some(module) = module.as_ref().filter(|module| !LAYERS[..4].contains(&module.as_str()) || is_file(module))
        else {
            continue;
        };
        let used = arrows.entry(module.clone()).or_default();
        for found in path.captures_iter(source) {
            let layer = &found[1];
            let names = found.get(2).map_or("", |names| names.as_str());
            let names = names.trim_matches(['{', '}']).split(',').map(str::trim).filter(|name| !name.is_empty());
            if is_file(layer) {
                used.insert(layer.to_owned());
                continue;
            }
            for name in names {
                let name = name.split("::").next().unwrap_or_default();
                let inner = format!("{layer}::{name}");
                used.insert(exports.get(&inner).cloned().unwrap_or(inner));
            }
        }
        used.remove(module);
    }
    arrows
}

/// Whether a layer is a single file.
fn is_file(layer: &str) -> bool {
    !["http", "agent", "doors", "gateway"].contains(&layer)
}

/// The names that a layer's `mod.rs` exports, each with the module that defines it.
fn exports(sources: &[(Option<String>, String)]) -> BTreeMap<String, String> {
    let export = Regex::new(r"pub(?:\(crate\))? use (\w+)::(\w+|\{[^}]*\});").unwrap();
    let mut exports = BTreeMap::new();
    for (layer, source) in sources {
        let Some(layer) = layer.as_ref().filter(|layer| LAYERS.contains(&layer.as_str())) else { continue };
        for found in export.captures_iter(source) {
            for name in found[2].trim_matches(['{', '}']).split(',') {
                exports.insert(format!("{layer}::{}", name.trim()), format!("{layer}::{}", &found[1]));
            }
        }
    }
    exports
}

/// `layer` or `layer::module`; `None` for the root.
fn module_of(src: &Path, file: &Path) -> Option<String> {
    let path = file.strip_prefix(src).unwrap().with_extension("");
    let parts: Vec<_> = path.iter().map(|part| part.to_str().unwrap()).filter(|part| *part != "mod").collect();
    match parts[..] {
        ["lib"] => None,
        ["gateway", ..] => Some("gateway".to_owned()),
        [layer] => Some(layer.to_owned()),
        [layer, module, ..] => Some(format!("{layer}::{module}")),
        [] => None,
    }
}

/// The source without its comments.
fn read(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn list(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => list(&path, files),
            false => files.push(path),
        }
    }
}
