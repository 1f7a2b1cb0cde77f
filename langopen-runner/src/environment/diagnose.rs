//! Finds the remedy for a failed tool from its output.

/// The remedy, in one or two sentences.
pub(super) fn remedy(output: &str) -> String {
    if let Some(name) = missing_package(output) {
        return format!(
            "The package index has no package or no suitable version for {name}: check its spelling, its version and \
             the index. Write a local folder with \"./\" in front."
        );
    }
    let flat = output.to_lowercase();
    let text = CASES.iter().find(|(signs, _)| signs.iter().any(|sign| flat.contains(sign))).map(|(_, text)| *text);
    text.unwrap_or("Read the output below; its last lines usually name the cause.").to_owned()
}

// The first match wins, so causes come before their consequences.
const CASES: [(&[&str], &str); 15] = [
    (
        &["multiple top-level packages discovered", "multiple top-level modules discovered"],
        "setuptools does not know which of the folders are the package. Name them in pyproject.toml \
         ([tool.setuptools] packages = [...], or py-modules = [] for none), move the code below src/, or set \
         [tool.uv] package = false to install the dependencies alone.",
    ),
    (
        &["unable to determine which files to ship", "non-package mode"],
        "The project's build tool does not know which files are the package. Name them in pyproject.toml, or set \
         [tool.uv] package = false to install the dependencies alone.",
    ),
    (
        &[
            "can only install packages when your package.json and",
            "err_pnpm_outdated_lockfile",
            "frozen-lockfile",
            "yn0028",
        ],
        "The lock file does not fit package.json: run the package manager's install, and keep the lock file that it writes.",
    ),
    (
        &["err! 404", "err_pnpm_fetch_404", "npm error code e404", "couldn't find package"],
        "The registry has no such package or version: check the names in package.json and the registry in .npmrc.",
    ),
    (
        &["npm error code e401", "npm error code e403", "err_pnpm_fetch_401", "err_pnpm_fetch_403"],
        "The registry refuses access: check the token in .npmrc.",
    ),
    (
        &["enotfound", "econnrefused", "eai_again", "etimedout"],
        "The registry cannot be reached. Check the network and the proxy, or name a registry of your own in .npmrc.",
    ),
    (&["no space left on device"], "The disk is full. Free some space, or put the environments elsewhere."),
    (
        &["ensurepip is not available", "no module named ensurepip", "no module named venv"],
        "This Python lacks the modules venv and ensurepip. Install them (Debian and Ubuntu: apt install \
         python3-venv), or install uv.",
    ),
    (
        &["requires-python", "requires a different python", "requires python"],
        "A package does not fit this version of Python. Change `python_version` or the package's version.",
    ),
    (
        &["resolutionimpossible", "no solution found", "conflicting dependencies", "are incompatible"],
        "The requirements contradict one another: relax one of the versions named below.",
    ),
    (
        &["certificate_verify_failed", "invalid peer certificate", "unknownissuer"],
        "The package index's certificate is not trusted. Set PIP_CERT or SSL_CERT_FILE to your authority's \
         certificates.",
    ),
    (
        &["401 client error", "401 unauthorized", "403 client error", "403 forbidden", "407 proxy"],
        "The package index refuses access. Check the credentials in `pip_config_file` or in the index's URL.",
    ),
    (
        &[
            "failed to establish a new connection",
            "name resolution",
            "dns error",
            "connection refused",
            "read timed out",
            "error sending request",
        ],
        "The package index cannot be reached. Check the network and the proxy; name an index of your own in \
         `pip_config_file`.",
    ),
    (
        &["cannot find command 'git'", "git executable not found", "git operation failed"],
        "A requirement comes from git: check that git is installed and that the repository can be reached.",
    ),
    (
        &["command 'gcc' failed", "command 'cc' failed", "unable to find a compiler", "microsoft visual c++"],
        "A package has no wheel for this machine, and compiling it failed. Install a compiler and the libraries \
         named below, or choose another version.",
    ),
];

fn missing_package(output: &str) -> Option<String> {
    let between = |start: &str, ends: &[&str]| {
        let rest = &output[output.find(start)? + start.len()..];
        let line = rest.lines().next()?;
        let end = ends.iter().filter_map(|end| line.find(end)).min().unwrap_or(line.len());
        Some(format!("`{}`", line[..end].trim())).filter(|name| name.len() > 2)
    };
    between("No matching distribution found for ", &[" (", ";"]).or_else(|| {
        // uv wraps its explanation, so a name may be at the end of the previous line.
        let joined = output.split_whitespace().collect::<Vec<_>>().join(" ");
        let at = joined.find(" was not found in the ")?;
        joined[..at].rsplit(' ').next().map(|name| format!("`{name}`"))
    })
}
