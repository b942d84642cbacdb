//! The core must not ask the clock, roll dice, or know an actor.

#[test]
fn the_core_names_nothing_outside_itself() {
    let forbidden = [
        "actix",
        "tokio",
        "std::net",
        "std::io",
        "std::thread",
        "std::sync::Mutex",
        "Instant",
        "SystemTime",
        "rand::",
        "log::",
        "crate::actor",
        "crate::edge",
        "crate::settings",
        "crate::shared",
        "crate::clock",
    ];
    let mut folders = vec![std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/core")];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
                continue;
            }
            read += 1;
            let source = std::fs::read_to_string(entry.path()).unwrap();
            let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
            for (n, line) in code.enumerate() {
                let named = forbidden.iter().find(|name| line.contains(**name));
                assert_eq!(named, None, "{}: code line {n}: {line}", entry.path().display());
            }
        }
    }
    assert!(read > 10, "only {read} files read");
}

#[test]
fn one_file_knows_actix_web_actors() {
    let mut folders = vec![std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut knowing = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else if std::fs::read_to_string(entry.path()).unwrap().contains("actix_web_actors") {
                knowing.push(entry.file_name());
            }
        }
    }
    assert_eq!(knowing, ["upgrade.rs"]);
}
