//! The content of an entry as bytes, without its place and its frame: a bag has those once for all
//! entries.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::value::RawValue;

use super::{Answer, Class, Delivery, Entry, Join, PageSummary, Place, Question};
use super::{ToBranch, ToPage, TokenHash};
use crate::cluster::wire::{BadBag, Reader, Writer};
use crate::cluster::{Fence, NodeId};
use crate::page::member::{Departure, JoinRequest, Rights, Seat, Status, Way};
use crate::protocol::claim::Claim;
use crate::protocol::close::Close;
use crate::protocol::id::{Capabilities, Epoch, PageKey, PageName, PeerId, SessionId};
use crate::protocol::incoming::{
    MAX_CHANNELS, MAX_PROFILE_BYTES, SignalKind, StatusUpdate, Suspicion,
};
use crate::protocol::outgoing::Frame;

/// The kind of an entry: the lower bits of its first byte.
pub(in crate::cluster) mod kind {
    pub(in crate::cluster) const FRAME: u8 = 8;
    pub(super) const JOIN: u8 = 9;
    pub(super) const FORWARD: u8 = 10;
    pub(super) const RELAY: u8 = 11;
    pub(super) const STATUS: u8 = 12;
    pub(super) const SUSPECT: u8 = 13;
    pub(super) const TRUST: u8 = 14;
    pub(super) const RESIGN: u8 = 15;
    pub(super) const HEARTBEAT: u8 = 16;
    pub(super) const SOCKET_CLOSED: u8 = 17;
    pub(super) const SILENT: u8 = 18;
    pub(super) const RAN: u8 = 19;
    pub(super) const CONGESTED: u8 = 20;
    pub(super) const UNDELIVERED: u8 = 21;
    pub(super) const ALIVE: u8 = 22;
    pub(super) const LEAVE_WITHOUT_SOCKET: u8 = 23;
    pub(super) const WHO: u8 = 24;
    pub(super) const MISSED: u8 = 25;
    pub(super) const WELCOME: u8 = 32;
    pub(super) const ANNOUNCED: u8 = 34;
    pub(super) const PING: u8 = 35;
    pub(super) const PROBE: u8 = 36;
    pub(super) const DISMISS: u8 = 37;
    pub(super) const HERE: u8 = 38;
    pub(super) const HERE_HASH: u8 = 39;
    pub(super) const PAGE_LOST: u8 = 40;
    pub(super) const JOIN_RETURNED: u8 = 41;
    pub(super) const EXPIRED: u8 = 42;
    pub(super) const QUESTION: u8 = 48;
    pub(super) const ANSWER: u8 = 49;
}

/// Writes the content of an entry. Returns its kind.
pub(in crate::cluster) fn write(entry: &Entry, w: &mut Writer<'_>) -> u8 {
    match entry {
        Entry::ToPage(_, word) => write_to_page(word, w),
        Entry::ToBranch(_, word) => write_to_branch(word, w),
        Entry::Question { number, question } => {
            w.number(*number);
            match question {
                Question::Pages => w.byte(0),
                Question::Peers(page) => {
                    w.byte(1);
                    write_page(w, page);
                }
                Question::Kick { page, id } => {
                    w.byte(2);
                    write_page(w, page);
                    w.text(id.as_str());
                }
            }
            kind::QUESTION
        }
        Entry::Answer { number, answer } => {
            w.number(*number);
            write_answer(answer, w);
            kind::ANSWER
        }
    }
}

fn write_answer(answer: &Answer, w: &mut Writer<'_>) {
    match answer {
        Answer::Pages(pages) => {
            w.byte(0);
            w.list(pages.iter(), |w, PageSummary { page, host, members }| {
                w.text(page.as_str());
                w.option(host.as_ref(), write_claim);
                w.number(*members);
            });
        }
        Answer::Peers(ids) => {
            w.byte(1);
            w.option(ids.as_ref(), |w, ids| w.list(ids.iter(), write_id));
        }
        Answer::Kicked(kicked) => {
            w.byte(2);
            w.option(*kicked, Writer::flag);
        }
        Answer::NotYet => w.byte(3),
    }
}

