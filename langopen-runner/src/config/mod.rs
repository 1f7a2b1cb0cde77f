//! Reads `langgraph.json`, validates it, and provides it as types.
//!
//! [`AppConfig::load`] accepts the files that LangGraph's own command line accepts (`validate_config_file`;
//! `tests/verdicts.rs` compares the two). For wrong values, one error lists all of them with the file, the path of the
//! key, the value found and the remedy. An unknown key is only a warning with the most similar known key; see
//! [`AppConfig::warnings`]. The runner accepts features that it does not have; [`AppConfig::require_supported`] reports
//! them.
//!
//! Relative paths start at the folder of the file. `null` means an absent key.

mod app_settings;
mod auth;
mod checkpointer;
mod dependency;
mod describe;
mod dotenv;
mod env;
mod error;
mod graphs;
mod http;
mod image;
mod packaging;
pub(crate) mod paths;
mod secret;
mod section;
mod store;
mod supported;
mod target;
#[cfg(test)]
mod tests;
mod ui;
mod webhook_headers;
mod webhooks;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

pub use app_settings::AppSettings;
pub use auth::{AuthCache, AuthConfig, AuthOpenApi, HookConfig};
pub use checkpointer::{AllowedModules, CheckpointerBackend, CheckpointerConfig, SerdeConfig, ThreadTtl, TtlStrategy};
pub use dependency::Dependency;
pub use env::{EnvSource, ResolvedEnv};
pub use error::{ConfigError, Problem};
pub use graphs::Graph;
pub use http::{CorsConfig, HeaderPatterns, HttpConfig, MiddlewareOrder};
pub use image::{ImageConfig, ImageDistro, KeepPkgTools};
pub use packaging::{OLDEST_PYTHON, PackagingConfig, PipInstaller, PythonVersion, UvSource};
pub use secret::Secret;
pub use store::{StoreConfig, StoreIndex, StoreTtl};
pub use supported::Unsupported;
pub use target::{GraphTarget, Language, Target, TargetKind};
pub use ui::UiConfig;
pub use webhooks::{WebhookUrlPolicy, WebhooksConfig};

use section::{Context, Section};

/// The file's name in a folder.
pub const FILE_NAME: &str = "langgraph.json";

/// One application: its graphs, their requirements, and the settings of its API.
#[derive(Debug, Clone, PartialEq)]
pub struct AppConfig {
    path: PathBuf,
    base_dir: PathBuf,
    warnings: Vec<Problem>,
    /// The graphs by id; not empty.
    pub graphs: BTreeMap<String, Graph>,
    /// Packages to install, and folders for Python's search path.
    pub dependencies: Vec<Dependency>,
    /// The Python version and the installer.
    pub packaging: PackagingConfig,
    /// The settings of the container image.
    pub image: ImageConfig,
    /// Variables for the user's code; see [`Self::resolve_env`].
    pub env: EnvSource,
    /// Long-term memory.
    pub store: Option<StoreConfig>,
    /// Short-term memory.
    pub checkpointer: Option<CheckpointerConfig>,
    /// The application's login.
    pub auth: Option<AuthConfig>,
    /// Encryption of stored data.
    pub encryption: Option<HookConfig>,
    /// The priority of runs.
    pub priority: Option<HookConfig>,
    /// The routes of the API.
    pub http: Option<HttpConfig>,
    /// The URLs that webhooks may have.
    pub webhooks: Option<WebhooksConfig>,
    /// Component files by name.
    pub ui: BTreeMap<String, String>,
    /// The settings of all component bundles.
    pub ui_config: UiConfig,
}

