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
    /// A renewal was answered a second ago, and no tick was heard.
    NoTick(u64),
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
    ticks: u64,
    awaits_tick: bool,
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
        if channel == Channel::Inbox {
            self.ticks += 1;
            self.awaits_tick = false;
        }
        let side = self.side(channel);
        side.stands = false;
        side.number += 1;
        Wake::GiveUp(channel, side.number)
    }

    /// A dial succeeded.
    pub(crate) fn connected(&mut self, channel: Channel) {
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

    /// A renewal was answered. Returns when a tick must have been heard.
    pub(crate) fn renewed(&mut self) -> Option<Wake> {
        let waits = self.inbox.stands && !std::mem::replace(&mut self.awaits_tick, true);
        waits.then_some(Wake::NoTick(self.ticks))
    }

    /// A tick was heard in the inbox.
    pub(crate) const fn ticked(&mut self) {
        self.ticks += 1;
        self.awaits_tick = false;
    }

    /// Returns whether the keeper still waits for this.
    pub(crate) fn is_meant(&mut self, wake: Wake) -> bool {
        match wake {
            Wake::GiveUp(channel, number) => {
                let side = self.side(channel);
                !side.stands && side.number == number
            }
            Wake::Dial(channel, number) => self.side(channel).number == number,
            Wake::NoTick(ticks) => self.inbox.stands && self.ticks == ticks && self.awaits_tick,
        }
    }
}
