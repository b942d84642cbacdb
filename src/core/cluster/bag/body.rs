//! Fills the bodies of bags.

use bytes::Bytes;

use super::{Header, kind};
use crate::cluster::entry::{Class, Delivery, Entry, Place, codec};
use crate::cluster::wire::{Writer, put_number};
use crate::protocol::id::SessionId;
use crate::protocol::outgoing::Frame;

/// Most bytes by which a body may exceed what it carries of one entry: a kind and a length.
const PART_HEAD: usize = 8;

/// The body of a bag that gets no more entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The bytes.
    pub bytes: Bytes,
    /// Whether an entry ends with the body. If not, the next body goes on with it.
    pub ends_whole: bool,
}

/// A body that is being filled.
#[derive(Debug, Default)]
pub struct Body {
    bytes: Vec<u8>,
    places: Vec<Place>,
    /// The frames that the body has. A clone keeps the text alive, so that no other text takes its
    /// address.
    texts: Vec<Frame>,
    last_session: u64,
    /// An entry that may get more receivers.
    open: Option<OpenFrame>,
    /// The receivers of `open`; else empty.
    receivers: Vec<u8>,
    /// The content of the entry that is being added; empty between entries.
    scratch: Vec<u8>,
}

/// The beginning of an entry for several sessions.
#[derive(Debug, Clone, Copy)]
struct OpenFrame {
    place: usize,
    text: usize,
    delivery: Delivery,
}

/// Where a body ended before an entry was added.
struct Mark {
    bytes: usize,
    places: usize,
    texts: usize,
    last_session: u64,
}

const fn tag(class: Class, kind: u8) -> u8 {
    (class as u8) << 6 | kind
}

/// Appends one record.
fn put_record(out: &mut Vec<u8>, tag: u8, content: &[&[u8]]) {
    out.push(tag);
    put_number(out, content.iter().map(|part| part.len() as u64).sum());
    content.iter().for_each(|part| out.extend_from_slice(part));
}