fn write_to_page(word: &ToPage, w: &mut Writer<'_>) -> u8 {
    match word {
        ToPage::Join(join) => {
            write_join(join, w);
            kind::JOIN
        }
        ToPage::Forward { session, kind, dst, frame: _ } => {
            w.session(*session);
            w.byte(signal_code(*kind));
            w.text(dst.as_str());
            kind::FORWARD
        }
        ToPage::Relay { session, dst, frame: _ } => {
            w.session(*session);
            w.option(dst.as_ref(), write_id);
            kind::RELAY
        }
        ToPage::Status { session, update } => {
            w.session(*session);
            write_update(update, w);
            kind::STATUS
        }
        ToPage::Suspect { session, suspicion } => {
            w.session(*session);
            write_suspicion(w, suspicion);
            kind::SUSPECT
        }
        ToPage::Trust { session, suspicion } => {
            w.session(*session);
            write_suspicion(w, suspicion);
            kind::TRUST
        }
        ToPage::Resign { session, epoch, to } => {
            w.session(*session);
            w.number(epoch.0);
            w.option(to.as_ref(), write_id);
            kind::RESIGN
        }
        ToPage::Heartbeat { session, epoch } => {
            w.session(*session);
            w.number(epoch.0);
            kind::HEARTBEAT
        }
        ToPage::SocketClosed { session, departure } => {
            w.session(*session);
            w.byte(departure_code(*departure));
            kind::SOCKET_CLOSED
        }
        ToPage::Silent(session) => {
            w.session(*session);
            kind::SILENT
        }
        ToPage::Ran { session, ran } => {
            w.session(*session);
            w.flag(*ran);
            kind::RAN
        }
        ToPage::Congested(session) => {
            w.session(*session);
            kind::CONGESTED
        }
        ToPage::Undelivered { session, dst } => {
            w.session(*session);
            w.text(dst.as_str());
            kind::UNDELIVERED
        }
        ToPage::Alive(session) => {
            w.session(*session);
            kind::ALIVE
        }
        ToPage::LeaveWithoutSocket { id, proof } => {
            w.text(id.as_str());
            w.raw(&proof.0);
            kind::LEAVE_WITHOUT_SOCKET
        }
        ToPage::Who => kind::WHO,
        ToPage::Missed(sessions) => {
            write_sessions(w, sessions);
            kind::MISSED
        }
    }
}

fn write_sessions(w: &mut Writer<'_>, sessions: &[SessionId]) {
    w.list(sessions.iter(), |w, session| w.session(*session));
}

fn write_to_branch(word: &ToBranch, w: &mut Writer<'_>) -> u8 {
    match word {
        ToBranch::Frame { to, frame: _, delivery, from, tells } => {
            write_frame_head(w, *delivery, from.as_ref(), tells.as_ref());
            // the receivers are the rest: more of them can be added
            to.iter().for_each(|session| w.session(*session));
            kind::FRAME
        }
        ToBranch::Welcome { to, open: _, claim, seat } => {
            w.session(*to);
            w.option(claim.as_ref(), write_claim);
            w.option(*seat, |w, seat| w.number(seat.0));
            kind::WELCOME
        }
        ToBranch::Announced(claim) => {
            w.option(claim.as_ref(), write_claim);
            kind::ANNOUNCED
        }
        ToBranch::Ping(session) => {
            w.session(*session);
            kind::PING
        }
        ToBranch::Probe { to, frame: _ } => {
            w.session(*to);
            kind::PROBE
        }
        ToBranch::Dismiss { session, close } => {
            w.session(*session);
            w.number(close.code().into());
            kind::DISMISS
        }
        ToBranch::Here { sessions, host } => {
            write_sessions(w, sessions);
            w.option(host.as_ref(), write_claim);
            kind::HERE
        }
        ToBranch::JoinReturned(session) => {
            w.session(*session);
            kind::JOIN_RETURNED
        }
        ToBranch::HereHash(hash) => {
            w.raw(&hash.to_be_bytes());
            kind::HERE_HASH
        }
        ToBranch::Expired { session, dst } => {
            w.session(*session);
            w.text(dst.as_str());
            kind::EXPIRED
        }
        ToBranch::PageLost(next) => {
            w.option(*next, |w, (node, fence)| {
                w.raw(&node.0.to_be_bytes());
                w.number(fence.0);
            });
            kind::PAGE_LOST
        }
    }
}

