//! Bags from anybody: they are refused or read, and what is read can be written and read again.

use bytes::Bytes;
use peerstar_core::cluster::NodeId;
use peerstar_core::cluster::bag::{Body, Header, Records, Sealed};
use peerstar_core::cluster::entry::Entry;
use peerstar_core::cluster::link::{Link, window};
use peerstar_core::time::Time;

/// Reads bodies of one direction, or bags for one link. Each is preceded by its length.
pub(crate) fn check(input: &[u8]) {
    let Some((kind, mut rest)) = input.split_first() else { return };
    let mut pieces = Vec::new();
    while let Some((length, more)) = rest.split_first_chunk() {
        let (piece, more) = more.split_at(usize::from(u16::from_le_bytes(*length)).min(more.len()));
        pieces.push(piece);
        rest = more;
    }
    if kind % 2 == 0 { read_bodies(&pieces) } else { receive(&pieces) }
}

fn read_bodies(bodies: &[&[u8]]) {
    let (mut records, mut entries) = (Records::default(), Vec::new());
    for body in bodies {
        if records.read(Bytes::copy_from_slice(body), &mut entries).is_err() {
            break;
        }
    }
    let (mut body, mut sealed) = (Body::default(), Vec::new());
    entries.iter().for_each(|entry| body.push(entry, |full| sealed.push(full)));
    sealed.push(body.seal());
    let again = read(&sealed);
    assert_eq!(format!("{again:?}"), format!("{entries:?}"));
}

fn read(bodies: &[Sealed]) -> Vec<Entry> {
    let (mut records, mut entries) = (Records::default(), Vec::new());
    for body in bodies {
        assert!(body.bytes.len() <= Header::MOST_BODY_BYTES);
        records.read(body.bytes.clone(), &mut entries).unwrap();
    }
    entries
}

fn receive(bags: &[&[u8]]) {
    let mut link = Link::new(NodeId(0), NodeId(0), window(1));
    let mut bag = Vec::new();
    for (at, bytes) in bags.iter().enumerate() {
        let now = Time(at as u64 * 100);
        let _ = link.receive(now, Bytes::copy_from_slice(bytes));
        while link.poll_event().is_some() {}
        link.tick(now);
        while link.poll_transmit(now, &mut bag) {
            Header::read(Bytes::copy_from_slice(&bag)).unwrap();
        }
        assert!(link.waiting_bytes() < 1024);
    }
}
