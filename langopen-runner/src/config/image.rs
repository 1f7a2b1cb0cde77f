//! The keys of the container image. The runner does not use them; the image builder does.

use super::section::Section;

/// The base image's Linux distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageDistro {
    /// The current Debian.
    Debian,
    /// Wolfi.
    Wolfi,
    /// Debian 12.
    Bookworm,
}

/// Which packaging tools stay in the image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum KeepPkgTools {
    /// None of them.
    #[default]
    None,
    /// All of them.
    All,
    /// The named ones: `pip`, `setuptools` or `wheel`.
    Some(Vec<String>),
}

/// The parts of the image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageConfig {
    /// The pinned Agent Server version: one to three numbers, optionally after `~=` or `>~=`.
    pub api_version: Option<String>,
    /// The image to start from.
    pub base_image: Option<String>,
    /// Its distribution.
    pub distro: Option<ImageDistro>,
    /// The major version of Node.js, 20 or newer.
    pub node_version: Option<u32>,
    /// The packaging tools that stay in the image.
    pub keep_pkg_tools: KeepPkgTools,
    /// Lines of the Dockerfile after the base image.
    pub dockerfile_lines: Vec<String>,
    /// The tag of the base image (`_INTERNAL_docker_tag`). It excludes `api_version`.
    pub internal_docker_tag: Option<String>,
}

pub(super) fn read(section: &Section<'_>) -> ImageConfig {
    let config = ImageConfig {
        api_version: api_version(section),
        base_image: section.text("base_image"),
        distro: distro(section),
        node_version: node_version(section),
        keep_pkg_tools: keep_pkg_tools(section),
        dockerfile_lines: section.texts("dockerfile_lines").unwrap_or_default(),
        internal_docker_tag: section.text("_INTERNAL_docker_tag"),
    };
    if config.api_version.is_some() && config.internal_docker_tag.is_some() {
        let message = "this key and `_INTERNAL_docker_tag` exclude each other";
        section.context.report("api_version", message, "Remove one of them.");
    }
    config
}

fn distro(section: &Section<'_>) -> Option<ImageDistro> {
    section.choice(
        "image_distro",
        &[("debian", ImageDistro::Debian), ("wolfi", ImageDistro::Wolfi), ("bookworm", ImageDistro::Bookworm)],
    )
}

fn api_version(section: &Section<'_>) -> Option<String> {
    let text = section.text("api_version")?;
    // `~=` means a compatible version; `>~=` means any stable version from the given one on.
    let version = [">~=", "~="].iter().find_map(|operator| text.strip_prefix(operator)).unwrap_or(&text);
    if !is_version(version.trim()) {
        let message = format!("found {text:?}, expected one to three numbers");
        let remedy = "Write a version such as \"0.7\", \"0.7.5\" or \"~=0.7.5\".";
        section.context.report("api_version", message, remedy);
        return None;
    }
    Some(text)
}

/// One to three numbers with dots between them, optionally with a suffix: `rc1`, `.dev5`, `-py3.12`.
fn is_version(text: &str) -> bool {
    let mut rest = text.split('-').next().unwrap_or_default();
    for count in 0..3 {
        let number = match count {
            0 => rest,
            _ => match rest.strip_prefix('.') {
                Some(number) if number.starts_with(|c: char| c.is_ascii_digit()) => number,
                _ => break,
            },
        };
        let length = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
        if length == 0 {
            return false;
        }
        rest = &number[length..];
    }
    let suffix = rest.strip_prefix('.').unwrap_or(rest);
    let named =
        suffix.starts_with(|c: char| c.is_ascii_alphabetic()) && suffix.chars().all(|c| c.is_ascii_alphanumeric());
    rest.is_empty() || named
}

fn node_version(section: &Section<'_>) -> Option<u32> {
    let text = section.text("node_version")?;
    let version = text.parse().ok().filter(|version| *version >= 20);
    if version.is_none() {
        let message = format!("found {text:?}, expected a major version, 20 or more");
        section.context.report("node_version", message, "Write \"20\" or \"22\".");
    }
    version
}

fn keep_pkg_tools(section: &Section<'_>) -> KeepPkgTools {
    const TOOLS: [&str; 3] = ["pip", "setuptools", "wheel"];
    let Some(value) = section.get("keep_pkg_tools") else { return KeepPkgTools::None };
    match value.as_bool() {
        Some(true) => return KeepPkgTools::All,
        Some(false) => return KeepPkgTools::None,
        None => {}
    }
    let names: Option<Vec<String>> = value.as_array().and_then(|items| {
        items.iter().map(|item| item.as_str().filter(|name| TOOLS.contains(name)).map(str::to_owned)).collect()
    });
    names.map(KeepPkgTools::Some).unwrap_or_else(|| {
        section.wrong("keep_pkg_tools", value, "true, false or a list of `pip`, `setuptools` and `wheel`");
        KeepPkgTools::None
    })
}