/// Writes what stands before the receivers of a frame.
pub(in crate::cluster) fn write_frame_head(
    w: &mut Writer<'_>,
    delivery: Delivery,
    from: Option<&(SessionId, PeerId)>,
    tells: Option<&Claim>,
) {
    w.byte(delivery_code(delivery));
    w.option(from, |w, (session, dst)| {
        w.session(*session);
        w.text(dst.as_str());
    });
    w.option(tells, write_claim);
}

/// Reads the content of an entry of a kind.
pub(in crate::cluster) fn read(
    (class, kind): (Class, u8),
    place: Option<Place>,
    frame: Option<Frame>,
    r: &mut Reader,
) -> Result<Entry, BadBag> {
    let entry = match (kind, place, frame) {
        (kind::QUESTION, None, None) => {
            let number = r.number()?;
            let question = match r.byte()? {
                0 => Question::Pages,
                1 => Question::Peers(read_page(r)?),
                2 => Question::Kick { page: read_page(r)?, id: r.id()? },
                _ => return Err(BadBag::UnknownKind),
            };
            Entry::Question { number, question }
        }
        (kind::ANSWER, None, None) => {
            Entry::Answer { number: r.number()?, answer: read_answer(r)? }
        }
        (kind::WELCOME, Some(place), open) => {
            let (to, claim) = (r.session()?, r.option(read_claim)?);
            let seat = r.option(Reader::number)?.map(Seat);
            Entry::ToBranch(place, ToBranch::Welcome { to, open, claim, seat })
        }
        (kind, Some(place), Some(frame)) => read_with_frame(kind, place, frame, r)?,
        (kind @ kind::JOIN..=kind::MISSED, Some(place), None) => {
            Entry::ToPage(place, read_to_page(kind, r)?)
        }
        (kind, Some(place), None) => Entry::ToBranch(place, read_to_branch(kind, r)?),
        (_, None, _) => return Err(BadBag::UnknownKind),
    };
    if entry.class() == class { Ok(entry) } else { Err(BadBag::UnknownKind) }
}

fn read_with_frame(kind: u8, place: Place, frame: Frame, r: &mut Reader) -> Result<Entry, BadBag> {
    Ok(match kind {
        kind::FRAME => {
            let (delivery, from) = (read_delivery(r)?, r.option(|r| Ok((r.session()?, r.id()?)))?);
            let tells = r.option(read_claim)?;
            let mut to = Vec::new();
            while !r.is_empty() {
                to.push(r.session()?);
            }
            Entry::ToBranch(place, ToBranch::Frame { to, frame, delivery, from, tells })
        }
        kind::PROBE => Entry::ToBranch(place, ToBranch::Probe { to: r.session()?, frame }),
        kind::FORWARD => {
            let (session, kind, dst) = (r.session()?, read_signal(r)?, r.id()?);
            Entry::ToPage(place, ToPage::Forward { session, kind, dst, frame })
        }
        kind::RELAY => {
            let (session, dst) = (r.session()?, r.option(Reader::id)?);
            Entry::ToPage(place, ToPage::Relay { session, dst, frame })
        }
        _ => return Err(BadBag::UnknownKind),
    })
}

