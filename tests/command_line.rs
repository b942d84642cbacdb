//! The command line, the settings file and the environment.

mod common;

use common::{Outcome, eventually, run_once};
use tempfile::TempDir;

fn empty_directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn directory_with(settings: &str) -> TempDir {
    let directory = empty_directory();
    std::fs::write(directory.path().join("settings.toml"), settings).expect("written");
    directory
}

fn check(directory: &TempDir, environment: &[(&str, &str)]) -> Outcome {
    run_once(directory, &["--check"], environment)
}

/// Returns the value of `section.key` in the output of `--check`.
fn value(printed: &str, section: &str, key: &str) -> toml::Value {
    let table: toml::Table = printed.parse().unwrap_or_else(|e| panic!("not TOML: {e}: {printed}"));
    table[section][key].clone()
}

#[test]
fn check_prints_the_settings_in_effect() {
    let bare = check(&empty_directory(), &[]);
    assert_eq!((bare.code, &*bare.stderr), (Some(0), ""));
    let file = include_str!("../settings.toml");
    let from_file = check(&directory_with(file), &[]);
    assert_eq!(from_file.stdout, bare.stdout);
    let (printed, written): (toml::Table, toml::Table) =
        (bare.stdout.parse().expect("TOML"), file.parse().expect("TOML"));
    assert_eq!(printed, written);
}

#[test]
fn check_masks_secrets() {
    let directory = directory_with(
        "[ice]\nservers = [{ urls = ['turn:t.org'], username = 'u', credential = 's3cret-c' }]\n",
    );
    let shown = check(&directory, &[("PEERSTAR__AUTH__ADMIN_TOKEN", "s3cret-a")]);
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    assert!(
        !shown.stdout.contains("s3cret") && !shown.stderr.contains("s3cret"),
        "{}",
        shown.stdout
    );
    assert_eq!(value(&shown.stdout, "auth", "admin_token").as_str(), Some("***"));
}

#[test]
fn flags_override_port_which_overrides_the_environment_the_file_and_the_defaults() {
    let directory =
        directory_with("[server]\nport = 1\nhost = '127.0.0.1'\n[liveness]\nping_ms = 111\n");
    let port = |arguments: &[&str], environment: &[(&str, &str)]| {
        let shown = run_once(&directory, &[&["--check"], arguments].concat(), environment);
        assert_eq!(shown.code, Some(0), "{}", shown.stderr);
        assert_eq!(value(&shown.stdout, "liveness", "ping_ms").as_integer(), Some(111));
        value(&shown.stdout, "server", "port").as_integer()
    };
    assert_eq!(port(&[], &[]), Some(1));
    assert_eq!(port(&[], &[("PEERSTAR__SERVER__PORT", "2")]), Some(2));
    assert_eq!(port(&[], &[("PORT", "3")]), Some(3));
    assert_eq!(port(&[], &[("PEERSTAR__SERVER__PORT", "2"), ("PORT", "3")]), Some(3));
    assert_eq!(port(&["--port", "4"], &[("PEERSTAR__SERVER__PORT", "2"), ("PORT", "3")]), Some(4));
}

#[test]
fn the_file_of_config_replaces_settings_toml() {
    let directory = directory_with("[server]\nport = 1\n");
    let other = directory.path().join("other.toml");
    std::fs::write(&other, "[peerjs]\nkey = 'other'\n").expect("written");
    let shown = run_once(&directory, &["--check", "--config", other.to_str().expect("UTF-8")], &[]);
    assert_eq!(value(&shown.stdout, "server", "port").as_integer(), Some(9000));
    assert_eq!(value(&shown.stdout, "peerjs", "key").as_str(), Some("other"));
    // a file whose name does not say that it is TOML
    let plain = directory.path().join("plain");
    std::fs::write(&plain, "[peerjs]\nkey = 'plain'\n").expect("written");
    let shown = run_once(&directory, &["--check", "--config", plain.to_str().expect("UTF-8")], &[]);
    assert_eq!(value(&shown.stdout, "peerjs", "key").as_str(), Some("plain"), "{}", shown.stderr);
}

