//! Random lives of a page, checked against the model after every step.

use peerstar_core::page::member::{Departure, Rights};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::life::{Channels, Pick, Transition, live};

fn rights() -> impl Strategy<Value = Rights> {
    (prop::bool::weighted(0.7), prop::bool::weighted(0.8))
        .prop_map(|(host, relay)| Rights { host, relay })
}

/// The node of a member: mostly that of the page.
fn node() -> impl Strategy<Value = u8> {
    prop::sample::select(vec![0, 0, 0, 1, 2_u8])
}

/// What other nodes report, and ways to them that go down and come up.
fn elsewhere() -> impl Strategy<Value = Transition> {
    let who = || any::<u16>().prop_map(Pick);
    prop_oneof![
        1 => who().prop_map(|who| Transition::ReportSilent { who }),
        2 => (who(), any::<bool>()).prop_map(|(who, ran)| Transition::ReportRan { who, ran }),
        3 => (1..3_u8).prop_map(|node| Transition::WayDown { node }),
        2 => (1..3_u8).prop_map(|node| Transition::WayUp { node }),
    ]
}

/// Transitions of a page on which nothing is relayed, and whose members hear their host or do not.
fn unrelayed_transition() -> impl Strategy<Value = Transition> {
    let who = || any::<u16>().prop_map(Pick);
    let ms = prop::sample::select(vec![0, 500, 2000, 3000, 6000, 6001, 12_000, 30_000, 60_000]);
    let rights = prop::bool::weighted(0.95).prop_map(|host| Rights { host, relay: true });
    let channels = prop::collection::btree_map(
        0..7_u8,
        prop::sample::select(vec![0, 900, 1500, 4000_u16]),
        0..=4,
    );
    let how = prop::sample::select(vec![Departure::Goodbye, Departure::Lost]);
    prop_oneof![
        6 => (0..7_u8, 0..2_u8, prop::bool::weighted(0.95), rights, node())
            .prop_map(|(id, token, group, rights, node)| Transition::Join { id, token, group, rights, node }),
        1 => (who(), how).prop_map(|(who, how)| Transition::Depart { who, how }),
        1 => (who(), any::<[bool; 2]>()).prop_map(|(who, [visible, p2p])| {
            Transition::Status { who, eligible: true, visible, relay: true, p2p, channels: None, profile: None }
        }),
        8 => (who(), channels).prop_map(|(who, channels)| {
            let channels = Some(channels);
            Transition::Status { who, eligible: true, visible: true, relay: true, p2p: true, channels, profile: None }
        }),
        16 => who().prop_map(|who| Transition::Suspect { who, rightly: true }),
        2 => who().prop_map(|who| Transition::Trust { who, rightly: true }),
        1 => (who(), 0..7_u8).prop_map(|(who, to)| Transition::Resign { who, to }),
        4 => who().prop_map(|who| Transition::Speak { who }),
        6 => ms.prop_map(|ms| Transition::Pass { ms }),
        1 => any::<u64>().prop_map(|shuffle| Transition::PageDies { shuffle }),
        4 => elsewhere(),
    ]
}

fn channels() -> impl Strategy<Value = Channels> {
    let ms = prop::sample::select(vec![0, 1000, 1001, 2500, 7000, 30_000_u16]);
    prop::collection::btree_map(0..16_u8, ms, 0..=4)
}

fn transition() -> impl Strategy<Value = Transition> {
    let who = || any::<u16>().prop_map(Pick);
    let how = prop::sample::select(vec![
        Departure::Goodbye,
        Departure::GoingAway,
        Departure::GoingAway,
        Departure::Disconnected,
        Departure::Lost,
        Departure::Expelled,
    ]);
    let kind = prop::sample::select(vec!["OFFER", "OFFER", "ANSWER", "CANDIDATE", "LEAVE"]);
    let ms = prop::sample::select(vec![
        0, 1, 10, 500, 999, 1000, 1999, 2000, 2999, 3001, 5000, 6000, 10_000, 16_000, 60_000,
    ]);
    prop_oneof![
        9 => (0..16_u8, 0..3_u8, prop::bool::weighted(0.3), rights(), node())
            .prop_map(|(id, token, group, rights, node)| Transition::Join { id, token, group, rights, node }),
        4 => (who(), how).prop_map(|(who, how)| Transition::Depart { who, how }),
        8 => (who(), kind, 0..16_u8).prop_map(|(who, kind, dst)| Transition::Say { who, kind, dst }),
        5 => (who(), any::<[bool; 3]>(), prop::bool::weighted(0.8), prop::option::of(channels()), prop::option::of(0..3_u8))
            .prop_map(|(who, [eligible, visible, relay], p2p, channels, profile)| {
                Transition::Status { who, eligible, visible, relay, p2p, channels, profile }
            }),
        3 => (who(), prop::option::of(0..16_u8)).prop_map(|(who, dst)| Transition::Relay { who, dst }),
        6 => (who(), prop::bool::weighted(0.9)).prop_map(|(who, rightly)| Transition::Suspect { who, rightly }),
        1 => (who(), prop::bool::weighted(0.9)).prop_map(|(who, rightly)| Transition::Trust { who, rightly }),
        2 => (who(), 0..16_u8).prop_map(|(who, to)| Transition::Resign { who, to }),
        2 => who().prop_map(|who| Transition::Speak { who }),
        2 => who().prop_map(|who| Transition::Silence { who }),
        2 => who().prop_map(|who| Transition::Answer { who }),
        1 => who().prop_map(|who| Transition::Congest { who }),
        1 => (0..16_u8).prop_map(|id| Transition::Kick { id }),
        1 => (0..16_u8, 1..3_u8).prop_map(|(id, token)| Transition::TakeLeave { id, token }),
        6 => ms.prop_map(|ms| Transition::Pass { ms }),
        1 => any::<u64>().prop_map(|shuffle| Transition::PageDies { shuffle }),
        4 => elsewhere(),
    ]
}

/// Runs random cases. A failure prints the seed; `SEED=…` repeats them.
pub(crate) fn run<S: Strategy>(cases: u32, inputs: S, test: impl Fn(&S::Value)) {
    let seed = std::env::var("SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&u64::to_le_bytes(seed));
    let config =
        Config { cases, failure_persistence: None, max_shrink_iters: 4000, ..Config::default() };
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let outcome = runner.run(&inputs, |input| {
        test(&input);
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("SEED={seed}: {failure}"));
}

#[test]
fn a_page_does_what_the_model_says() {
    let lives =
        (prop::bool::weighted(0.8), any::<u64>(), prop::collection::vec(transition(), 1..60));
    run(10_000, lives, |(named, random, life)| live(*named, *random, life));
}

#[test]
fn a_page_on_which_nothing_is_relayed_does_what_the_model_says() {
    let lives = (any::<u64>(), prop::collection::vec(unrelayed_transition(), 10..80));
    // the lowest bits of the number say what kind of page it is
    run(5000, lives, |(random, life)| live(true, random & !3, life));
}