fn read_to_page(kind: u8, r: &mut Reader) -> Result<ToPage, BadBag> {
    Ok(match kind {
        kind::JOIN => ToPage::Join(Box::new(read_join(r)?)),
        kind::STATUS => ToPage::Status { session: r.session()?, update: read_update(r)? },
        kind::SUSPECT => ToPage::Suspect { session: r.session()?, suspicion: read_suspicion(r)? },
        kind::TRUST => ToPage::Trust { session: r.session()?, suspicion: read_suspicion(r)? },
        kind::RESIGN => ToPage::Resign {
            session: r.session()?,
            epoch: Epoch(r.number()?),
            to: r.option(Reader::id)?,
        },
        kind::HEARTBEAT => ToPage::Heartbeat { session: r.session()?, epoch: Epoch(r.number()?) },
        kind::SOCKET_CLOSED => {
            ToPage::SocketClosed { session: r.session()?, departure: read_departure(r)? }
        }
        kind::SILENT => ToPage::Silent(r.session()?),
        kind::RAN => ToPage::Ran { session: r.session()?, ran: r.flag()? },
        kind::CONGESTED => ToPage::Congested(r.session()?),
        kind::UNDELIVERED => ToPage::Undelivered { session: r.session()?, dst: r.id()? },
        kind::ALIVE => ToPage::Alive(r.session()?),
        kind::LEAVE_WITHOUT_SOCKET => {
            ToPage::LeaveWithoutSocket { id: r.id()?, proof: read_hash(r)? }
        }
        kind::WHO => ToPage::Who,
        kind::MISSED => ToPage::Missed(r.list(Reader::session)?),
        _ => return Err(BadBag::UnknownKind),
    })
}

fn read_to_branch(kind: u8, r: &mut Reader) -> Result<ToBranch, BadBag> {
    Ok(match kind {
        kind::ANNOUNCED => ToBranch::Announced(r.option(read_claim)?),
        kind::PING => ToBranch::Ping(r.session()?),
        kind::DISMISS => {
            let (session, code) = (r.session()?, r.narrow::<u16>()?);
            let close = Close::ALL.into_iter().find(|close| close.code() == code);
            ToBranch::Dismiss { session, close: close.ok_or(BadBag::UnknownKind)? }
        }
        kind::HERE => {
            ToBranch::Here { sessions: r.list(Reader::session)?, host: r.option(read_claim)? }
        }
        kind::JOIN_RETURNED => ToBranch::JoinReturned(r.session()?),
        kind::HERE_HASH => ToBranch::HereHash(read_eight(r)?),
        kind::EXPIRED => ToBranch::Expired { session: r.session()?, dst: r.id()? },
        kind::PAGE_LOST => {
            ToBranch::PageLost(r.option(|r| Ok((NodeId(read_eight(r)?), Fence(r.number()?))))?)
        }
        _ => return Err(BadBag::UnknownKind),
    })
}

fn read_answer(r: &mut Reader) -> Result<Answer, BadBag> {
    Ok(match r.byte()? {
        0 => Answer::Pages(r.list(|r| {
            let page = PageName::parse(&r.text()?).map_err(|_| BadBag::BadName)?;
            Ok(PageSummary { page, host: r.option(read_claim)?, members: r.number()? })
        })?),
        1 => Answer::Peers(r.option(|r| r.list(Reader::id))?),
        2 => Answer::Kicked(r.option(Reader::flag)?),
        3 => Answer::NotYet,
        _ => return Err(BadBag::UnknownKind),
    })
}

fn write_join(join: &Join, w: &mut Writer<'_>) {
    let Join { request, proof, seat, contacts } = join;
    w.session(request.session);
    w.text(request.id.as_str());
    w.option(proof.as_ref(), |w, proof| w.raw(&proof.0));
    w.number(request.group.into());
    w.text(&request.can.names().collect::<Vec<_>>().join(","));
    w.flag(request.rights.host);
    w.flag(request.rights.relay);
    w.option(request.address, write_address);
    w.option(request.claim.as_ref(), write_claim);
    w.option(request.resumed.as_ref(), write_status);
    w.option(*seat, |w, seat| w.number(seat.0));
    w.list(contacts.iter(), write_id);
}

