//! Landlock rules: they allow everything except the hidden paths.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope,
};

use super::Rules;

/// The oldest usable Landlock version. Earlier ones forbid every move of a file between folders.
const OLDEST: ABI = ABI::V2;

/// The accesses that the rules restrict: all except listing folders and executing programs, so that folders above
/// hidden ones can be listed.
fn handled() -> BitFlags<AccessFs> {
    AccessFs::from_all(ABI::V3) & !(AccessFs::ReadDir | AccessFs::Execute)
}

pub(super) fn is_supported() -> bool {
    let ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    ruleset.handle_access(AccessFs::from_all(OLDEST)).and_then(Ruleset::create).is_ok()
}

/// Restricts this thread, and the processes that it becomes or starts.
pub(super) fn apply(rules: &Rules) -> Result<(), String> {
    let failed = |error: landlock::RulesetError| error.to_string();
    let ruleset = Ruleset::default().handle_access(handled()).and_then(|ruleset| ruleset.scope(Scope::Signal));
    let mut ruleset = ruleset.and_then(Ruleset::create).map_err(failed)?;
    for path in allowed(rules) {
        // A path that no longer exists, or that this user may not open, needs no rule.
        let Ok(file) = PathFd::new(&path) else { continue };
        let access = if path.is_dir() { handled() } else { handled() & AccessFs::from_file(ABI::V3) };
        ruleset = ruleset.add_rule(PathBeneath::new(file, access)).map_err(failed)?;
    }
    match ruleset.restrict_self().map_err(failed)?.ruleset {
        RulesetStatus::NotEnforced => Err("this kernel has no Landlock".to_owned()),
        _ => Ok(()),
    }
}

/// The paths below which everything is allowed.
fn allowed(rules: &Rules) -> BTreeSet<PathBuf> {
    let mut paths = BTreeSet::new();
    match rules.hidden.is_empty() {
        true => {
            paths.insert(PathBuf::from("/"));
        }
        false => walk(Path::new("/"), &rules.hidden, &mut paths),
    }
    paths.extend(rules.shown.iter().cloned());
    paths
}

fn walk(folder: &Path, hidden: &[PathBuf], paths: &mut BTreeSet<PathBuf>) {
    // A rule for a link would allow its target, which may be above a hidden path. So links get no rules.
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let entries = entries.filter(|entry| !entry.file_type().is_ok_and(|kind| kind.is_symlink()));
    let on_the_way: BTreeSet<PathBuf> = hidden
        .iter()
        .filter_map(|path| Some(folder.join(path.strip_prefix(folder).ok()?.components().next()?)))
        .collect();
    paths.extend(entries.map(|entry| entry.path()).filter(|path| !on_the_way.contains(path)));
    for path in on_the_way.iter().filter(|path| !hidden.contains(path)) {
        walk(path, hidden, paths);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_what_is_hidden_cannot_be_read() {
        if !is_supported() {
            return;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let base = folder.path().canonicalize().expect("a folder");
        for file in
            ["app/graph.py", "data/langopen.db", "data/environments/own/x", "data/environments/other/x", "token"]
        {
            let path = base.join(file);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, "text").expect("a file");
        }
        std::os::unix::fs::symlink(&base, base.join("app/link")).expect("a link");
        let rules = Rules {
            hidden: vec![base.join("data"), base.join("token")],
            shown: vec![base.join("data/environments/own")],
        };
        // The restriction applies only to the thread that calls `apply`.
        let thread = std::thread::spawn(move || {
            apply(&rules).expect("a restriction");
            for file in ["app/graph.py", "data/environments/own/x"] {
                assert_eq!(fs::read_to_string(base.join(file)).ok().as_deref(), Some("text"), "{file}");
            }
            for file in ["data/langopen.db", "data/environments/other/x", "token", "app/link/data/langopen.db"] {
                let path = base.join(file);
                assert!(fs::read(&path).is_err() && fs::write(&path, "x").is_err(), "{file} is open");
                assert!(fs::remove_file(&path).is_err(), "{file} can be removed");
            }
            assert!(fs::rename(base.join("data/langopen.db"), base.join("app/taken")).is_err());
            assert!(fs::hard_link(base.join("data/langopen.db"), base.join("app/taken")).is_err());
            let _ = fs::rename(base.join("data"), base.join("moved"));
            assert!(fs::read(base.join("moved/langopen.db")).is_err(), "what is moved stays hidden");
            // The application can still work in its own folder.
            fs::write(base.join("app/new"), "text").expect("a new file");
            fs::create_dir(base.join("app/more")).expect("a new folder");
            fs::rename(base.join("app/new"), base.join("app/more/new")).expect("a move");
            assert!(fs::read_dir(&base).is_ok() && fs::read("/proc/self/environ").is_ok());
            // Root has capabilities that override Landlock. Only the launcher drops them.
            let parent = format!("/proc/{}/environ", std::os::unix::process::parent_id());
            let root = nix::unistd::geteuid().is_root();
            assert!(root || fs::read(parent).is_err(), "the environment of another process is open");
        });
        thread.join().expect("no failure");
    }
}
