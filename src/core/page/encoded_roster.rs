//! The roster of a page as a new host reads it. An entry is encoded when its member joins or changes, so that a host of
//! 10,000 does not wait for 10,000 encodings.

use crate::page::member::Seat;

/// A block that has as many bytes takes no further entry. Removing an entry moves no more than a block.
const BLOCK_BYTES: usize = 4096;

/// Encoded roster entries, in the order of their seats.
#[derive(Debug, Default)]
pub struct Roster {
    /// None is empty, and all seats of one are below those of the next.
    blocks: Vec<Block>,
    bytes: usize,
}

#[derive(Debug)]
struct Block {
    /// Entries, each after a comma.
    text: String,
    /// The seat of each entry, and where the entry ends in `text`.
    ends: Vec<(Seat, usize)>,
}

impl Block {
    fn first(&self) -> Seat {
        self.ends.first().map_or(Seat(0), |(seat, _)| *seat)
    }

    fn begin(&self, n: usize) -> usize {
        n.checked_sub(1).map_or(0, |before| self.ends[before].1)
    }

    fn length(&self, n: usize) -> usize {
        self.ends[n].1 - self.begin(n)
    }

    /// Puts `text` in place of entry `n`.
    fn replace(&mut self, n: usize, text: &str) {
        let (begin, end) = (self.begin(n), self.ends[n].1);
        self.text.replace_range(begin..end, text);
        self.ends[n..].iter_mut().for_each(|(_, e)| *e = *e - (end - begin) + text.len());
    }
}

impl Roster {
    /// Adds the entry of a member, or replaces it. `entry` is a JSON object. A new seat is above all others.
    pub fn put(&mut self, seat: Seat, entry: &str) {
        let text = [",", entry].concat();
        self.bytes += text.len();
        if let Some((at, n)) = self.find(seat) {
            self.bytes -= self.blocks[at].length(n);
            self.blocks[at].replace(n, &text);
            return;
        }
        debug_assert!(
            self.blocks
                .last()
                .and_then(|block| block.ends.last())
                .is_none_or(|(last, _)| *last < seat)
        );
        match self.blocks.last_mut().filter(|block| block.text.len() < BLOCK_BYTES) {
            Some(block) => {
                block.text.push_str(&text);
                block.ends.push((seat, block.text.len()));
            }
            None => self.blocks.push(Block { ends: vec![(seat, text.len())], text }),
        }
    }

    /// Removes the entry of a member, if it has one.
    pub fn remove(&mut self, seat: Seat) {
        let Some((at, n)) = self.find(seat) else { return };
        let block = &mut self.blocks[at];
        self.bytes -= block.length(n);
        block.replace(n, "");
        block.ends.remove(n);
        if block.ends.is_empty() {
            self.blocks.remove(at);
        }
    }

    /// Appends the roster to `json`, as an array.
    pub fn write(&self, json: &mut String) {
        json.push('[');
        let mut blocks = self.blocks.iter().map(|block| block.text.as_str());
        // a comma comes before each entry
        json.push_str(blocks.next().map_or("", |first| &first[1..]));
        blocks.for_each(|text| json.push_str(text));
        json.push(']');
    }

    /// Returns the seat of the entry that `n` others come before.
    #[must_use]
    pub fn nth(&self, mut n: usize) -> Option<Seat> {
        for Block { ends, .. } in &self.blocks {
            match ends.get(n) {
                Some((seat, _)) => return Some(*seat),
                None => n -= ends.len(),
            }
        }
        None
    }

    /// Returns how many bytes [`Roster::write`] appends.
    #[must_use]
    pub const fn len(&self) -> usize {
        if self.bytes == 0 { 2 } else { self.bytes + 1 }
    }

    /// Returns whether nobody is in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Returns in which block the entry of `seat` is, and as which of its entries.
    fn find(&self, seat: Seat) -> Option<(usize, usize)> {
        let at = self.blocks.partition_point(|block| block.first() <= seat).checked_sub(1)?;
        let n = self.blocks[at].ends.binary_search_by_key(&seat, |(seat, _)| *seat).ok()?;
        Some((at, n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn text(roster: &Roster) -> String {
        let mut json = String::new();
        roster.write(&mut json);
        assert_eq!(json.len(), roster.len());
        json
    }

    #[test]
    fn it_is_what_was_put_in_and_not_removed_in_the_order_of_seats() {
        let (mut roster, mut expected) = (Roster::default(), BTreeMap::new());
        assert_eq!(text(&roster), "[]");
        let entry = |seat: u64, round: u64| {
            format!(
                r#"{{"id":"m{seat}","profile":"{}"}}"#,
                "x".repeat((seat * 7 + round * 13) as usize % 90)
            )
        };
        for seat in 0..2000 {
            roster.put(Seat(seat), &entry(seat, 0));
            expected.insert(seat, entry(seat, 0));
        }
        assert!(roster.blocks.len() > 10);
        for round in 1..30 {
            for seat in (0..2000).filter(|seat| (seat * 31 + round * 17) % 11 == 0) {
                if (seat + round) % 3 == 0 {
                    roster.remove(Seat(seat));
                    expected.remove(&seat);
                } else if let Some(before) = expected.get_mut(&seat) {
                    *before = entry(seat, round);
                    roster.put(Seat(seat), before);
                }
            }
            let whole = format!("[{}]", expected.values().cloned().collect::<Vec<_>>().join(","));
            assert_eq!(text(&roster), whole, "round {round}");
            let seats: Vec<_> = (0..=expected.len()).map_while(|n| roster.nth(n)).collect();
            assert_eq!(seats, expected.keys().map(|seat| Seat(*seat)).collect::<Vec<_>>());
        }
        (0..2000).for_each(|seat| roster.remove(Seat(seat)));
        assert!(roster.is_empty());
        assert_eq!(text(&roster), "[]");
    }
}
