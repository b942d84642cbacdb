//! Elections as text that a reader can review: `elections/*.txt`.
//!
//! A paragraph has inputs, a line `----`, and what each client is told. Lines with `#` are remarks.
//! `UPDATE=1 cargo test --test core` writes down what happens now, for review.

use std::fmt::Write;

use peerstar_core::cluster::NodeId;
use peerstar_core::page::Input;
use peerstar_core::page::election::Policy;
use peerstar_core::page::member::{Departure, Rights, Way};
use peerstar_core::protocol::id::Token;
use peerstar_core::protocol::outgoing::GROUP_VERSION;

use super::world::{Got, World, rules};

#[test]
fn scripts_go_as_written() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/core/elections");
    let mut scripts: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    scripts.sort();
    assert!(scripts.len() >= 8, "scripts are missing");
    for path in scripts {
        let written = std::fs::read_to_string(&path).unwrap();
        let played = play(&written);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, played).unwrap();
        } else {
            assert_eq!(played, written, "{}", path.display());
        }
    }
}

fn play(script: &str) -> String {
    let mut world = World::new(!script.contains("\nwithout a page\n"), 7, rules());
    let mut played = String::new();
    for paragraph in script.trim_end().split("\n\n") {
        let mut got = Vec::new();
        let mut acted = false;
        for line in paragraph.lines().take_while(|line| *line != "----") {
            writeln!(played, "{line}").unwrap();
            if !line.starts_with('#') && !line.is_empty() {
                acted = true;
                got.extend(act(&mut world, line).into_iter().map(|g| (g, ())));
            }
        }
        if acted {
            played.push_str("----\n");
            for (Got { who, what }, ()) in got {
                writeln!(
                    played,
                    "{} {what}",
                    NAMES.with_borrow(|names| names[who.0 as usize].clone())
                )
                .unwrap();
            }
        }
        played.push('\n');
    }
    NAMES.with_borrow_mut(Vec::clear);
    played.trim_end().to_owned() + "\n"
}

thread_local! {
    /// Names of the sessions in the script: the id, with a mark for each socket after the first.
    static NAMES: std::cell::RefCell<Vec<String>> = const { std::cell::RefCell::new(Vec::new()) };
}

fn node_id(number: &str) -> NodeId {
    NodeId(number.parse().unwrap())
}