/// Asserts that a run ended with 2, printed nothing, and said one line that has all of `parts`.
fn assert_refused(outcome: &Outcome, parts: &[&str]) {
    assert_eq!((outcome.code, &*outcome.stdout), (Some(2), ""), "{parts:?}: {}", outcome.stderr);
    assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
    assert!(
        parts.iter().all(|part| outcome.stderr.contains(part)),
        "{:?} lacks one of {parts:?}",
        outcome.stderr
    );
}

#[test]
fn a_wrong_setting_is_refused_in_one_line_with_its_key_its_value_and_what_is_allowed() {
    for (file, parts) in [
        ("[server]\nprot = 1\n", &["server", "prot", "port"][..]),
        ("[sever]\nport = 1\n", &["sever", "server"]),
        ("[server]\nport = 'many'\n", &["server.port", "many"]),
        ("[server]\nport = 70000\n", &["server.port", "70000"]),
        ("[server]\nport = -1\n", &["server.port", "-1"]),
        ("[liveness]\nping_ms = 5\n", &["liveness.ping_ms", "5", "100", "60000"]),
        (
            "[liveness]\nping_ms = 5000\ntimeout_ms = 6000\n",
            &["liveness.timeout_ms", "6000", "10000"],
        ),
        ("[election]\npolicy = 'best'\n", &["election.policy", "best", "random", "oldest"]),
        ("[log]\nformat = 'xml'\n", &["log.format", "xml", "json"]),
        (
            "[log]\nfilter = 'inof'\n",
            &["log.filter", "\"inof\" is no level", "info, debug and trace"],
        ),
        ("[log]\nfilter = 'peerstar=loud'\n", &["log.filter", "\"loud\" is no level"]),
        ("[peerjs]\nallow_discovery = 'perhaps'\n", &["peerjs.allow_discovery", "perhaps"]),
        ("[peerjs]\nkey = ''\n", &["peerjs.key"]),
        ("[server]\npath = 'app'\n", &["server.path", "app", "/"]),
        ("[cors]\norigins = ['https://a.org/x']\n", &["cors.origins", "https://a.org/x"]),
        (
            "[cors]\norigins = ['*']\n",
            &["cors.origins", "\"*\"", "empty", "\"null\"", "\"file://\""],
        ),
        (
            "[ice]\nservers = [{ urls = ['stun.example.org'] }]\n",
            &["ice.servers", "stun.example.org", "lacks a scheme"],
        ),
        (
            "[ice]\nservers = [{ urls = ['turn:t.org'] }]\n",
            &["ice.servers", "turn:t.org", "credential", "ice.turn_secret"],
        ),
        (
            "[ice]\nservers = [{ urls = ['stun:s.org?transport=udp'] }]\n",
            &["ice.servers", "?transport"],
        ),
        ("[server]\nproxy_hops = 0\n", &["server.proxy_hops", "0", "1", "16"]),
        ("[limits]\nqueue_bytes = 5\n", &["limits.queue_bytes", "5"]),
        ("[[server]]\n", &["server"]),
        ("port = 9000\n", &["port"]),
        ("not toml", &["settings.toml"]),
    ] {
        let directory = directory_with(file);
        assert_refused(&check(&directory, &[]), parts);
    }
    // without --check the server does not start
    assert_refused(&run_once(&directory_with("[sever]\n"), &["--port", "0"], &[]), &["sever"]);
}

