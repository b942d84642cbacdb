//! What may happen to a Redis that served.

use peerstar::cluster::supervisor::Unanswered;
use peerstar_core::cluster::registry::{Call, Reply};
use peerstar_core::cluster::{Fence, Generation};
use peerstar_core::protocol::id::PageKey;

use super::keeper::Keeper;
use super::proxy::Proxy;
use super::redis_server::{Redis, run};

fn generation(reply: Result<Reply, Unanswered>) -> Generation {
    match reply {
        Ok(Reply::Registered(view)) => view.generation,
        other => panic!("{other:?}"),
    }
}

fn counter(reply: Result<Reply, Unanswered>) -> u64 {
    match reply {
        Ok(Reply::Renewed { counter, .. }) => counter,
        other => panic!("{other:?}"),
    }
}

/// Returns the ids of the connections of one kind.
fn clients(redis: &Redis, kind: &str) -> Vec<String> {
    let list: String = redis.run(&format!("CLIENT LIST TYPE {kind}"));
    let ids = list.lines().map(|line| line.split([' ', '=']).nth(1).unwrap().to_owned());
    ids.collect()
}

#[test]
fn calls_ticks_and_messages_arrive() {
    let redis = Redis::start(&[]);
    let mut ann = Keeper::serving(&redis.url(), 1);
    let bob = Keeper::serving(&redis.url(), 2);
    generation(ann.register());
    assert_eq!(counter(ann.ask(ann.renewal())), 1);
    // a tick may come before the answer
    assert_eq!(counter(ann.ask(ann.renewal())), 2);
    for n in 0..2000_u32 {
        assert!(ann.handle.publish(bob.node, n.to_be_bytes().to_vec()));
    }
    for n in 0..2000_u32 {
        assert_eq!(bob.message(), n.to_be_bytes(), "in order");
    }
    let Ok(Reply::View(_, listening)) = ann.ask(Call::Look) else { panic!() };
    assert_eq!(listening, [ann.node], "bob listens, but is not registered");
    ann.never_lost();
}

#[test]
fn what_is_too_much_to_publish_is_dropped() {
    let redis = Redis::start(&[]);
    let ann = Keeper::serving(&redis.url(), 1);
    redis.signal("-STOP");
    let megabyte = vec![0; 1 << 20];
    let taken = (0..1000).take_while(|_| ann.handle.publish(ann.node, megabyte.clone())).count();
    redis.signal("-CONT");
    assert!((64..900).contains(&taken), "{taken} MB wait");
}

#[test]
fn a_killed_redis_is_found_again() {
    let mut redis = Redis::start(&[]);
    let mut ann = Keeper::serving(&redis.url(), 1);
    let first = generation(ann.register());
    redis.kill();
    ann.lost();
    let number = ann.send(Call::Look);
    assert_eq!(ann.answer(number), Err(Unanswered::NotSent));
    ann.refused();
    redis.start_again();
    ann.connected();
    assert!(matches!(ann.ask(ann.renewal()), Ok(Reply::NotRegistered(now)) if now != first));
    assert_ne!(generation(ann.register()), first);
    assert_eq!(counter(ann.ask(ann.renewal())), 1);

    redis.restart_with_data();
    ann.lost();
    ann.connected();
    assert_eq!(counter(ann.ask(ann.renewal())), 2, "the data is still there");
}

#[test]
fn a_stopped_redis_leaves_outcomes_unknown() {
    let redis = Redis::start(&[]);
    let mut ann = Keeper::serving(&redis.url(), 1);
    generation(ann.register());
    redis.signal("-STOP");
    let (first, second) = (ann.send(ann.renewal()), ann.send(Call::Look));
    assert_eq!(ann.answer(first), Err(Unanswered::Unknown));
    assert_eq!(ann.answer(second), Err(Unanswered::Unknown), "under way on the same connection");
    assert!(ann.lost().contains("did not answer"));
    assert!(ann.refused().contains("did not answer"));
    redis.signal("-CONT");
    ann.connected();
    let now = counter(ann.ask(ann.renewal()));
    assert_eq!(now, 2, "the renewal was carried out late");
}

#[test]
fn a_paused_redis_leaves_outcomes_unknown() {
    let redis = Redis::start(&[]);
    let mut ann = Keeper::serving(&redis.url(), 1);
    generation(ann.register());
    let () = redis.run("CLIENT PAUSE 2500 ALL");
    let number = ann.send(ann.renewal());
    assert_eq!(ann.answer(number), Err(Unanswered::Unknown));
    ann.lost();
    ann.connected();
    counter(ann.ask(ann.renewal()));
}

#[test]
fn a_cut_inbox_is_subscribed_anew_and_the_rest_goes_on() {
    let redis = Redis::start(&[]);
    let mut ann = Keeper::serving(&redis.url(), 1);
    generation(ann.register());
    for _ in 0..5 {
        let inbox = clients(&redis, "pubsub");
        assert_eq!(inbox.len(), 1);
        let () = redis.run(&format!("CLIENT KILL ID {}", inbox[0]));
        ann.send(ann.renewal());
        ann.resubscribed();
        counter(ann.ask(ann.renewal()));
        ann.handle.publish(ann.node, b"hello".to_vec());
        assert_eq!(ann.message(), b"hello");
    }
    ann.never_lost();
}

