//! Entries come back from bytes as they were, whatever stands beside them.

use core::net::IpAddr;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::*;
use crate::cluster::entry::{
    Answer, Delivery, Entry, Join, PageSummary, Place, Question, ToBranch, ToPage, TokenHash,
};
use crate::cluster::{Fence, random::Random};
use crate::page::member::{Departure, JoinRequest, Rights, Seat, Status, Way};
use crate::protocol::claim::Claim;
use crate::protocol::close::Close;
use crate::protocol::id::{Capabilities, Epoch, PageKey, PageName, PeerId, SessionId};
use crate::protocol::incoming::{SignalKind, StatusUpdate, Suspicion};
use crate::protocol::outgoing::Frame;

fn id(random: &mut Random) -> PeerId {
    let text = random.of(&["a", "b", "ü", "a long id of a peer", &"x".repeat(128)]).to_owned();
    PeerId::parse(&text).unwrap()
}

fn claim(random: &mut Random) -> Claim {
    Claim { epoch: Epoch(random.next() >> random.below(64)), host: id(random) }
}

fn maybe<T>(random: &mut Random, make: impl FnOnce(&mut Random) -> T) -> Option<T> {
    random.one_in(2).then(|| make(random))
}

fn several<T>(random: &mut Random, make: impl Fn(&mut Random) -> T) -> Vec<T> {
    (0..random.below(4)).map(|_| make(random)).collect()
}

fn session(random: &mut Random) -> SessionId {
    // neighbours, and any number
    let base = 1 << 62;
    SessionId(if random.one_in(3) { random.next() } else { base + random.below(100) })
}

fn flag(random: &mut Random) -> bool {
    random.one_in(2)
}

fn frame(random: &mut Random) -> Frame {
    let length = if random.one_in(50) { 200_000 } else { 500 };
    Frame::from("ü".repeat(random.below(length) as usize))
}

fn profile(random: &mut Random) -> Box<RawValue> {
    RawValue::from_string(random.of(&["1", "{\"a\" : [ 1.0e1 ]}", "\"\\u00e9\""]).into()).unwrap()
}

fn suspicion(random: &mut Random) -> Suspicion {
    let Claim { epoch, host } = claim(random);
    Suspicion { host, epoch }
}

fn page(random: &mut Random) -> PageKey {
    match random.of(&["", "p", "a page", &"n".repeat(1024)]) {
        "" => PageKey::Pageless,
        name => PageKey::Named(PageName::parse(name).unwrap()),
    }
}

fn place(random: &mut Random) -> Place {
    Place { page: page(random), fence: Fence(random.below(3) * 256) }
}

fn join(random: &mut Random) -> Join {
    let proof = maybe(random, |random| TokenHash([random.next() as u8; 32]));
    let address: IpAddr = random.of(&["10.0.0.1", "2001:db8::1"]).parse().unwrap();
    let status = |random: &mut Random| Status {
        eligible: flag(random),
        visible: flag(random),
        relay: flag(random),
        p2p: flag(random),
        channels: several(random, id),
        profile: maybe(random, profile),
    };
    let request = JoinRequest {
        session: session(random),
        id: id(random),
        token: proof.and_then(TokenHash::to_token),
        group: random.below(3) as u32,
        can: Capabilities::parse(random.of(&["", "a", "a,b-1"])).unwrap(),
        rights: Rights { host: flag(random), relay: flag(random) },
        address: maybe(random, |_| address),
        way: Way::Local,
        claim: maybe(random, claim),
        resumed: maybe(random, status),
    };
    Join { request, proof, seat: maybe(random, |r| Seat(r.next())), contacts: several(random, id) }
}

fn to_page(random: &mut Random) -> ToPage {
    let session = session(random);
    match random.below(18) {
        0 => ToPage::Join(Box::new(join(random))),
        1 => {
            let kind = random.of(&[SignalKind::Offer, SignalKind::Candidate, SignalKind::Leave]);
            ToPage::Forward { session, kind, dst: id(random), frame: frame(random) }
        }
        2 | 3 => ToPage::Relay { session, dst: maybe(random, id), frame: frame(random) },
        4 => {
            let update = StatusUpdate {
                eligible: maybe(random, flag),
                visible: maybe(random, flag),
                relay: maybe(random, flag),
                p2p: maybe(random, flag),
                channels: maybe(random, |r| several(r, |r| (id(r), r.below(600_001) as u32))),
                profile: maybe(random, |random| maybe(random, profile)),
            };
            ToPage::Status { session, update }
        }
        5 => ToPage::Suspect { session, suspicion: suspicion(random) },
        6 => ToPage::Trust { session, suspicion: suspicion(random) },
        7 => {
            let epoch = Epoch(random.next());
            ToPage::Resign { session, epoch, to: maybe(random, id) }
        }
        8 => ToPage::Heartbeat { session, epoch: Epoch(random.next()) },
        9 => {
            let departure = random.of(&[Departure::Lost, Departure::Goodbye, Departure::Silent]);
            ToPage::SocketClosed { session, departure }
        }
        10 => ToPage::Silent(session),
        11 => ToPage::Ran { session, ran: flag(random) },
        12 => ToPage::Congested(session),
        13 => ToPage::Undelivered { session, dst: id(random) },
        14 => ToPage::Alive(session),
        15 => ToPage::LeaveWithoutSocket { id: id(random), proof: TokenHash([7; 32]) },
        16 => ToPage::Who,
        _ => ToPage::Missed(several(random, self::session)),
    }
}