fn read_join(r: &mut Reader) -> Result<Join, BadBag> {
    let (session, id) = (r.session()?, r.id()?);
    let proof = r.option(read_hash)?;
    let request = JoinRequest {
        session,
        id,
        token: proof.and_then(TokenHash::to_token),
        group: r.narrow()?,
        can: Capabilities::parse(&r.text()?).map_err(|_| BadBag::BadName)?,
        rights: Rights { host: r.flag()?, relay: r.flag()? },
        address: r.option(read_address)?,
        // the receiver knows from which node the entry came
        way: Way::Local,
        claim: r.option(read_claim)?,
        resumed: r.option(read_status)?,
    };
    let (seat, contacts) = (r.option(Reader::number)?.map(Seat), r.list(Reader::id)?);
    if contacts.len() > Join::MOST_CONTACTS {
        return Err(BadBag::OutOfRange);
    }
    Ok(Join { request, proof, seat, contacts })
}

fn write_address(w: &mut Writer<'_>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            w.byte(4);
            w.raw(&address.octets());
        }
        IpAddr::V6(address) => {
            w.byte(6);
            w.raw(&address.octets());
        }
    }
}

fn read_address(r: &mut Reader) -> Result<IpAddr, BadBag> {
    match r.byte()? {
        4 => Ok(Ipv4Addr::from(array::<4>(r)?).into()),
        6 => Ok(Ipv6Addr::from(array::<16>(r)?).into()),
        _ => Err(BadBag::UnknownKind),
    }
}

fn array<const N: usize>(r: &mut Reader) -> Result<[u8; N], BadBag> {
    (&*r.raw(N)?).try_into().map_err(|_| BadBag::TooShort)
}

pub(in crate::cluster) fn read_eight(r: &mut Reader) -> Result<u64, BadBag> {
    Ok(u64::from_be_bytes(array(r)?))
}

fn read_hash(r: &mut Reader) -> Result<TokenHash, BadBag> {
    Ok(TokenHash(array(r)?))
}

/// Writes the name of a page; an empty one for clients without a page.
pub(in crate::cluster) fn write_page(w: &mut Writer<'_>, page: &PageKey) {
    w.text(page.name().unwrap_or_default());
}

pub(in crate::cluster) fn read_page(r: &mut Reader) -> Result<PageKey, BadBag> {
    let name = r.text()?;
    if name.is_empty() {
        return Ok(PageKey::Pageless);
    }
    PageName::parse(&name).map(PageKey::Named).map_err(|_| BadBag::BadName)
}

fn write_id(w: &mut Writer<'_>, id: &PeerId) {
    w.text(id.as_str());
}

fn write_claim(w: &mut Writer<'_>, claim: &Claim) {
    w.number(claim.epoch.0);
    write_id(w, &claim.host);
}

fn read_claim(r: &mut Reader) -> Result<Claim, BadBag> {
    Ok(Claim { epoch: Epoch(r.number()?), host: r.id()? })
}

fn write_suspicion(w: &mut Writer<'_>, suspicion: &Suspicion) {
    w.number(suspicion.epoch.0);
    write_id(w, &suspicion.host);
}

fn read_suspicion(r: &mut Reader) -> Result<Suspicion, BadBag> {
    Ok(Suspicion { epoch: Epoch(r.number()?), host: r.id()? })
}

fn write_profile(w: &mut Writer<'_>, profile: &RawValue) {
    w.text(profile.get());
}

fn read_profile(r: &mut Reader) -> Result<Box<RawValue>, BadBag> {
    let text = r.text()?;
    if text.len() > MAX_PROFILE_BYTES {
        return Err(BadBag::OutOfRange);
    }
    // white space around a value is no part of it
    let profile: &RawValue = serde_json::from_str(&text).map_err(|_| BadBag::NotText)?;
    if profile.get() == &*text { Ok(profile.to_owned()) } else { Err(BadBag::NotText) }
}

fn write_status(w: &mut Writer<'_>, status: &Status) {
    [status.eligible, status.visible, status.relay, status.p2p]
        .into_iter()
        .for_each(|flag| w.flag(flag));
    w.list(status.channels.iter(), write_id);
    w.option(status.profile.as_deref(), write_profile);
}

