//! Lives of a page, from bytes.

use arbitrary::{Result, Unstructured};
use peerstar_core::page::member::{Departure, Rights};

use super::life::{Channels, Pick, Transition, live};

/// Most transitions of one life. A longer life costs much, and shows little more.
const LONGEST: usize = 200;

/// The page does what the model says.
pub(crate) fn check(input: &[u8]) {
    let mut input = Unstructured::new(input);
    let (Ok(named), Ok(random)) = (input.ratio(9, 10), input.arbitrary()) else { return };
    let mut life = Vec::new();
    while !input.is_empty() && life.len() < LONGEST {
        let Ok(transition) = transition(&mut input) else { break };
        life.push(transition);
    }
    live(named, random, &life);
}

fn transition(input: &mut Unstructured<'_>) -> Result<Transition> {
    fn id(input: &mut Unstructured<'_>) -> Result<u8> {
        input.int_in_range(0..=15)
    }
    fn who(input: &mut Unstructured<'_>) -> Result<Pick> {
        input.arbitrary::<u8>().map(|pick| Pick(pick.into()))
    }
    Ok(match input.int_in_range(0..=22)? {
        0..=2 => {
            let (id, token, flags) =
                (id(input)?, input.int_in_range(0..=2)?, input.arbitrary::<u8>()?);
            // most members may host, and most may relay
            let rights = Rights { host: flags & 0x0c != 0, relay: flags & 0x70 != 0 };
            // most members are on the node of the page
            let node = input.int_in_range(0..=5)?;
            let node = if node > 2 { 0 } else { node };
            Transition::Join { id, token, group: flags & 3 == 0, rights, node }
        }
        3 => {
            let how = [
                Departure::Goodbye,
                Departure::GoingAway,
                Departure::Disconnected,
                Departure::Lost,
                Departure::Expelled,
            ];
            Transition::Depart { who: who(input)?, how: *input.choose(&how)? }
        }
        4 | 5 => {
            let kind = *input.choose(&["OFFER", "ANSWER", "CANDIDATE", "LEAVE"])?;
            Transition::Say { who: who(input)?, kind, dst: id(input)? }
        }
        6 => {
            let (who, flags) = (who(input)?, input.arbitrary::<u8>()?);
            let profile = (flags & 8 != 0).then_some(flags >> 6);
            let (eligible, visible, relay, p2p) =
                (flags & 1 != 0, flags & 2 != 0, flags & 4 != 0, flags & 0x30 != 0x30);
            Transition::Status { who, eligible, visible, relay, p2p, channels: None, profile }
        }
        7 => Transition::Relay {
            who: who(input)?,
            dst: if input.arbitrary()? { Some(id(input)?) } else { None },
        },
        8 => Transition::Suspect { who: who(input)?, rightly: input.ratio(9, 10)? },
        9 => Transition::Resign { who: who(input)?, to: id(input)? },
        10 => Transition::Speak { who: who(input)? },
        11 => Transition::Silence { who: who(input)? },
        12 => Transition::Answer { who: who(input)? },
        13 => Transition::Congest { who: who(input)? },
        14 => Transition::Pass {
            ms: *input.choose(&[
                0, 1, 10, 500, 1999, 2000, 2999, 3001, 5000, 6000, 10_000, 16_000, 60_000,
            ])?,
        },
        15 if input.ratio(1, 2)? => {
            Transition::TakeLeave { id: id(input)?, token: input.int_in_range(1..=2)? }
        }
        15 => Transition::Kick { id: id(input)? },
        16 => {
            let (who, flags) = (who(input)?, input.arbitrary::<u8>()?);
            let (eligible, visible, relay, p2p) = (flags & 7 != 0, flags & 8 == 0, true, true);
            let count = input.int_in_range(0..=4)?;
            let mut channels = Channels::new();
            for _ in 0..count {
                channels.insert(id(input)?, input.arbitrary()?);
            }
            Transition::Status {
                who,
                eligible,
                visible,
                relay,
                p2p,
                channels: Some(channels),
                profile: None,
            }
        }
        17 => Transition::Trust { who: who(input)?, rightly: input.ratio(9, 10)? },
        18 => Transition::WayDown { node: input.int_in_range(1..=2)? },
        19 => Transition::WayUp { node: input.int_in_range(1..=2)? },
        20 => Transition::ReportSilent { who: who(input)? },
        21 => Transition::ReportRan { who: who(input)?, ran: input.arbitrary()? },
        _ => Transition::PageDies { shuffle: input.arbitrary::<u8>()?.into() },
    })
}
