//! Contacts of a member: peers that are told when it is gone for good.

use crate::protocol::id::PeerId;

/// The last [`Contacts::MOST`] peers with which a member exchanged an OFFER or ANSWER, oldest
/// first.
#[derive(Debug, Clone, Default)]
pub struct Contacts(Vec<PeerId>);

impl Contacts {
    /// Number of contacts that are remembered. The oldest is forgotten first.
    pub const MOST: usize = 256;

    /// Remembers `peer` as the latest contact.
    pub fn meet(&mut self, peer: &PeerId) {
        // the latest contact is nearly always the same: an OFFER brings an ANSWER
        if self.0.last() == Some(peer) {
            return;
        }
        if let Some(at) = self.0.iter().position(|known| known == peer) {
            self.0.remove(at);
        } else if self.0.len() == Self::MOST {
            self.0.remove(0);
        }
        self.0.push(peer.clone());
    }

    /// Returns all contacts, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &PeerId> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_contact_is_forgotten_first() {
        let id = |n: usize| PeerId::parse(&n.to_string()).unwrap_or_else(|e| panic!("{e}"));
        let mut contacts = Contacts::default();
        (0..Contacts::MOST).for_each(|n| contacts.meet(&id(n)));
        contacts.meet(&id(0));
        contacts.meet(&id(1000));
        let known: Vec<_> = contacts.iter().cloned().collect();
        assert_eq!(known.len(), Contacts::MOST);
        assert!(known.contains(&id(0)) && !known.contains(&id(1)));
        assert_eq!(known.last(), Some(&id(1000)));
    }
}