fn read_status(r: &mut Reader) -> Result<Status, BadBag> {
    let status = Status {
        eligible: r.flag()?,
        visible: r.flag()?,
        relay: r.flag()?,
        p2p: r.flag()?,
        channels: r.list(Reader::id)?,
        profile: r.option(read_profile)?,
    };
    if status.channels.len() > MAX_CHANNELS { Err(BadBag::OutOfRange) } else { Ok(status) }
}

fn write_update(update: &StatusUpdate, w: &mut Writer<'_>) {
    [update.eligible, update.visible, update.relay, update.p2p]
        .into_iter()
        .for_each(|flag| w.option(flag, Writer::flag));
    w.option(update.channels.as_ref(), |w, channels| {
        w.list(channels.iter(), |w, (id, ms)| {
            write_id(w, id);
            w.number((*ms).into());
        });
    });
    w.option(update.profile.as_ref(), |w, profile| w.option(profile.as_deref(), write_profile));
}

fn read_update(r: &mut Reader) -> Result<StatusUpdate, BadBag> {
    let update = StatusUpdate {
        eligible: r.option(Reader::flag)?,
        visible: r.option(Reader::flag)?,
        relay: r.option(Reader::flag)?,
        p2p: r.option(Reader::flag)?,
        channels: r.option(|r| r.list(|r| Ok((r.id()?, r.narrow()?))))?,
        profile: r.option(|r| r.option(read_profile))?,
    };
    let channels = update.channels.as_ref().map_or(0, Vec::len);
    if channels > MAX_CHANNELS { Err(BadBag::OutOfRange) } else { Ok(update) }
}

const SIGNALS: [SignalKind; 5] = [
    SignalKind::Offer,
    SignalKind::Answer,
    SignalKind::Candidate,
    SignalKind::Leave,
    SignalKind::Expire,
];

const fn signal_code(kind: SignalKind) -> u8 {
    match kind {
        SignalKind::Offer => 0,
        SignalKind::Answer => 1,
        SignalKind::Candidate => 2,
        SignalKind::Leave => 3,
        SignalKind::Expire => 4,
    }
}

fn read_signal(r: &mut Reader) -> Result<SignalKind, BadBag> {
    SIGNALS.get(usize::from(r.byte()?)).copied().ok_or(BadBag::UnknownKind)
}

const DELIVERIES: [Delivery; 6] = [
    Delivery::Page,
    Delivery::News,
    Delivery::Urgent,
    Delivery::HostData,
    Delivery::PeerData,
    Delivery::Signal,
];

const fn delivery_code(delivery: Delivery) -> u8 {
    match delivery {
        Delivery::Page => 0,
        Delivery::News => 1,
        Delivery::Urgent => 2,
        Delivery::HostData => 3,
        Delivery::PeerData => 4,
        Delivery::Signal => 5,
    }
}

fn read_delivery(r: &mut Reader) -> Result<Delivery, BadBag> {
    DELIVERIES.get(usize::from(r.byte()?)).copied().ok_or(BadBag::UnknownKind)
}

const DEPARTURES: [Departure; 6] = [
    Departure::Goodbye,
    Departure::GoingAway,
    Departure::Disconnected,
    Departure::Lost,
    Departure::Expelled,
    Departure::Silent,
];

const fn departure_code(departure: Departure) -> u8 {
    match departure {
        Departure::Goodbye => 0,
        Departure::GoingAway => 1,
        Departure::Disconnected => 2,
        Departure::Lost => 3,
        Departure::Expelled => 4,
        Departure::Silent => 5,
    }
}

fn read_departure(r: &mut Reader) -> Result<Departure, BadBag> {
    DEPARTURES.get(usize::from(r.byte()?)).copied().ok_or(BadBag::UnknownKind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_places_in_the_lists() {
        assert!(SIGNALS.iter().enumerate().all(|(at, kind)| usize::from(signal_code(*kind)) == at));
        let code = |delivery: &Delivery| usize::from(delivery_code(*delivery));
        assert!(DELIVERIES.iter().enumerate().all(|(at, delivery)| code(delivery) == at));
        let code = |departure: &Departure| usize::from(departure_code(*departure));
        assert!(DEPARTURES.iter().enumerate().all(|(at, departure)| code(departure) == at));
    }
}
