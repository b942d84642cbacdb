//! Dependencies, versions, addresses and links, as far as the project's own files tell. `scripts/audit`
//! asks further.

use std::path::Path;

fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file))
        .unwrap_or_else(|e| panic!("{file}: {e}"))
}

#[test]
fn every_crate_is_from_crates_io_and_has_a_checksum() {
    let lock = read("Cargo.lock");
    let mut crates = 0;
    for package in
        lock.split("[[package]]").skip(1).filter(|package| !package.contains("\nname = \"peerstar"))
    {
        crates += 1;
        assert!(
            package
                .contains("\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\n"),
            "{package}"
        );
        assert!(package.contains("\nchecksum = \""), "{package}");
    }
    assert!(crates > 100, "only {crates} crates read");
}

/// rustls with aws-lc-rs is there already. A feature of a new crate could bring another one. (The
/// lock file names `ring` as well, as an option that is not built.)
#[test]
fn one_library_encrypts() {
    let lock = read("Cargo.lock");
    assert!(lock.contains("\nname = \"aws-lc-rs\"\n"), "crates are found at all");
    for other in ["openssl", "openssl-sys", "native-tls", "boring", "webpki-roots"] {
        assert!(!lock.contains(&format!("\nname = \"{other}\"\n")), "{other}");
    }
}

#[test]
fn every_npm_package_is_from_the_registry_and_has_a_checksum() {
    for file in [
        "static/package-lock.json",
        "static/package-test/package-lock.json",
        "tests/browser/package-lock.json",
    ] {
        let lock: serde_json::Value = serde_json::from_str(&read(file)).expect("JSON");
        let packages = lock["packages"].as_object().expect("packages");
        for (name, package) in packages.iter().filter(|(name, _)| !name.is_empty()) {
            // left out, it is the registry that npm is set up with; the checksum holds all the same
            let from = package["resolved"].as_str().unwrap_or("https://registry.npmjs.org/");
            assert!(
                from.starts_with("https://registry.npmjs.org/"),
                "{file}: {name} is from {from:?}"
            );
            assert!(
                package["integrity"].as_str().is_some_and(|sum| sum.starts_with("sha512-")),
                "{file}: {name}"
            );
        }
        assert!(packages.len() > 5, "{file}: only {} packages read", packages.len());
    }
}

/// The compiler checks the rest, because `forbid` cannot be allowed again in a module.
#[test]
fn unsafe_code_is_forbidden() {
    assert!(read("Cargo.toml").contains("\n[workspace.lints.rust]\nunsafe_code = \"forbid\"\n"));
    for manifest in ["Cargo.toml", "scripts/load/Cargo.toml"] {
        assert!(read(manifest).contains("\n[lints]\nworkspace = true\n"), "{manifest}");
    }
}

/// Returns the address of the repository. `scripts/release repository URL` writes another one
/// everywhere.
fn repository() -> String {
    let manifest: toml::Table = read("Cargo.toml").parse().expect("TOML");
    manifest["workspace"]["package"]["repository"].as_str().expect("a string").to_owned()
}

#[test]
fn every_address_of_the_repository_is_the_one_of_the_workspace() {
    let repository = repository();
    for file in [
        "README.md",
        "static/package.json",
        ".github/ISSUE_TEMPLATE/config.yml",
        ".github/ISSUE_TEMPLATE/bug.yml",
    ] {
        let text = read(file);
        for address in text.split("https://github.com/").skip(1) {
            assert!(
                format!("https://github.com/{address}").starts_with(&repository),
                "{file} names another repository than {repository}: {}",
                address.lines().next().unwrap_or_default()
            );
        }
    }
    assert!(
        read("README.md").contains(&repository)
            && read("static/package.json").contains(&repository)
    );
}

/// The registries show README.md on pages of their own, where a relative link leads nowhere.
#[test]
fn links_of_the_readme_are_absolute_and_their_targets_exist() {
    let readme = read("README.md");
    let repository = repository();
    let mut linked = 0;
    for target in readme.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(target.starts_with("https://"), "{target} is relative");
        let Some(path) = target.strip_prefix(&repository) else { continue };
        let path = ["/blob/main/", "/raw/main/", "/tree/main/"]
            .iter()
            .find_map(|form| path.strip_prefix(form))
            .unwrap_or_else(|| panic!("{target} names no file"));
        let path = path.split('#').next().unwrap_or_default();
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists(), "{path} is not there");
        linked += 1;
    }
    assert!(linked > 10, "only {linked} links read");
}

/// Checks relative links between documents, without their anchors.
#[test]
fn files_that_the_documents_link_to_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut linked = 0;
    for folder in ["", "docs", "docs/delivery", "examples"] {
        let entries = std::fs::read_dir(root.join(folder)).expect("a folder");
        for path in entries.map(|entry| entry.expect("an entry").path()) {
            if path.extension().is_none_or(|extension| extension != "md") {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("text");
            for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let file = target.split('#').next().unwrap_or_default();
                if file.is_empty() || file.contains("://") || file.contains(' ') {
                    continue;
                }
                let linked_file = path.parent().expect("a folder").join(file);
                assert!(linked_file.exists(), "{}: {target} is not there", path.display());
                linked += 1;
            }
        }
    }
    assert!(linked > 30, "only {linked} links read");
}

#[test]
fn the_stock_document_shows_the_stock_example() {
    assert!(read("docs/STOCK.md").contains(&read("examples/stock.html")));
}

/// Checks versions, the lists of packaged files and the container's context. Without `--quick` the
/// script builds them, too.
#[test]
fn a_release_can_be_tried_without_publishing() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/release");
    let outcome = std::process::Command::new(script)
        .args(["--dry-run", "--quick"])
        .output()
        .expect("the script runs");
    let said = String::from_utf8_lossy(&outcome.stdout);
    assert!(outcome.status.success(), "{said}{}", String::from_utf8_lossy(&outcome.stderr));
    let version = env!("CARGO_PKG_VERSION");
    for line in [
        "==> versions agree".to_owned(),
        format!("==> would run: git tag -a v{version} -m peerstar {version}"),
        "==> would run: cargo publish -p peerstar-core".to_owned(),
        "==> would run: npm publish ./static".to_owned(),
        "==> nothing was published".to_owned(),
    ] {
        assert!(said.lines().any(|said| said == line), "{line:?} is missing:\n{said}");
    }
}

/// Checks paths in backticks, such as `src/http/routes.rs`. For `tests/wire_*.rs` the folder must exist.
#[test]
fn files_that_the_contributors_documents_name_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut named = 0;
    for document in ["CONTRIBUTING.md", "docs/ARCHITECTURE.md", "docs/DEPLOY.md", "README.md"] {
        let text = read(document);
        for path in text.split('`').skip(1).step_by(2) {
            let tops = [
                "src/",
                "static/src/",
                "static/sim/",
                "static/test/",
                "tests/",
                "scripts/",
                "docs/",
            ];
            let is_path = tops.iter().any(|top| path.starts_with(top));
            if !is_path || path.contains(' ') {
                continue;
            }
            let path = path.split('*').next().unwrap_or_default();
            let path = if path.ends_with(['_', '-']) {
                path.rsplit_once('/').map_or("", |(folder, _)| folder)
            } else {
                path
            };
            assert!(root.join(path).exists(), "{document}: {path} is not there");
            named += 1;
        }
    }
    assert!(named > 30, "only {named} paths read");
}