#[test]
fn wrong_variables_and_flags_are_refused_as_wrong_keys_of_the_file_are() {
    let directory = empty_directory();
    for (name, text, parts) in [
        ("PEERSTAR__SERVER__WORKERS", "many", &["server.workers", "many"][..]),
        ("PEERSTAR__SERVER__PROT", "1", &["prot"]),
        ("PEERSTAR__FOO__BAR", "1", &["foo"]),
        ("PEERSTAR__LIVENESS__PING_MS", "-5", &["liveness.ping_ms", "-5"]),
        ("PORT", "http", &["server.port", "http"]),
        ("PORT", "65536", &["server.port", "65536"]),
        ("PEERSTAR__AUTH__TICKET_SECRET", " \n", &["auth.ticket_secret", "white space"]),
        (
            "PEERSTAR__AUTH__TICKET_SECRET_FILE",
            "nowhere",
            &["PEERSTAR__AUTH__TICKET_SECRET_FILE", "nowhere"],
        ),
        (
            "PEERSTAR__ICE__SERVERS",
            r#"[{"urls":["stun:s.org:0"]}]"#,
            &["ice.servers", "stun:s.org:0", "1 to 65535"],
        ),
    ] {
        assert_refused(&check(&directory, &[(name, text)]), parts);
    }
    assert_refused(&run_once(&directory, &["--check", "--port", "x"], &[]), &["server.port", "x"]);
    assert_refused(
        &run_once(&directory, &["--check", "--config", "nowhere.toml"], &[]),
        &["nowhere.toml"],
    );
    let unknown = run_once(&directory, &["--frobnicate"], &[]);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("--frobnicate"));
}

#[test]
fn an_address_in_use_is_reported_in_one_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let outcome = run_once(&empty_directory(), &["--host", "127.0.0.1", "--port", &port], &[]);
    assert_eq!(outcome.code, Some(1));
    let last = outcome.stderr.lines().last().unwrap_or_default();
    assert!(last.contains(&port) && last.contains("127.0.0.1"), "{}", outcome.stderr);
}

#[tokio::test]
async fn the_log_has_each_join_leave_and_election_at_debug_and_no_message() {
    let server = common::Server::start(&[("log.filter", "debug"), ("log.format", "json")]);
    let (mut a, mut b) = (server.member("p", "a").await, server.member("p", "b").await);
    a.expect("JOIN").await;
    for _ in 0..20 {
        a.meet(&mut b).await;
    }
    a.goodbye().await;
    b.appointed().await;
    // the log does not arrive with the messages
    eventually("the election in the log", async || {
        server.log().iter().any(|line| line.contains("host elected"))
    })
    .await;
    let lines: Vec<serde_json::Value> = server.log()[1..]
        .iter()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}")))
        .collect();
    let messages = lines.iter().filter_map(|line| line["message"].as_str());
    let since: Vec<&str> = messages.skip_while(|message| *message != "member joined").collect();
    let expected = ["member joined", "member joined", "member left", "host elected"];
    assert_eq!(since, expected, "{lines:#?}");
    assert!(lines.iter().all(|line| !line.to_string().contains("token")), "tokens are not logged");
}

#[tokio::test]
async fn a_common_signal_drains_the_server_or_is_ignored() {
    for ignored in ["HUP", "USR1", "USR2"] {
        let server = common::Server::start(&[]);
        let mut member = server.grouped("p", "a").await;
        server.signal(ignored);
        eventually("the signal is logged", async || {
            server.log().iter().any(|line| line.contains("] ignored: "))
        })
        .await;
        let log = server.log();
        assert!(log.iter().any(|line| line.ends_with(&format!("signal=SIG{ignored}"))), "{log:#?}");
        member.nothing_more().await;
    }
    for stops in ["TERM", "INT", "QUIT"] {
        let mut server = common::Server::start(&[]);
        let mut member = server.grouped("p", "a").await;
        server.signal(stops);
        member.expect("RESTART").await;
        assert_eq!(member.closed().await.0, 1012, "{stops}");
        assert!(server.exit_within(common::PATIENCE).await.success(), "{stops}");
    }
}

/// The library stops the compiler before it looks for other crates, so that the compiler is enough.
#[test]
fn a_build_that_aborts_on_panic_is_refused() {
    let compile = |panic: &str| {
        let library = concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs");
        let output = std::process::Command::new("rustc")
            .args(["--edition=2024", "--crate-type=lib", "--emit=metadata", "-o", "/dev/null"])
            .args(["-C", &format!("panic={panic}"), library])
            .output()
            .expect("rustc runs");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let refusal = "peerstar needs panic = \"unwind\"";
    assert!(compile("abort").contains(refusal), "abort is accepted");
    assert!(!compile("unwind").contains(refusal), "unwind is refused");
}
