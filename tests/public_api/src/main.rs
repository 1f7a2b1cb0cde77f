//! Compares the public API of each published crate with its listing in `tests/public_api/listings`.
//!
//! `cargo run -p langopen-public-api` fails when a listing differs; `-- --write` writes the listings anew. A change of
//! a listing is then part of the review.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

type Error = Box<dyn std::error::Error>;

/// The published crates, by folder and name.
const CRATES: &[&str] = &[
    "langopen-core",
    "langopen-backends",
    "langopen-testkit",
    "langopen-graph",
    "langopen-api",
    "langopen-worker",
    "langopen-runner",
];

fn main() -> ExitCode {
    let write = env::args().any(|argument| argument == "--write");
    match run(write) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cannot list the public API: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Checks or writes every listing; returns whether all match.
fn run(write: bool) -> Result<bool, Error> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    describe(home)?;
    let mut all_match = true;
    for name in CRATES {
        let listing = home.join("listings").join(format!("{name}.txt"));
        let now = list(home, name)?;
        if write {
            fs::create_dir_all(home.join("listings"))?;
            fs::write(&listing, now)?;
            continue;
        }
        let before = fs::read_to_string(&listing).unwrap_or_default();
        if before != now {
            all_match = false;
            report(name, &before, &now);
        }
    }
    Ok(all_match)
}

/// Describes every crate with all its features, as JSON. A warning of rustdoc is an error. One command for the whole
/// workspace uses the dependencies that lints and documentation use; a command for each crate would build its own.
fn describe(home: &Path) -> Result<(), Error> {
    let mut doc = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    doc.env("RUSTDOC", home.join("rustdoc")).current_dir(home);
    doc.env("RUSTDOCFLAGS", "-D warnings -Z unstable-options --output-format json");
    doc.args(["doc", "--quiet", "--locked", "--workspace", "--lib", "--all-features", "--no-deps"]);
    if doc.status()?.success() { Ok(()) } else { Err("rustdoc failed".into()) }
}

/// The public items of a crate, one on each line.
fn list(home: &Path, name: &str) -> Result<String, Error> {
    let json = target(home).join("doc").join(format!("{}.json", name.replace('-', "_")));
    let api = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()?;
    Ok(api.items().map(|item| format!("{item}\n")).collect())
}

fn target(home: &Path) -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| home.join("../../target"), PathBuf::from)
}

fn report(name: &str, before: &str, now: &str) {
    println!("the public API of {name} differs from its listing (- listing, + now):");
    before.lines().filter(|line| !now.lines().any(|other| other == *line)).for_each(|line| println!("- {line}"));
    now.lines().filter(|line| !before.lines().any(|other| other == *line)).for_each(|line| println!("+ {line}"));
    println!("if the change is wanted, run: cargo run -p langopen-public-api -- --write\n");
}
