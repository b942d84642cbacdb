//! Tests of how settings are read, checked and shown.

use super::*;

fn load(file: &str, environment: &[(&str, &str)]) -> Result<Settings, String> {
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    let path = dir.path().join("settings.toml");
    std::fs::write(&path, file).map_err(|e| e.to_string())?;
    let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Settings::load(Sources { file: Some(path), environment, flags: vec![] })
        .map_err(|e| e.to_string())
}

#[test]
fn settings_toml_names_every_key_with_its_default() {
    let text = include_str!("../../settings.toml");
    assert_eq!(load(text, &[]), Ok(Settings::default()));
    let keys = |text: &str| -> Vec<String> {
        let table: toml::Table = text.parse().unwrap_or_else(|e| panic!("{e}"));
        let mut keys: Vec<_> = table
            .iter()
            .flat_map(|(section, value)| {
                let keys = value.as_table().into_iter().flat_map(|t| t.keys());
                keys.map(move |key| format!("{section}.{key}"))
            })
            .collect();
        keys.sort();
        keys
    };
    assert_eq!(keys(text), keys(&Settings::default().print()));
}

#[test]
fn the_environment_overrides_the_file_and_port_overrides_both() {
    let file = "[server]\nport = 1\n[liveness]\nping_ms = 1000";
    let set = load(
        file,
        &[("PEERSTAR__SERVER__PORT", "2"), ("PORT", "3"), ("PEERSTAR__AUTH__ADMIN_TOKEN", "0123")],
    );
    let set = set.unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(
        (set.server.port, set.liveness.ping_ms, set.auth.admin_token.expose()),
        (3, 1000, "0123")
    );
    let set = load(
        "",
        &[
            ("PEERSTAR__CORS__ORIGINS", "https://a.org, https://b.org"),
            ("PEERSTAR__PEERJS__ALLOW_DISCOVERY", "true"),
        ],
    );
    let set = set.unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((set.cors.origins.len(), set.peerjs.allow_discovery), (2, true));
    for variable in [r#"[{"urls":"stun:a"}]"#, r#"[{"urls":[" STUN:a"]}]"#] {
        let set =
            load("", &[("PEERSTAR__ICE__SERVERS", variable)]).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(set.ice.servers[0].urls, ["stun:a"]);
    }
}

