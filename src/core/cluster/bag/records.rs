//! Reads the bodies of bags.

use bytes::Bytes;

use super::{BadBag, Header, kind};
use crate::cluster::Fence;
use crate::cluster::entry::{Class, Entry, Place, codec};
use crate::cluster::wire::Reader;
use crate::protocol::outgoing::Frame;

/// Reads the bodies of one direction of a link, in order: keeps the parts of an entry that has not
/// ended.
#[derive(Debug, Default)]
pub struct Records {
    parts: Vec<u8>,
}

/// The records of a body that are no entries.
#[derive(Default)]
struct Items {
    places: Vec<Place>,
    texts: Vec<Frame>,
}

impl Records {
    /// Returns the number of bytes that are kept.
    #[must_use]
    pub const fn kept(&self) -> usize {
        self.parts.len()
    }

    /// Reads the next body, and appends its entries. Frames share the memory of the body.
    ///
    /// # Errors
    /// When the body is malformed. The entries before the error are appended, and no other body can
    /// be read.
    pub fn read(&mut self, body: Bytes, entries: &mut Vec<Entry>) -> Result<(), BadBag> {
        let mut items = Items::default();
        let mut r = Reader::new(body);
        let mut is_first = true;
        while !r.is_empty() {
            let (tag, length) = (r.byte()?, r.narrow()?);
            if !matches!(tag & 0x3f, kind::PART | kind::LAST_PART) {
                if !self.parts.is_empty() {
                    return Err(BadBag::BadParts);
                }
                read_record(tag, length, &mut r, &mut items, entries)?;
                is_first = false;
                continue;
            }
            let part = r.raw(length)?;
            if !std::mem::take(&mut is_first)
                || part.is_empty()
                || self.parts.len() + part.len() > Header::MOST_ENTRY_BYTES
            {
                return Err(BadBag::BadParts);
            }
            self.parts.extend_from_slice(&part);
            if tag & 0x3f == kind::LAST_PART {
                let mut whole = Reader::new(std::mem::take(&mut self.parts).into());
                let before = entries.len();
                while !whole.is_empty() {
                    let (tag, length) = (whole.byte()?, whole.narrow()?);
                    read_record(tag, length, &mut whole, &mut items, entries)?;
                }
                if entries.len() > before + 1 {
                    return Err(BadBag::BadParts);
                }
                // sessions go on from those in the parts
                r.go_on_from(&whole);
            } else if !r.is_empty() {
                return Err(BadBag::BadParts);
            }
        }
        Ok(())
    }
}

fn read_record(
    tag: u8,
    length: usize,
    r: &mut Reader,
    items: &mut Items,
    entries: &mut Vec<Entry>,
) -> Result<(), BadBag> {
    let (class, kind) = (class_of(tag), tag & 0x3f);
    let mut content = r.part(length)?;
    match kind {
        kind::PLACE if class == Class::Own => {
            let fence = Fence(content.number()?);
            items.places.push(Place { page: codec::read_page(&mut content)?, fence });
        }
        kind::TEXT if class == Class::Own => {
            let text = content.rest();
            items.texts.push(Frame::try_from(text).map_err(|_| BadBag::NotText)?);
        }
        kind::PLACE | kind::TEXT | kind::PART | kind::LAST_PART => return Err(BadBag::UnknownKind),
        _ => {
            let place = item(&items.places, content.number()?)?;
            let text = item(&items.texts, content.number()?)?;
            entries.push(codec::read((class, kind), place, text, &mut content)?);
        }
    }
    r.end_part(content)
}

const fn class_of(tag: u8) -> Class {
    match tag >> 6 {
        0 => Class::Relay,
        1 => Class::Signal,
        2 => Class::Own,
        _ => Class::Expiry,
    }
}

/// Returns the item with a number from 1, or none for 0.
fn item<T: Clone>(items: &[T], number: u64) -> Result<Option<T>, BadBag> {
    let Some(at) = number.checked_sub(1) else { return Ok(None) };
    let at = usize::try_from(at).map_err(|_| BadBag::NoSuchItem)?;
    items.get(at).cloned().map(Some).ok_or(BadBag::NoSuchItem)
}