impl AppConfig {
    /// Reads and checks the file at `path`, or `langgraph.json` in the folder at `path`.
    ///
    /// # Errors
    ///
    /// `ConfigError` if the file is missing, unreadable or not JSON, or if some of its keys or values are wrong.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |path: &Path, source| ConfigError::Unreadable { path: path.to_owned(), source };
        let mut path = std::path::absolute(path).map_err(|source| unreadable(path, source))?;
        if path.is_dir() {
            path.push(FILE_NAME);
        }
        let path = paths::resolve(&path, "");
        let bytes = std::fs::read(&path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => ConfigError::Missing { path: path.clone() },
            _ => unreadable(&path, source),
        })?;
        Self::parse(path, &bytes)
    }

    fn parse(path: PathBuf, bytes: &[u8]) -> Result<Self, ConfigError> {
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        let value: Value = serde_json::from_slice(bytes).map_err(|error| syntax(&path, &error))?;
        let base_dir = path.parent().unwrap_or(Path::new("/")).to_owned();
        let context = Context::new(&base_dir);
        let config = match &value {
            Value::Object(map) => Some(Section::read(&context, String::new(), map, |top| read(&path, top))),
            other => {
                context.wrong("(top level)", other, "an object");
                None
            }
        };
        let (problems, warnings) = context.into_findings();
        match config {
            Some(config) if problems.is_empty() => Ok(Self { warnings, ..config }),
            _ => Err(ConfigError::Invalid { path, problems }),
        }
    }

    /// The absolute path of the configuration file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Warnings for the author of the file, which is usable nevertheless: unknown keys, often misspelt ones.
    #[must_use]
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// The folder of the file. Relative paths start there.
    #[must_use]
    pub fn base_dir(&self) -> &Path {
        &self.base_dir
    }

    /// Whether the application has code in `language`.
    #[must_use]
    pub fn uses(&self, language: Language) -> bool {
        let graphs = self.graphs.values().map(|graph| graph.target.to_string());
        let auth = self.auth.as_ref().and_then(|auth| auth.path.as_ref()).map(ToString::to_string);
        let app = self.http.as_ref().and_then(|http| http.app.as_ref()).map(ToString::to_string);
        let embed = self.store.as_ref().and_then(|store| store.index.as_ref()).map(|index| index.embed.clone());
        graphs.chain(auth).chain(app).chain(embed).any(|target| Language::of(&target) == language)
    }

    /// Whether the application needs Node.js, for code or to bundle components.
    #[must_use]
    pub fn needs_node(&self) -> bool {
        self.uses(Language::JavaScript) || self.bundles_ui()
    }

    /// Whether the application has components for browsers.
    #[must_use]
    pub fn bundles_ui(&self) -> bool {
        !self.ui.is_empty() && !self.http.as_ref().is_some_and(|http| http.disable_ui)
    }

    /// The variables for the user's code. Each call reads the env file again.
    ///
    /// `variable` looks up the variables that the application inherits, for `${NAME}` in the env file.
    ///
    /// # Errors
    ///
    /// `ConfigError` if the env file exists but cannot be read. A missing file is a warning.
    pub fn resolve_env(&self, variable: impl Fn(&str) -> Option<String>) -> Result<ResolvedEnv, ConfigError> {
        self.env.resolve(variable)
    }

    /// The headers of every webhook: `webhooks.headers` with `${{ env.NAME }}` replaced by the results of `variable`.
    ///
    /// # Errors
    ///
    /// `ConfigError` for a name that `webhooks.env_prefix` does not allow, a variable that is not set, or a malformed
    /// expression.
    pub fn resolve_webhook_headers(
        &self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<BTreeMap<String, Secret>, ConfigError> {
        let resolved = self.webhooks.as_ref().map(|webhooks| webhook_headers::resolve(webhooks, variable));
        resolved
            .unwrap_or_else(|| Ok(BTreeMap::new()))
            .map_err(|problems| ConfigError::Invalid { path: self.path.clone(), problems })
    }

    /// The configured features that the runner does not have.
    #[must_use]
    pub fn require_supported(&self) -> Vec<Unsupported> {
        supported::check(self)
    }
}

fn read(path: &Path, top: &Section<'_>) -> AppConfig {
    // Editors use this key to find the schema.
    top.get("$schema");
    let config = AppConfig {
        path: path.to_owned(),
        base_dir: top.context.base_dir.to_owned(),
        warnings: Vec::new(),
        graphs: graphs::read(top),
        dependencies: dependency::read(top),
        packaging: packaging::read(top),
        image: image::read(top),
        env: env::read(top),
        store: top.section("store", store::read),
        checkpointer: top.section("checkpointer", checkpointer::read),
        auth: top.section("auth", auth::read),
        encryption: top.section("encryption", auth::read_hook),
        priority: top.section("priority", auth::read_hook),
        http: top.section("http", http::read),
        webhooks: top.section("webhooks", webhooks::read),
        ui: ui::read(top),
        ui_config: top.section("ui_config", ui::read_config).unwrap_or_default(),
    };
    together(top, &config);
    // Without a dependency, Python's search path has no folder of the application, so imports of sibling files fail.
    let listed = top.get("dependencies").is_none_or(|value| value.as_array().is_some_and(Vec::is_empty));
    let python = config.graphs.values().any(|graph| !graph.is_javascript());
    if python && listed && top.get("source").is_none() {
        let message = "there is no dependency";
        top.context.report("dependencies", message, "Add the application's own folder: \"dependencies\": [\".\"].");
    }
    config
}

/// Reports keys that LangGraph's own command line refuses, alone or in combination.
fn together(top: &Section<'_>, config: &AppConfig) {
    let context = top.context;
    for key in ["project_root", "package"] {
        if top.get(key).is_some_and(|value| value != "" && value != false) {
            let new_key = if key == "package" { "source.package" } else { "source.root" };
            context.report(key, "this key is no longer supported", format!("Use `{new_key}`."));
        }
    }
    let lists = top.get("dependencies").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    if lists && top.get("source").is_some() {
        let message = "this key and `source` exclude each other";
        context.report(
            "dependencies",
            message,
            "Name the packages in pyproject.toml and uv.lock, and remove this key.",
        );
    }
    if config.packaging.source.is_some() && !config.graphs.values().any(|graph| !graph.is_javascript()) {
        let message = "a lock file of uv is for Python, and there is no Python graph";
        context.report("source", message, "Remove this key.");
    }
    if config.priority.as_ref().and_then(|hook| hook.path.as_ref()).is_some_and(Target::is_javascript) {
        context.report("priority.path", "this object must be written in Python", "Name a Python file or module.");
    }
}

fn syntax(path: &Path, error: &serde_json::Error) -> ConfigError {
    let text = error.to_string();
    let reason = text.split(" at line ").next().unwrap_or(&text);
    let hint = match reason {
        "trailing comma" => ". Remove the comma before the closing bracket.",
        "key must be a string" => ". Put the name in double quotes; comments are not allowed.",
        "expected value" => ". Texts stand in double quotes; comments are not allowed.",
        reason if reason.starts_with("EOF") => ". The file ends too early: a bracket or a quote is not closed.",
        reason if reason.starts_with("expected `,`") => ". A comma is missing before this place.",
        _ => ".",
    };
    ConfigError::Syntax {
        path: path.to_owned(),
        line: error.line(),
        column: error.column(),
        message: format!("{reason}{hint}"),
    }
}
