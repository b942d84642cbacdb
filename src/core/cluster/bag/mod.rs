//! The bytes of a bag: what a node publishes in the inbox of another.
//!
//! A bag is a [`Header`] and a body. The body is a row of records, each with class and kind, length
//! and content. Some records are entries. Others are items that entries refer to by number: a page
//! with its fence, or the text of a frame. An item is in a bag once. A body that would be longer
//! than [`Header::MOST_BODY_BYTES`] is cut in parts, one a bag.

mod body;
mod records;
#[cfg(test)]
mod tests;

use bytes::Bytes;

pub use body::{Body, Sealed};
pub use records::Records;

pub use crate::cluster::wire::BadBag;

use crate::cluster::NodeId;
use crate::cluster::entry::codec;
use crate::cluster::wire::{Reader, put_number};

/// The version of bags and entries.
pub const VERSION: u8 = 1;

/// Records that are no entries.
mod kind {
    pub(super) const PLACE: u8 = 1;
    pub(super) const TEXT: u8 = 2;
    pub(super) const PART: u8 = 3;
    pub(super) const LAST_PART: u8 = 4;
}

/// The numbers of a bag, and the acknowledgement of the other direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The node that sends the bag.
    pub from: NodeId,
    /// The node that it is for.
    pub to: NodeId,
    /// Number of the association. Bags are numbered anew in each.
    pub association: u64,
    /// Number of the bag, from 1. 0 for a bag that has no body and needs no acknowledgement.
    pub number: u64,
    /// The highest number that the sender has sent so far.
    pub highest: u64,
    /// The highest number up to which the sender has handled all bags of the receiver.
    pub acknowledged: u64,
    /// Whether the receiver is to say at once what it has and what it lacks.
    pub asks: bool,
    /// Whether the sender lacks bags that follow those that it acknowledges.
    pub lacks: bool,
}

const ASKS: u8 = 1;
const LACKS: u8 = 2;

impl Header {
    /// Most bytes of a body. A longer entry is sent in parts.
    pub const MOST_BODY_BYTES: usize = 64 * 1024 - 64;
    /// Most bytes of an entry with its frame, in all its parts.
    pub const MOST_ENTRY_BYTES: usize = 16 * 1024 * 1024;

    /// Appends the header. The body follows.
    pub fn write(&self, out: &mut Vec<u8>) {
        let flags = if self.asks { ASKS } else { 0 } | if self.lacks { LACKS } else { 0 };
        out.extend_from_slice(&[VERSION, flags]);
        out.extend_from_slice(&self.from.0.to_be_bytes());
        out.extend_from_slice(&self.to.0.to_be_bytes());
        [self.association, self.number, self.highest, self.acknowledged]
            .into_iter()
            .for_each(|number| put_number(out, number));
    }

    /// Reads a bag: the header, and the body without looking into it.
    ///
    /// # Errors
    /// When the bag is of another version, or is no bag.
    pub fn read(bag: Bytes) -> Result<(Self, Bytes), BadBag> {
        let mut r = Reader::new(bag);
        if r.byte()? != VERSION {
            return Err(BadBag::OtherVersion);
        }
        let flags = r.byte()?;
        if flags & !(ASKS | LACKS) != 0 {
            return Err(BadBag::OutOfRange);
        }
        let (from, to) = (NodeId(codec::read_eight(&mut r)?), NodeId(codec::read_eight(&mut r)?));
        let header = Self {
            from,
            to,
            association: r.number()?,
            number: r.number()?,
            highest: r.number()?,
            acknowledged: r.number()?,
            asks: flags & ASKS != 0,
            lacks: flags & LACKS != 0,
        };
        let body = r.rest();
        let is_numbered = header.number > 0;
        if header.association == 0 || header.highest < header.number {
            return Err(BadBag::BadNumbers);
        }
        if body.len() > Self::MOST_BODY_BYTES || (!is_numbered && !body.is_empty()) {
            return Err(BadBag::TooLong);
        }
        Ok((header, body))
    }
}