#[test]
fn an_error_is_one_line_that_names_the_key() {
    for (file, environment, parts) in [
        ("[server]\nprot = 1", &[][..], &["server", "prot"][..]),
        ("[sever]\nport = 1", &[], &["sever"]),
        ("[server]\nport = 'x'", &[], &["server.port", "x"]),
        ("[server]\nport = 70000", &[], &["server.port", "70000"]),
        ("[liveness]\nping_ms = 5", &[], &["liveness.ping_ms = 5", "100 to 60000"]),
        ("[liveness]\ntimeout_ms = 9999", &[], &["liveness.timeout_ms = 9999", "10000 to"]),
        ("[pages]\ndeputies = 2", &[], &["pages.deputies = 2", "0 to 1"]),
        (
            "[election]\npolicy = 'best'",
            &[],
            &["election.policy", "`best`", "`random` or `oldest`"],
        ),
        ("[election]\npolicy = 'Random'", &[], &["election.policy", "`Random`"]),
        ("[election]\npolicy = ''", &[], &["election.policy", "`random` or `oldest`"]),
        ("[log]\nformat = 'xml'", &[], &["log.format", "`xml`", "`text` or `json`"]),
        ("[log]\nfilter = 'inof'", &[], &["log.filter: \"inof\" is no level", "info, debug"]),
        (
            "",
            &[("PEERSTAR__LOG__FILTER", "info,peerstar=loud")],
            &["log.filter: \"loud\" is no level"],
        ),
        ("[server]\n\"a\\nb\" = 1", &[], &["server.a b: unknown field"]),
        ("[server]\nport = 99999999999999999999", &[], &["too large", "settings.toml"]),
        ("[server]\nproxy_hops = 0", &[], &["server.proxy_hops = 0", "1 to 16"]),
        (
            "[cors]\norigins = ['https://a.org', 'example.org']",
            &[],
            &["cors.origins", "\"example.org\" lacks a scheme", "\"null\""],
        ),
        (
            "",
            &[("PEERSTAR__CORS__ORIGINS", "https://a.org,https://*")],
            &["cors.origins", "\"https://*\"", "https://*.example.org"],
        ),
        (
            "[ice]\nservers = [{ urls = ['stun.example.org'] }]",
            &[],
            &["ice.servers", "\"stun.example.org\" lacks a scheme"],
        ),
        (
            "[ice]\nservers = [{ urls = ['turn:t.org'] }]",
            &[],
            &["ice.servers", "turn:t.org", "ice.turn_secret"],
        ),
        ("[cors]\norigins = 5", &[], &["cors.origins", "list of texts"]),
        ("[ice]\nservers = [{ urls = 5 }]", &[], &["ice.servers", "list of {urls"]),
        ("[auth]\nadmin_token = ['s3cret']", &[], &["auth.admin_token", "a text in quotes"]),
        ("[auth]\nadmin_token = '  '", &[], &["auth.admin_token", "white space"]),
        ("", &[("PEERSTAR__AUTH__TICKET_SECRET", "\n")], &["auth.ticket_secret", "white space"]),
        ("", &[("PEERSTAR__ICE__TURN_SECRET", "a\nb")], &["ice.turn_secret", "line break"]),
        (
            "",
            &[("PEERSTAR__AUTH__ADMIN_TOKEN_FILE", "/nowhere/at/all")],
            &["PEERSTAR__AUTH__ADMIN_TOKEN_FILE", "/nowhere/at/all"],
        ),
        ("[auth]\nticket_secret = 'x'", &[], &["auth.ticket_secret", "at least 32 bytes"]),
        ("[ice]\nturn_secret = 'x'", &[], &["ice.turn_secret", "no turn: server"]),
        ("[tls]\ncert = 'x'", &[], &["tls.cert and tls.key", "both"]),
        ("", &[("PEERSTAR__SERVER__WORKERS", "many")], &["server.workers", "many"]),
        ("", &[("PEERSTAR__FOO__BAR", "1")], &["foo"]),
        ("nonsense", &[], &["settings.toml"]),
        ("", &[("PEERSTAR__AUTH", "s3cret")], &["auth", "section of keys"]),
        ("[auth]\nadmin_token = 's3cret", &[], &["settings.toml", "line 2"]),
    ] {
        let message = load(file, environment)
            .err()
            .unwrap_or_else(|| panic!("accepted {file} {environment:?}"));
        assert!(!message.contains('\n') && !message.contains("s3cret"), "{message}");
        assert!(
            parts.iter().all(|part| message.contains(part)),
            "{message:?} lacks one of {parts:?}"
        );
    }
}

/// Returns a file with these bytes, as a container mounts it.
fn mounted(bytes: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap_or_else(|e| panic!("{e}"));
    std::fs::write(file.path(), bytes).unwrap_or_else(|e| panic!("{e}"));
    file
}

const SECRET: &str = "0123456789abcdef-s3cret-0123456789abcdef";

#[test]
fn white_space_around_a_secret_is_removed_in_variables_and_files() {
    let with_space = format!("\u{feff} {SECRET}\r\n");
    let file = mounted(with_space.as_bytes());
    let path = file.path().to_string_lossy();
    let servers = |credential: &str| serde_json::json!([{"urls": ["turn:t"], "username": "u", "credential": credential}, {"urls": ["turn:x"]}]);
    let servers = servers(&with_space).to_string();
    let servers_file = mounted(servers.as_bytes());
    let servers_path = servers_file.path().to_string_lossy();
    let keys = [
        "PEERSTAR__AUTH__TICKET_SECRET",
        "PEERSTAR__AUTH__ADMIN_TOKEN",
        "PEERSTAR__ICE__TURN_SECRET",
    ];
    let files = keys.map(|key| format!("{key}_FILE"));
    let direct = keys.map(|key| (key, &*with_space));
    let by_file = files.each_ref().map(|key| (&**key, &*path));
    for variables in [
        [&direct[..], &[("PEERSTAR__ICE__SERVERS", &*servers)]].concat(),
        [&by_file[..], &[("PEERSTAR__ICE__SERVERS_FILE", &*servers_path)]].concat(),
    ] {
        let set = load("", &variables).unwrap_or_else(|e| panic!("{e}"));
        let credential = set.ice.servers[0].credential.as_ref();
        for secret in [
            Some(&set.auth.ticket_secret),
            Some(&set.auth.admin_token),
            Some(&set.ice.turn_secret),
            credential,
        ] {
            assert_eq!(secret.map(Secret::expose), Some(SECRET), "{variables:?}");
        }
    }
}

