//! Replays the inputs that the fuzzer kept (tests/fuzz). Together they take every path that it
//! found through the code.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so at once")]

#[path = "fuzz/checks/mod.rs"]
mod checks;

use std::path::Path;

/// Passes each kept input to `check`. A failure names the input.
fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 5, "only {} inputs for {target}", files.len());
    for file in files {
        let input = std::fs::read(&file).unwrap();
        let outcome = std::panic::catch_unwind(|| check(&input));
        assert!(outcome.is_ok(), "{} (try `cargo fuzz fmt`)", file.display());
    }
}

#[test]
fn bags() {
    replay("bags", checks::bags::check);
}

#[test]
fn text_in_fragments() {
    replay("fragments", checks::fragments::check);
}

#[test]
fn frames() {
    replay("frames", checks::frames::check);
}

#[test]
fn messages() {
    replay("messages", checks::messages::check);
}

#[test]
fn handshakes() {
    replay("handshake", checks::handshake::check);
}

#[test]
fn lives_of_a_page() {
    replay("page", checks::page::check);
}