#[test]
fn a_deaf_inbox_is_found_by_its_missing_tick() {
    let redis = Redis::start(&[]);
    let proxy = Proxy::start(redis.port());
    let mut ann = Keeper::serving(&proxy.url(), 1);
    generation(ann.register());
    assert_eq!(proxy.accepted(), 2);
    proxy.hold(1);
    counter(ann.ask(ann.renewal()));
    ann.resubscribed();
    counter(ann.ask(ann.renewal()));
    ann.handle.publish(ann.node, b"hello".to_vec());
    assert_eq!(ann.message(), b"hello");
    assert_eq!(proxy.accepted(), 3, "the lease's connection is the first one still");
    ann.never_lost();

    // all of them: nothing is closed, and nothing comes back
    proxy.hold_all();
    let number = ann.send(ann.renewal());
    assert_eq!(ann.answer(number), Err(Unanswered::Unknown));
    ann.lost();
    ann.connected();
    counter(ann.ask(ann.renewal()));
}

#[test]
fn an_emptied_redis_is_a_generation_and_no_loss() {
    let redis = Redis::start(&[]);
    let mut ann = Keeper::serving(&redis.url(), 1);
    let first = generation(ann.register());
    for command in ["FLUSHALL", "DEL peerstar:nodes"] {
        let () = redis.run(command);
        let Ok(Reply::NotRegistered(now)) = ann.ask(ann.renewal()) else { panic!("{command}") };
        assert_ne!(now, first);
        assert_eq!(generation(ann.register()), now, "one generation begins, not two");
    }
    let () = redis.run("SCRIPT FLUSH");
    assert_eq!(counter(ann.ask(ann.renewal())), 1, "the script is loaded again");
    ann.never_lost();
}

#[test]
fn a_full_memory_stops_claims_and_no_renewals() {
    let redis = Redis::start(&[]);
    let mut ann = Keeper::serving(&redis.url(), 1);
    let mut bob = Keeper::serving(&redis.url(), 2);
    generation(ann.register());
    generation(bob.register());
    let claim = Call::Claim { page: PageKey::Pageless, node: ann.node, fence: Fence(1) };
    let () = redis.run("CONFIG SET maxmemory 1");
    let Err(Unanswered::Refused(why)) = ann.ask(claim.clone()) else { panic!() };
    assert!(why.contains("maxmemory"), "{why}");
    for n in 1..10 {
        assert_eq!(counter(ann.ask(ann.renewal())), n);
    }
    assert_eq!(ann.ask(Call::Bury { node: bob.node, counter: 0 }), Ok(Reply::Removed(true)));
    ann.handle.publish(bob.node, b"hello".to_vec());
    assert_eq!(bob.message(), b"hello");
    let () = redis.run("CONFIG SET maxmemory 0");
    assert_eq!(ann.ask(claim), Ok(Reply::Taken(None)));
    ann.never_lost();
}

#[test]
fn a_slow_script_of_another_program_is_no_loss() {
    let redis = Redis::start(&["--busy-reply-threshold", "10"]);
    let mut ann = Keeper::serving(&redis.url(), 1);
    generation(ann.register());
    let mut other = redis.connection();
    let script = redis::cmd("EVAL").arg("while true do end").arg(0).to_owned();
    let slow = std::thread::spawn(move || script.exec(&mut other));
    loop {
        match ann.ask(ann.renewal()) {
            Err(Unanswered::Refused(why)) => break assert!(why.contains("BUSY"), "{why}"),
            Ok(_) => {}
            Err(other) => panic!("{other}"),
        }
    }
    // allowed while a script is busy
    let () = redis.run("SCRIPT KILL");
    assert!(slow.join().unwrap().is_err());
    counter(ann.ask(ann.renewal()));
    ann.never_lost();
}

#[test]
fn a_demoted_master_is_left() {
    let mut redis = Redis::start(&[]);
    let other = Redis::start(&[]);
    let mut ann = Keeper::serving(&redis.url(), 1);
    generation(ann.register());
    let mut admin = redis.connection();
    let () = run(&mut admin, &format!("REPLICAOF 127.0.0.1 {}", other.port()));
    let number = ann.send(ann.renewal());
    assert!(
        matches!(ann.answer(number), Err(Unanswered::Refused(why)) if why.contains("READONLY"))
    );
    ann.lost();
    assert!(ann.refused().contains("read-only replica"));
    let () = run(&mut admin, "REPLICAOF NO ONE");
    ann.connected();
    redis.kill();
    ann.lost();
}

#[test]
fn a_master_without_its_replicas_is_left() {
    let redis = Redis::start(&[]);
    let mut ann = Keeper::serving(&redis.url(), 1);
    generation(ann.register());
    let () = redis.run("CONFIG SET min-replicas-to-write 1");
    let number = ann.send(ann.renewal());
    assert!(
        matches!(ann.answer(number), Err(Unanswered::Refused(why)) if why.contains("NOREPLICAS"))
    );
    ann.lost();
    let () = redis.run("CONFIG SET min-replicas-to-write 0");
    ann.connected();
    counter(ann.ask(ann.renewal()));
}

#[test]
fn another_node_of_the_same_process_has_another_inbox() {
    let redis = Redis::start(&[]);
    let ann = Keeper::serving(&redis.url(), 1);
    let next = peerstar_core::cluster::NodeId(7);
    ann.handle.become_node(next);
    ann.resubscribed();
    ann.handle.publish(ann.node, b"old".to_vec());
    ann.handle.publish(next, b"new".to_vec());
    assert_eq!(ann.message(), b"new");
}

#[test]
fn the_thread_ends_with_the_last_handle() {
    let redis = Redis::start(&[]);
    let ann = Keeper::serving(&redis.url(), 1);
    drop(ann);
    while !clients(&redis, "pubsub").is_empty() {
        std::thread::yield_now();
    }
}