fn to_branch(random: &mut Random) -> ToBranch {
    let to = session(random);
    match random.below(14) {
        0..3 | 5 => {
            let delivery = random.of(&[Delivery::Page, Delivery::News, Delivery::HostData]);
            ToBranch::Frame {
                to: several(random, session),
                frame: frame(random),
                delivery: random.of(&[delivery, Delivery::Urgent, Delivery::PeerData]),
                from: None,
                tells: maybe(random, claim),
            }
        }
        3 => {
            let (to, frame, from) = (vec![to], frame(random), Some((session(random), id(random))));
            ToBranch::Frame { to, frame, delivery: Delivery::Signal, from, tells: None }
        }
        4 => {
            let (open, claim) = (maybe(random, frame), maybe(random, claim));
            ToBranch::Welcome { to, open, claim, seat: maybe(random, |r| Seat(r.next())) }
        }
        6 => ToBranch::Announced(maybe(random, claim)),
        7 => ToBranch::Ping(to),
        8 => ToBranch::Probe { to, frame: frame(random) },
        9 => ToBranch::Dismiss { session: to, close: random.of(&Close::ALL) },
        10 => ToBranch::Here { sessions: several(random, session), host: maybe(random, claim) },
        11 => ToBranch::HereHash(random.next()),
        12 if flag(random) => ToBranch::Expired { session: to, dst: id(random) },
        12 => ToBranch::JoinReturned(to),
        _ => ToBranch::PageLost(maybe(random, |r| (NodeId(r.next()), Fence(r.next())))),
    }
}

fn entry(random: &mut Random) -> Entry {
    match random.below(8) {
        0..4 => Entry::ToPage(place(random), to_page(random)),
        4..7 => Entry::ToBranch(place(random), to_branch(random)),
        _ if flag(random) => {
            let question = match random.below(3) {
                0 => Question::Pages,
                1 => Question::Peers(page(random)),
                _ => Question::Kick { page: page(random), id: id(random) },
            };
            Entry::Question { number: random.next(), question }
        }
        _ => {
            let summary = |random: &mut Random| PageSummary {
                page: PageName::parse("p").unwrap(),
                host: maybe(random, claim),
                members: random.next(),
            };
            let answer = match random.below(4) {
                0 => Answer::Pages(several(random, summary)),
                1 => Answer::Peers(maybe(random, |random| several(random, id))),
                2 => Answer::Kicked(maybe(random, flag)),
                _ => Answer::NotYet,
            };
            Entry::Answer { number: random.next(), answer }
        }
    }
}

fn read_all(bodies: &[Sealed]) -> Vec<Entry> {
    let (mut records, mut entries) = (Records::default(), Vec::new());
    for body in bodies {
        assert!(body.bytes.len() <= Header::MOST_BODY_BYTES, "{}", body.bytes.len());
        records.read(body.bytes.clone(), &mut entries).unwrap();
        assert_eq!(records.kept() == 0, body.ends_whole);
    }
    entries
}

#[test]
fn entries_come_back_as_they_were() {
    for seed in 0..2000 {
        let mut random = Random(seed);
        let entries: Vec<_> = (0..random.below(30)).map(|_| entry(&mut random)).collect();
        let (mut body, mut bodies) = (Body::default(), Vec::new());
        for entry in &entries {
            body.push(entry, |sealed| bodies.push(sealed));
            if random.one_in(20) {
                bodies.push(body.seal());
            }
        }
        bodies.push(body.seal());
        assert!(body.is_empty());
        let read = read_all(&bodies);
        assert_eq!(read.len(), entries.len(), "seed {seed}");
        for (read, entry) in read.iter().zip(&entries) {
            assert_eq!(format!("{read:?}"), format!("{entry:?}"), "seed {seed}");
            if let (Entry::ToPage(_, ToPage::Join(one)), Entry::ToPage(_, ToPage::Join(other))) =
                (read, entry)
            {
                // `Debug` does not show them
                assert_eq!(one.proof.map(|hash| hash.0), other.proof.map(|hash| hash.0));
            }
        }
    }
}

