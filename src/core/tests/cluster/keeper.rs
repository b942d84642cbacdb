//! The keeper of a process, as far as a node can tell: it keeps two connections to Redis, dials
//! again when one is lost, and makes the inbox anew when a renewal is not heard there.

use crate::queue::{MS, S, Us};
use crate::redis::Channel;

/// What the keeper waits for. The number tells whether it still does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    /// A dial has taken a second.
    GiveUp(Channel, u64),
    /// It dials again.
    Dial(Channel, u64),
    /// So many renewals were answered a second ago: as many ticks must have been heard.
    Ticks(u64),
}

#[derive(Debug, Default)]
struct Side {
    stands: bool,
    /// Grows with every change, so that what was meant for an earlier one is ignored.
    number: u64,
    wait: Us,
}

/// Both connections of a process.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    commands: Side,
    inbox: Side,
    /// Number of renewals that were answered, and of ticks that were heard or could not be.
    renewals: u64,
    ticks: u64,
}

impl Keeper {
    const fn side(&mut self, channel: Channel) -> &mut Side {
        match channel {
            Channel::Commands => &mut self.commands,
            Channel::Inbox => &mut self.inbox,
        }
    }

    /// Returns whether the connection of the commands stands.
    pub(crate) const fn is_connected(&self) -> bool {
        self.commands.stands
    }

    /// Begins to dial. Returns when to give up.
    pub(crate) fn dials(&mut self, channel: Channel) -> Wake {
        let side = self.side(channel);
        side.stands = false;
        side.number += 1;
        Wake::GiveUp(channel, side.number)
    }

    /// A dial succeeded.
    pub(crate) fn connected(&mut self, channel: Channel) {
        if channel == Channel::Inbox {
            // the tick of a renewal that is under way may have come too early
            self.ticks = self.renewals + 1;
        }
        let side = self.side(channel);
        *side = Side { stands: true, number: side.number + 1, wait: 0 };
    }

    /// A connection is lost, or a dial failed. Returns whether there was one, and when to dial.
    pub(crate) fn lost(&mut self, channel: Channel) -> (bool, Us, Wake) {
        let side = self.side(channel);
        let had = std::mem::take(&mut side.stands);
        side.number += 1;
        side.wait = (side.wait * 2).clamp(50 * MS, 2 * S);
        (had, side.wait, Wake::Dial(channel, side.number))
    }

    /// A renewal was answered. Returns when its tick must have been heard.
    pub(crate) const fn renewed(&mut self) -> Wake {
        self.renewals += 1;
        Wake::Ticks(self.renewals)
    }

    /// A tick was heard in the inbox.
    pub(crate) const fn ticked(&mut self) {
        self.ticks += 1;
    }

    /// Returns whether the keeper still waits for this.
    pub(crate) fn is_meant(&mut self, wake: Wake) -> bool {
        match wake {
            Wake::GiveUp(channel, number) => {
                let side = self.side(channel);
                !side.stands && side.number == number
            }
            Wake::Dial(channel, number) => self.side(channel).number == number,
            Wake::Ticks(renewals) => self.inbox.stands && self.ticks < renewals,
        }
    }
}
