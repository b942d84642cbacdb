//! Layering that Cargo does not keep. The core's purity is Cargo's: see src/core/Cargo.toml.

#[test]
fn one_file_uses_actix_web_actors() {
    let mut folders = vec![std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut users = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else if std::fs::read_to_string(entry.path()).unwrap().contains("actix_web_actors") {
                users.push(entry.file_name());
            }
        }
    }
    assert_eq!(users, ["upgrade.rs"]);
}