#[test]
fn a_frame_for_many_sessions_is_in_a_bag_once() {
    let place = Place { page: PageKey::Pageless, fence: Fence(1) };
    for length in [400, 150_000] {
        let (frame, other) = (Frame::from("x".repeat(length)), Frame::from("y".repeat(400)));
        let (mut body, mut bodies) = (Body::default(), Vec::new());
        let mut expected = Vec::new();
        for n in 0..500 {
            // some members are sent another frame
            let frame = if n % 50 == 7 { &other } else { &frame };
            let to = SessionId((1 << 62) + n);
            body.push_frame(&place, to, frame, Delivery::Page, |sealed| bodies.push(sealed));
            expected.push((to, frame.clone()));
        }
        bodies.push(body.seal());
        let bytes: usize = bodies.iter().map(|body| body.bytes.len()).sum();
        assert!(bytes < length + 400 + 500 + 600, "{bytes} bytes");
        let mut got = Vec::new();
        for entry in read_all(&bodies) {
            let Entry::ToBranch(_, ToBranch::Frame { to, frame, .. }) = entry else { panic!() };
            got.extend(to.into_iter().map(|to| (to, frame.clone())));
        }
        assert_eq!(got, expected);
    }
}

#[test]
fn a_body_is_full_before_it_is_too_long() {
    let place = Place { page: PageKey::Pageless, fence: Fence(1) };
    for seed in 0..50 {
        let mut random = Random(seed);
        let (mut body, mut bodies, mut expected) = (Body::default(), Vec::new(), Vec::new());
        let mut frame = Frame::from("z");
        for _ in 0..20_000 {
            if random.one_in(300) {
                frame = Frame::from("z".repeat(random.below(3000) as usize));
            }
            let to = SessionId(random.next());
            body.push_frame(&place, to, &frame, Delivery::PeerData, |sealed| bodies.push(sealed));
            expected.push((to, frame.len()));
        }
        bodies.push(body.seal());
        let mut got = Vec::new();
        for entry in read_all(&bodies) {
            let Entry::ToBranch(_, ToBranch::Frame { to, frame, .. }) = entry else { panic!() };
            got.extend(to.into_iter().map(|to| (to, frame.len())));
        }
        assert_eq!(got, expected, "seed {seed}");
        assert!(bodies.len() > 3);
    }
}

#[test]
fn a_header_comes_back_and_a_wrong_one_is_refused() {
    let header = Header {
        from: NodeId(u64::MAX),
        to: NodeId(1),
        association: 3,
        number: 300,
        highest: 301,
        acknowledged: 70_000,
        asks: true,
        lacks: false,
    };
    let mut bag = Vec::new();
    header.write(&mut bag);
    bag.extend_from_slice(b"body");
    let read = |bag: &[u8]| Header::read(Bytes::copy_from_slice(bag));
    assert_eq!(read(&bag), Ok((header, Bytes::from_static(b"body"))));
    for end in 0..bag.len() - 4 {
        assert_eq!(read(&bag[..end]), Err(BadBag::TooShort));
    }
    let with = |change: &dyn Fn(&mut Header)| {
        let (mut header, mut bag) = (header, Vec::new());
        change(&mut header);
        header.write(&mut bag);
        bag.extend_from_slice(b"body");
        read(&bag).map(|_| ())
    };
    assert_eq!(with(&|header| header.highest = 299), Err(BadBag::BadNumbers));
    assert_eq!(with(&|header| header.association = 0), Err(BadBag::BadNumbers));
    assert_eq!(with(&|header| header.number = 0), Err(BadBag::TooLong));
    bag[0] = VERSION + 1;
    assert_eq!(read(&bag), Err(BadBag::OtherVersion));
}

#[test]
fn bytes_that_are_no_body_are_refused() {
    let read =
        |bytes: &[u8]| Records::default().read(Bytes::copy_from_slice(bytes), &mut Vec::new());
    // a text that ends too early, an item that is not there, a tag that does not exist
    assert_eq!(read(&[0x82, 9, b'x']), Err(BadBag::TooShort));
    assert_eq!(read(&[0x92, 3, 1, 0, 0]), Err(BadBag::NoSuchItem));
    assert_eq!(read(&[0xff, 2, 0, 0]), Err(BadBag::UnknownKind));
    // a part in the middle of a body
    assert_eq!(read(&[0x82, 1, b'x', 0x83, 1, 0x82]), Err(BadBag::BadParts));
    // random changes of a good body: refused or read, but no panic
    let mut random = Random(1);
    for _ in 0..200 {
        let mut body = Body::default();
        (0..5).for_each(|_| body.push(&entry(&mut random), |_| ()));
        let mut bytes = body.seal().bytes.to_vec();
        for _ in 0..20 {
            let at = random.below(bytes.len() as u64) as usize;
            bytes[at] = random.next() as u8;
            let _ = read(&bytes);
        }
    }
}