impl Body {
    /// Returns whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.open.is_none()
    }

    /// Returns the length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() + self.receivers.len()
    }

    /// Adds an entry. Bodies that are full are sealed and handed to `full`.
    pub fn push(&mut self, entry: &Entry, mut full: impl FnMut(Sealed)) {
        self.end_frame();
        let mark = self.mark();
        self.write(entry);
        self.keep_within(&mark, &mut full, |body| body.write(entry));
    }

    /// Adds a frame for one session. Receivers of the same frame, one after the other, are one
    /// entry.
    pub fn push_frame(
        &mut self,
        place: &Place,
        to: SessionId,
        frame: &Frame,
        delivery: Delivery,
        mut full: impl FnMut(Sealed),
    ) {
        if let Some(open) = self.open
            && open.delivery == delivery
            && self.texts.get(open.text).is_some_and(|text| is_same(text, frame))
            && self.places.get(open.place) == Some(place)
            && self.len() + PART_HEAD + 10 <= Header::MOST_BODY_BYTES
        {
            return Writer::new(&mut self.receivers, &mut self.last_session).session(to);
        }
        self.end_frame();
        let mark = self.mark();
        self.open_frame(place, to, frame, delivery);
        if self.len() + PART_HEAD > Header::MOST_BODY_BYTES {
            self.end_frame();
            self.keep_within(&mark, &mut full, |body| {
                body.open_frame(place, to, frame, delivery);
                body.end_frame();
            });
        }
    }

    /// Takes the body, and leaves an empty one.
    pub fn seal(&mut self) -> Sealed {
        self.end_frame();
        self.clear_items();
        Sealed { bytes: std::mem::take(&mut self.bytes).into(), ends_whole: true }
    }

    fn clear_items(&mut self) {
        self.places.clear();
        self.texts.clear();
        self.last_session = 0;
    }

    const fn mark(&self) -> Mark {
        Mark {
            bytes: self.bytes.len(),
            places: self.places.len(),
            texts: self.texts.len(),
            last_session: self.last_session,
        }
    }

    /// Sees to it that the body is not too long after an entry was added behind `mark`: the entry
    /// goes to a body of its own, in parts if it must.
    fn keep_within(
        &mut self,
        mark: &Mark,
        full: &mut impl FnMut(Sealed),
        write: impl FnOnce(&mut Self),
    ) {
        if self.bytes.len() > Header::MOST_BODY_BYTES && mark.bytes > 0 {
            self.bytes.truncate(mark.bytes);
            self.places.truncate(mark.places);
            self.texts.truncate(mark.texts);
            self.last_session = mark.last_session;
            full(self.seal());
            write(self);
        }
        if self.bytes.len() > Header::MOST_BODY_BYTES {
            self.cut(full);
        }
    }

    /// Cuts a body that is too long. The last part stays, and more entries may follow it and refer
    /// to its items.
    fn cut(&mut self, full: &mut impl FnMut(Sealed)) {
        let whole = std::mem::take(&mut self.bytes);
        let mut parts = whole.chunks(Header::MOST_BODY_BYTES - PART_HEAD).peekable();
        while let Some(part) = parts.next() {
            let is_last = parts.peek().is_none();
            let kind = if is_last { kind::LAST_PART } else { kind::PART };
            let mut bytes = Vec::with_capacity(part.len() + PART_HEAD);
            put_record(&mut bytes, tag(Class::Own, kind), &[part]);
            if is_last {
                self.bytes = bytes;
            } else {
                full(Sealed { bytes: bytes.into(), ends_whole: false });
            }
        }
    }

    fn write(&mut self, entry: &Entry) {
        let place = entry.place().map(|place| self.place(place));
        let text = entry.frame().map(|frame| self.text(frame));
        let Self { scratch, last_session, .. } = self;
        scratch.clear();
        let number = |at: Option<usize>| at.map_or(0, |at| at as u64 + 1);
        put_number(scratch, number(place));
        put_number(scratch, number(text));
        let kind = codec::write(entry, &mut Writer::new(scratch, last_session));
        put_record(&mut self.bytes, tag(entry.class(), kind), &[scratch]);
    }

    fn open_frame(&mut self, place: &Place, to: SessionId, frame: &Frame, delivery: Delivery) {
        let (place, text) = (self.place(place), self.text(frame));
        Writer::new(&mut self.receivers, &mut self.last_session).session(to);
        self.open = Some(OpenFrame { place, text, delivery });
    }

    /// Writes the entry that got receivers.
    fn end_frame(&mut self) {
        let Some(OpenFrame { place, text, delivery }) = self.open.take() else { return };
        let Self { bytes, scratch, receivers, last_session, .. } = self;
        scratch.clear();
        put_number(scratch, place as u64 + 1);
        put_number(scratch, text as u64 + 1);
        codec::write_frame_head(&mut Writer::new(scratch, last_session), delivery, None, None);
        put_record(bytes, tag(delivery.class(), codec::kind::FRAME), &[scratch, receivers]);
        receivers.clear();
    }

    fn place(&mut self, place: &Place) -> usize {
        if let Some(at) = self.places.iter().rposition(|known| known == place) {
            return at;
        }
        self.scratch.clear();
        let mut w = Writer::new(&mut self.scratch, &mut self.last_session);
        w.number(place.fence.0);
        codec::write_page(&mut w, &place.page);
        put_record(&mut self.bytes, tag(Class::Own, kind::PLACE), &[&self.scratch]);
        self.places.push(place.clone());
        self.places.len() - 1
    }

    fn text(&mut self, frame: &Frame) -> usize {
        /// Number of frames that are looked through for the same one.
        const LATEST: usize = 8;
        let latest = self.texts.iter().enumerate().rev().take(LATEST);
        if let Some((at, _)) = latest.into_iter().find(|(_, known)| is_same(known, frame)) {
            return at;
        }
        put_record(&mut self.bytes, tag(Class::Own, kind::TEXT), &[frame.as_bytes()]);
        self.texts.push(frame.clone());
        self.texts.len() - 1
    }
}

/// Returns whether two frames share their text.
fn is_same(one: &Frame, other: &Frame) -> bool {
    one.as_ptr() == other.as_ptr() && one.len() == other.len()
}
