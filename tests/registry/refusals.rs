//! A Redis that cannot serve, each with one line that says why, and is tried again for ever.

use std::io::{Read, Write};
use std::net::TcpListener;

use peerstar::cluster::supervisor::Unanswered;
use peerstar_core::cluster::registry::Reply;

use super::keeper::Keeper;
use super::redis_server::Redis;

/// The rights that a node needs, as docs/DEPLOY.md says them.
const RIGHTS: &str = "resetkeys ~peerstar:* resetchannels &peerstar:* -@all +hello +auth +select \
    +info +evalsha +script|load +subscribe +publish +pubsub|numsub +hget +hset +hdel +hexists \
    +hgetall +hincrby +get +set +del +scan";

#[test]
fn nobody_listens_there() {
    let ann = Keeper::start("redis://127.0.0.1:1", 1);
    for _ in 0..3 {
        assert!(ann.refused().starts_with("Redis cannot be reached: "));
    }
}

#[test]
fn a_wrong_password_is_said_and_not_shown() {
    let redis = Redis::start(&["--requirepass", "right"]);
    let host = format!("127.0.0.1:{}", redis.port());
    for (url, why) in [
        (format!("redis://:wr0ng@{host}"), "user or password"),
        (format!("redis://ann:wr0ng@{host}"), "user or password"),
        (format!("redis://{host}"), "user or password"),
    ] {
        let text = Keeper::start(&url, 1).refused();
        assert!(text.contains(why) && !text.contains("wr0ng"), "{text}");
    }
    let ann = Keeper::start(&format!("redis://:later@{host}"), 1);
    ann.refused();
    let admin = redis::Client::open(format!("redis://:right@{host}")).unwrap();
    let mut admin = admin.get_connection().unwrap();
    let set = redis::cmd("CONFIG").arg("SET").arg("requirepass").arg("later").to_owned();
    set.exec(&mut admin).unwrap();
    ann.connected();
}

#[test]
fn a_node_needs_few_rights() {
    let redis = Redis::start(&[]);
    let () = redis.run(&format!("ACL SETUSER ann on >secret {RIGHTS}"));
    let url = format!("redis://ann:secret@127.0.0.1:{}", redis.port());
    let mut ann = Keeper::serving(&url, 1);
    assert!(matches!(ann.register(), Ok(Reply::Registered(_))));
    let Ok(Reply::Renewed { generation: first, .. }) = ann.ask(ann.renewal()) else { panic!() };
    ann.handle.publish(ann.node, b"hello".to_vec());
    assert_eq!(ann.message(), b"hello");

    // without INFO each connection is a generation
    let () = redis.run("ACL SETUSER ann -info");
    let generation = |ann: &mut Keeper| match ann.ask(ann.renewal()) {
        Ok(Reply::Renewed { generation, .. }) => generation,
        other => panic!("{other:?}"),
    };
    let second = generation(&mut ann);
    assert_eq!(generation(&mut ann), second);
    let () = redis.run("CLIENT KILL USER ann");
    ann.lost();
    ann.connected();
    let third = generation(&mut ann);
    assert!(first != second && second != third, "{first:?} {second:?} {third:?}");

    let () = redis.run("ACL SETUSER ann -hset");
    assert!(matches!(ann.ask(ann.renewal()), Err(Unanswered::Refused(_))));
    let () = redis.run("ACL SETUSER ann -subscribe");
    let () = redis.run("CLIENT KILL USER ann");
    let text = ann.refused();
    assert!(text.contains("forbids") && text.contains("subscribe"), "{text}");
}

#[test]
fn a_replica_is_refused_until_it_is_promoted() {
    let master = Redis::start(&[]);
    let replica = Redis::start(&["--replicaof", "127.0.0.1", &master.port().to_string()]);
    let ann = Keeper::start(&replica.url(), 1);
    assert!(ann.refused().contains("read-only replica"));
    let () = replica.run("REPLICAOF NO ONE");
    ann.connected();
}

#[test]
fn redis_cluster_is_refused() {
    let redis = Redis::start(&["--cluster-enabled", "yes"]);
    assert!(Keeper::start(&redis.url(), 1).refused().contains("in the mode \"cluster\""));
}

#[test]
fn an_evicting_redis_serves_with_a_warning() {
    let redis = Redis::start(&["--maxmemory-policy", "allkeys-lru"]);
    let warning = Keeper::start(&redis.url(), 1).connected().unwrap();
    assert!(warning.contains("allkeys-lru"), "{warning}");
    for policy in ["noeviction", "volatile-lru"] {
        let redis = Redis::start(&["--maxmemory-policy", policy]);
        assert_eq!(Keeper::start(&redis.url(), 1).connected(), None);
    }
}

/// Answers each command with the next of these texts, and the last one again and again.
fn fake(answers: &'static [&'static str]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, mut given) = (client.unwrap(), 0);
            let mut bytes = [0; 4096];
            while client.read(&mut bytes).is_ok_and(|length| length > 0) {
                let answer = answers[given.min(answers.len() - 1)];
                given += 1;
                if client.write_all(answer.as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    port
}

#[test]
fn an_old_redis_is_refused() {
    let hello = "%3\r\n+server\r\n+redis\r\n+version\r\n+6.0.16\r\n+mode\r\n+standalone\r\n";
    for (answers, version) in [
        (&*vec![hello].leak(), "6.0.16"),
        (&["-ERR unknown command `HELLO`, with args\r\n"], "before 6"),
    ] {
        let port = fake(answers);
        let text = Keeper::start(&format!("redis://127.0.0.1:{port}"), 1).refused();
        assert!(text.contains(&format!("Redis {version} is too old")), "{text}");
    }
}

#[test]
fn what_is_no_redis_is_refused() {
    for answer in ["HTTP/1.1 400 Bad Request\r\n\r\n", "\0\0\0\0", "+OK\r\n"] {
        let port = fake(vec![answer].leak());
        Keeper::start(&format!("redis://127.0.0.1:{port}"), 1).refused();
    }
}

#[test]
fn a_certificate_is_checked_unless_the_url_is_insecure() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let plain = Redis::start(&[]);
    let () = plain.run(&format!("CONFIG SET tls-cert-file {}", cert.display()));
    let () = plain.run(&format!("CONFIG SET tls-key-file {}", key.display()));
    let () = plain.run("CONFIG SET tls-auth-clients no");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let () = plain.run(&format!("CONFIG SET tls-port {port}"));
    let text = Keeper::start(&format!("rediss://127.0.0.1:{port}"), 1).refused();
    assert!(text.contains("certificate"), "{text}");
    let mut ann = Keeper::serving(&format!("rediss://127.0.0.1:{port}#insecure"), 1);
    assert!(matches!(ann.register(), Ok(Reply::Registered(_))));
}
