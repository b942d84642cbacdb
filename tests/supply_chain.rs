//! What the project is made of, as far as its own files tell: scripts/audit asks further.

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

/// The compiler sees to the rest: `forbid` cannot be taken back further down.
#[test]
fn unsafe_code_is_forbidden() {
    assert!(read("Cargo.toml").contains("\n[workspace.lints.rust]\nunsafe_code = \"forbid\"\n"));
    for manifest in ["Cargo.toml", "scripts/load/Cargo.toml"] {
        assert!(read(manifest).contains("\n[lints]\nworkspace = true\n"), "{manifest}");
    }
}