fn act(world: &mut World, line: &str) -> Vec<Got> {
    let words: Vec<_> = line.split(' ').collect();
    let set = |key: &str| words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    let session = |world: &World, id: &str| {
        world.session(id).unwrap_or_else(|| panic!("{line}: {id} is not here"))
    };
    match *words {
        ["join", id, ..] => {
            let group = if words.contains(&"group") { GROUP_VERSION } else { 0 };
            let session = world.dial(id, Some(set("token").unwrap_or(id)), group);
            NAMES.with_borrow_mut(|names| {
                let before = names.iter().filter(|name| name.trim_end_matches('\'') == id).count();
                names.push(format!("{id}{}", "'".repeat(before)));
            });
            // in the script, one word stands for a ticket with that restriction
            let rights = Rights {
                host: !words.contains(&"never-host"),
                relay: !words.contains(&"never-relay"),
            };
            world.grant(session, rights);
            world.put_on(session, set("on").map_or(Way::Local, |node| Way::Node(node_id(node))));
            let claim = set("claim").map(|claim| claim.split_once('@').unwrap());
            world.join(session, claim.map(|(host, epoch)| (epoch.parse().unwrap(), host)), false)
        }
        ["leave", id] => world.hang_up(session(world, id), Departure::Goodbye),
        ["go", "away", id] => world.hang_up(session(world, id), Departure::GoingAway),
        ["take", "leave", id, token] => world.step(Input::LeaveWithoutSocket {
            id: super::world::id(id),
            token: Token::parse(token).unwrap(),
        }),
        ["lose", id] => world.hang_up(session(world, id), Departure::Lost),
        ["disconnect", id] => world.hang_up(session(world, id), Departure::Disconnected),
        ["silence", id] => {
            let session = session(world, id);
            world.silence(session);
            vec![]
        }
        // another node judges its own members
        ["report", "silent", id] => world.step(Input::Silent(session(world, id))),
        ["report", "ran", id] => world.step(Input::Ran { session: session(world, id), ran: true }),
        ["report", "stalled", id] => {
            world.step(Input::Ran { session: session(world, id), ran: false })
        }
        ["down", node] => world.step(Input::WayDown(node_id(node))),
        ["up", node] => world.step(Input::WayUp(node_id(node))),
        ["answer", id] => world.step(Input::Alive(session(world, id))),
        ["kick", id] => world.step(Input::Kick(super::world::id(id))),
        ["congest", id] => world.step(Input::Congested(session(world, id))),
        ["status", id, payload] => {
            let message = format!(r#"{{"type":"STATUS","payload":{payload}}}"#);
            world.say(session(world, id), &message)
        }
        [kind @ ("OFFER" | "ANSWER" | "CANDIDATE" | "LEAVE"), src, "to", dst, ..] => {
            let message = format!(
                r#"{{"type":"{kind}","dst":"{dst}","payload":{{"n":"{}"}}}}"#,
                set("n").unwrap_or("1")
            );
            world.say(session(world, src), &message)
        }
        ["RELAY", src] => world.say(session(world, src), r#"{"type":"RELAY","payload":{"n":1}}"#),
        ["RELAY", src, "to", dst] => world.say(
            session(world, src),
            &format!(r#"{{"type":"RELAY","dst":"{dst}","payload":{{"n":1}}}}"#),
        ),
        [kind @ ("suspect" | "trust"), id] => {
            let (epoch, host) = world.page.assignment().unwrap();
            let (kind, payload) =
                (kind.to_uppercase(), format!(r#"{{"host":"{host}","epoch":{}}}"#, epoch.0));
            world.say(session(world, id), &format!(r#"{{"type":"{kind}","payload":{payload}}}"#))
        }
        // open data channels, and how long the dials took
        ["channels", id, ref channels @ ..] => {
            let entries = channels.iter().map(|channel| channel.split_once('=').unwrap());
            let entries: Vec<_> = entries.map(|(id, ms)| format!(r#""{id}":{ms}"#)).collect();
            let payload = format!(r#"{{"channels":{{{}}}}}"#, entries.join(","));
            world.say(session(world, id), &format!(r#"{{"type":"STATUS","payload":{payload}}}"#))
        }
        ["resign", id] => {
            let (epoch, _) = world.page.assignment().unwrap();
            world.say(
                session(world, id),
                &format!(r#"{{"type":"RESIGN","payload":{{"epoch":{}}}}}"#, epoch.0),
            )
        }
        ["resign", id, "to", next] => {
            let (epoch, _) = world.page.assignment().unwrap();
            world.say(
                session(world, id),
                &format!(r#"{{"type":"RESIGN","payload":{{"epoch":{},"to":"{next}"}}}}"#, epoch.0),
            )
        }
        ["ask", id, ref epoch @ ..] => {
            let epoch = epoch.first().map(|epoch| epoch.parse().unwrap());
            let epoch = epoch.unwrap_or_else(|| world.page.assignment().unwrap().0.0);
            world.say(
                session(world, id),
                &format!(r#"{{"type":"HEARTBEAT","payload":{{"epoch":{epoch}}}}}"#),
            )
        }
        ["alone"] => world.step(Input::Alone(true)),
        ["not", "alone"] => world.step(Input::Alone(false)),
        ["pages", "answer"] => {
            world.answers = true;
            vec![]
        }
        ["wait", ms] => world.pass(ms.parse().unwrap()),
        ["drain"] => world.step(Input::Drain),
        ["clock", "back", ms] => {
            world.clock_ms -= ms.parse::<u64>().unwrap();
            vec![]
        }
        ["restart"] => {
            world.restart();
            vec![]
        }
        ["page", "dies"] => {
            let sessions: Vec<_> = world
                .clients
                .iter()
                .filter(|(_, c)| c.joined)
                .map(|(session, _)| *session)
                .collect();
            world.lose_page();
            sessions.into_iter().flat_map(|session| world.resume(session)).collect()
        }
        // the sessions resume one by one
        ["page", "is", "lost"] => {
            world.lose_page();
            vec![]
        }
        ["page", "is", "taken", "over"] => {
            world.take_over();
            vec![]
        }
        ["met", id, ref peers @ ..] => {
            let peers = peers.iter().map(|peer| super::world::id(peer)).collect();
            world.step(Input::Met { session: session(world, id), peers })
        }
        ["resume", id] => world.resume(session(world, id)),
        ["without", "a", "page"] => vec![],
        ["relaying", "is", "forbidden", ref words @ ..] => {
            let deputies = usize::from(*words != ["without", "deputies"]);
            let rules = peerstar_core::page::Rules {
                policy: Policy::Oldest,
                deputies,
                ..super::world::unrelayed_rules()
            };
            *world = World::new(true, 7, rules);
            world.answers = true;
            vec![]
        }
        ["without", "deputies"] => {
            *world = World::new(true, 7, peerstar_core::page::Rules { deputies: 0, ..rules() });
            vec![]
        }
        ["policy", "oldest"] => {
            *world = World::new(
                true,
                7,
                peerstar_core::page::Rules { policy: Policy::Oldest, ..rules() },
            );
            vec![]
        }
        _ => panic!("{line}: what does it mean?"),
    }
}