#[test]
fn a_file_without_a_value_is_refused_with_the_reason() {
    let (long, path) = ("x".repeat(65 * 1024), |file: &tempfile::NamedTempFile| {
        file.path().to_string_lossy().into_owned()
    });
    for (bytes, words) in [
        (&b""[..], "white space"),
        (b" \n", "white space"),
        (b"\xff", "UTF-8"),
        (long.as_bytes(), "longer"),
    ] {
        let file = mounted(bytes);
        let error = load("", &[("PEERSTAR__AUTH__TICKET_SECRET_FILE", &path(&file))])
            .err()
            .unwrap_or_default();
        assert!(
            error.contains("PEERSTAR__AUTH__TICKET_SECRET_FILE") && error.contains(words),
            "{error:?} lacks {words:?}"
        );
    }
    let file = mounted(b"text");
    let both = [
        ("PEERSTAR__AUTH__ADMIN_TOKEN_FILE", &*path(&file)),
        ("PEERSTAR__AUTH__ADMIN_TOKEN", "text"),
    ];
    assert!(load("", &both).is_err_and(|error| error.contains("both set")));
    assert!(
        load("", &[("PEERSTAR__AUTH__FOO_FILE", &path(&file))])
            .is_err_and(|error| error.contains("foo"))
    );
    assert!(load("", &[("SOME_FILE", "/nowhere")]).is_ok(), "a variable of another program");
}

#[test]
fn a_variable_of_the_server_that_is_not_text_is_refused() {
    use std::os::unix::ffi::OsStringExt;
    let variable = |name: &str| (name.into(), std::ffi::OsString::from_vec(vec![0xff]));
    let read = |name: &str| environment::from_process(std::iter::once(variable(name)));
    assert!(
        read("PEERSTAR__AUTH__TICKET_SECRET")
            .is_err_and(|e| e.to_string().contains("TICKET_SECRET: "))
    );
    assert!(read("LS_COLORS").is_ok_and(|texts| texts.is_empty()));
}

#[test]
fn no_secret_is_shown() {
    let file = format!(
        "[ice]\nturn_secret = 's3cret-t'\nservers = [{{ urls = ['turn:a'], username = 'u', credential = 's3cret-c' }}, \
         {{ urls = ['turn:b'] }}]\n[auth]\nadmin_token = 's3cret-a'\nticket_secret = '{SECRET}'"
    );
    let set = load(&file, &[]).unwrap_or_else(|e| panic!("{e}"));
    let secrets = [
        &set.ice.turn_secret,
        &set.auth.admin_token,
        &set.auth.ticket_secret,
        set.ice.servers[0].credential.as_ref().unwrap_or_else(|| panic!("no credential")),
    ];
    assert!(secrets.iter().all(|secret| secret.expose().contains("s3cret")), "each is set");
    let printed = set.print();
    assert_eq!(printed.matches("***").count(), secrets.len(), "{printed}");
    let environment = HashMap::from([("PEERSTAR__AUTH__ADMIN_TOKEN".into(), "s3cret".into())]);
    let sources =
        Sources { file: None, environment, flags: vec![("auth.admin_token", "s3cret".into())] };
    let shared = crate::shared::Shared::new(set.clone());
    for shown in [
        printed,
        format!("{set:?}"),
        format!("{set:#?}"),
        format!("{:?} {:?}", set.auth, set.ice),
        format!("{shared:?}"),
        format!("{:?}", shared.rules),
        format!("{sources:?}"),
    ] {
        assert!(!shown.contains("s3cret"), "{shown}");
    }
    assert!(format!("{sources:?}").contains("ADMIN_TOKEN"));
}

#[test]
fn the_address_of_a_node_is_a_plain_url_of_a_folder() {
    for good in ["http://10.0.0.7:9000/", "http://[::1]:9000/peers/", "http://a/"] {
        assert!(node_url(good).is_some(), "{good}");
    }
    for bad in ["10.0.0.7:9000", "https://a/", "http://a/b", "http://a/?b", "http://u@a/", ""] {
        assert!(node_url(bad).is_none(), "{bad}");
    }
}
