//! The roster of a page, encoded. An entry is encoded when its member joins or changes its profile,
//! so that a new host of 10,000 members does not wait for 10,000 encodings.

use crate::page::member::Seat;

/// Size in bytes from which a block takes no further entry. Removing an entry moves no more than
/// one block.
const BLOCK_BYTES: usize = 4096;

/// Encoded roster entries, in the order of their seats.
#[derive(Debug, Default)]
pub(super) struct EncodedRoster {
    /// No block is empty. The seats of each block are below those of the next.
    blocks: Vec<Block>,
}

#[derive(Debug)]
struct Block {
    /// The entries, each after a comma.
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

    /// Puts `text` in place of entry `n`.
    fn replace(&mut self, n: usize, text: &str) {
        let (begin, end) = (self.begin(n), self.ends[n].1);
        self.text.replace_range(begin..end, text);
        self.ends[n..].iter_mut().for_each(|(_, e)| *e = *e - (end - begin) + text.len());
    }
}

impl EncodedRoster {
    /// Adds or replaces the entry of a member. `entry` is a JSON object. A new seat is above all
    /// others.
    pub(super) fn put(&mut self, seat: Seat, entry: &str) {
        let text = [",", entry].concat();
        if let Some((at, n)) = self.find(seat) {
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
    pub(super) fn remove(&mut self, seat: Seat) {
        let Some((at, n)) = self.find(seat) else { return };
        let block = &mut self.blocks[at];
        block.replace(n, "");
        block.ends.remove(n);
        if block.ends.is_empty() {
            self.blocks.remove(at);
        }
    }

    /// Returns the roster as a JSON array, in pieces.
    #[must_use]
    pub(super) fn pieces(&self) -> Vec<&str> {
        let mut pieces = vec!["["];
        let mut blocks = self.blocks.iter().map(|block| block.text.as_str());
        // a comma precedes each entry
        pieces.extend(blocks.next().map(|first| &first[1..]));
        pieces.extend(blocks);
        pieces.push("]");
        pieces
    }

    /// Returns the seat of the entry that `n` others come before.
    #[must_use]
    pub(super) fn nth(&self, mut n: usize) -> Option<Seat> {
        for Block { ends, .. } in &self.blocks {
            match ends.get(n) {
                Some((seat, _)) => return Some(*seat),
                None => n -= ends.len(),
            }
        }
        None
    }

    /// Returns the block of the entry of `seat`, and its place in the block.
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

    fn text(roster: &EncodedRoster) -> String {
        roster.pieces().concat()
    }

    #[test]
    fn the_array_has_what_was_put_and_not_removed_in_the_order_of_seats() {
        let (mut roster, mut expected) = (EncodedRoster::default(), BTreeMap::new());
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
        assert!(roster.blocks.is_empty());
        assert_eq!(text(&roster), "[]");
    }
}
