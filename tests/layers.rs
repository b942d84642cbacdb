//! The floors of the server: no import runs upwards, and no files import each other in a circle.
//!
//! A file may import what stands on its own floor or below. A module and its own children may
//! import each other. The purity of the core is Cargo's: see src/core/Cargo.toml.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so at once")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The modules of the server by floor, from the ground.
const FLOORS: [&[&str]; 7] = [
    &["clock", "logging", "metrics", "settings", "tls", "turn"],
    &["admission", "shared"],
    &["transport"],
    &["cluster"],
    &["actor"],
    &["http"],
    &["server", "signals", "main"],
];

/// A module's path below its crate, such as `["actor", "page"]`.
type Module = Vec<String>;

/// The modules of one crate, each with the modules that it imports.
type Imports = BTreeMap<Module, BTreeSet<Module>>;

fn files(folder: &Path, skip: &[PathBuf], found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if skip.contains(&path) {
            continue;
        }
        if path.is_dir() {
            files(&path, skip, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Returns the module that a file holds. That of `lib.rs` is empty.
fn module_of(root: &Path, file: &Path) -> Module {
    let below = file.strip_prefix(root).unwrap().with_extension("");
    let mut module: Module = below.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    if module.last().is_some_and(|name| name == "mod" || name == "lib") {
        module.pop();
    }
    module
}

/// Returns the code of a file without comments and unit tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = text.lines().map(|line| line.split("//").next().unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns the paths of a tree such as `super::{a, b::{self, c}}`.
fn expand(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((before, rest)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap().trim();
        return vec![path.trim_end_matches("::self").to_owned()];
    };
    let inside = rest.strip_suffix('}').unwrap_or(rest);
    let (mut depth, mut begun, mut parts) = (0, 0, Vec::new());
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inside[begun..at]);
                begun = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inside[begun..]);
    let parts = parts.into_iter().filter(|part| !part.trim().is_empty());
    parts.flat_map(|part| expand(&format!("{before}{}", part.trim()))).collect()
}

/// Returns all paths that the code of a file imports, or names in full.
fn paths(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for statement in code.split(';') {
        let begin = statement.rfind("use ").filter(|at| {
            let before = statement[..*at].trim_end();
            let line = statement[..*at].rsplit('\n').next().unwrap().trim();
            before.is_empty() || line.is_empty() || line.starts_with("pub")
        });
        if let Some(begin) = begin {
            paths.extend(expand(&statement[begin + "use ".len()..]));
        }
    }
    let ends = |c: char| !(c.is_alphanumeric() || c == '_' || c == ':');
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let rest = &code[at..];
            paths.push(rest[..rest.find(ends).unwrap_or(rest.len())].to_owned());
        }
    }
    paths
}

/// Returns the module that a path leads to, from the module `from`.
fn resolve(
    path: &str,
    from: &Module,
    crate_name: &str,
    modules: &BTreeSet<Module>,
) -> Option<Module> {
    let mut parts = path.split("::").map(str::trim);
    let mut base = match parts.next()? {
        "crate" => Module::new(),
        "super" => from[..from.len().checked_sub(1)?].to_vec(),
        "self" => from.clone(),
        name if name == crate_name => Module::new(),
        name => {
            let child = [from.clone(), vec![name.to_owned()]].concat();
            modules.contains(&child).then_some(child)?
        }
    };
    for part in parts {
        if part == "super" {
            base.pop();
            continue;
        }
        base.push(part.to_owned());
        if !modules.contains(&base) {
            base.pop();
            break;
        }
    }
    Some(base)
}

/// Reads the imports of a crate. Imports between a module and its own children are left out.
fn imports(root: &Path, crate_name: &str, skip: &[PathBuf]) -> Imports {
    let mut found = Vec::new();
    files(root, skip, &mut found);
    found.retain(|file| !file.ends_with("tests.rs"));
    let modules: BTreeSet<_> = found.iter().map(|file| module_of(root, file)).collect();
    let mut all = Imports::new();
    for file in &found {
        let module = module_of(root, file);
        let code = code(&std::fs::read_to_string(file).unwrap());
        let imported = all.entry(module.clone()).or_default();
        for path in paths(&code) {
            let Some(to) = resolve(&path, &module, crate_name, &modules) else { continue };
            if !to.starts_with(&module) && !module.starts_with(&to) {
                imported.insert(to);
            }
        }
    }
    all
}

/// Returns a circle of modules, if there is one.
fn circle(imports: &Imports) -> Option<Vec<Module>> {
    fn visit(
        module: &Module,
        imports: &Imports,
        path: &mut Vec<Module>,
        done: &mut BTreeSet<Module>,
    ) -> Option<Vec<Module>> {
        if let Some(at) = path.iter().position(|earlier| earlier == module) {
            return Some(path[at..].to_vec());
        }
        if !done.contains(module) {
            path.push(module.clone());
            for next in imports.get(module).into_iter().flatten() {
                if let found @ Some(_) = visit(next, imports, path, done) {
                    return found;
                }
            }
            path.pop();
            done.insert(module.clone());
        }
        None
    }
    let mut done = BTreeSet::new();
    imports.keys().find_map(|module| visit(module, imports, &mut Vec::new(), &mut done))
}

fn floor_of(module: &Module) -> usize {
    let top = module.first().unwrap();
    let floor = FLOORS.iter().position(|floor| floor.contains(&&**top));
    floor.unwrap_or_else(|| panic!("src/{top} stands on no floor: add it to FLOORS"))
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn server() -> Imports {
    imports(&sources(), "peerstar", &[sources().join("core")])
}

#[test]
fn no_import_of_the_server_runs_upwards() {
    let mut upwards = Vec::new();
    for (from, imported) in server().iter().filter(|(from, _)| !from.is_empty()) {
        for to in imported.iter().filter(|to| floor_of(to) > floor_of(from)) {
            upwards.push(format!("{} imports {}", from.join("::"), to.join("::")));
        }
    }
    assert_eq!(upwards, [""; 0]);
}

#[test]
fn no_files_of_the_server_import_each_other_in_a_circle() {
    let imports = server();
    assert!(imports.values().map(BTreeSet::len).sum::<usize>() > 50, "imports are found at all");
    assert_eq!(circle(&imports), None);
}

#[test]
fn no_files_of_the_core_import_each_other_in_a_circle() {
    assert_eq!(circle(&imports(&sources().join("core"), "peerstar_core", &[])), None);
}

#[test]
fn paths_are_found_in_all_forms() {
    let text = "use super::{a, b::{self, c as d}};\npub use crate::e;\nfn f() { crate::g::h(); }\n// use x::y;";
    let found = paths(&code(text));
    for path in ["super::a", "super::b", "super::b::c", "crate::e", "crate::g::h"] {
        assert!(found.iter().any(|found| found == path), "{path}: {found:?}");
    }
    assert!(!found.iter().any(|found| found.contains('x')), "{found:?}");
}

#[test]
fn one_file_uses_actix_web_actors() {
    let mut found = Vec::new();
    files(&sources(), &[], &mut found);
    let users: Vec<_> = found
        .iter()
        .filter(|file| std::fs::read_to_string(file).unwrap().contains("actix_web_actors"))
        .map(|file| file.file_name().unwrap().to_owned())
        .collect();
    assert_eq!(users, ["upgrade.rs"]);
}
