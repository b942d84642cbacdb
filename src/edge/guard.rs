//! Stands between the socket and the WebSocket codec, which has no limits of its own: it buffers whatever comes.
//!
//! Lengths are checked before bytes are buffered, frames pass at the allowed pace, and never more of them than the
//! session has use for; what is not read stays in the socket, and its sender waits.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::error::PayloadError;
use actix_web::web::{Bytes, Payload};
use futures_util::Stream;
use tokio::time::{Sleep, sleep};

use crate::actor::message::Pulse;
use crate::clock::Clock;
use crate::core::frame_guard::{Breach, FrameGuard};
use crate::core::pace::Pace;
use crate::core::time::Time;
use crate::settings::ms;
use crate::shared::Shared;

/// How many frames may be handed over before the session has seen them.
const MOST_AHEAD: usize = 32;
/// How many messages may be on their way from the session to its page.
const MOST_UNDER_WAY: usize = 32;
/// When to look again whether the page has caught up.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// How many times `liveness.timeout_ms` a frame may take to be whole; so long its bytes count as life.
const TIMEOUTS_A_FRAME: u32 = 4;

/// What the guard and its session tell each other.
#[derive(Debug)]
pub struct Inflow {
    ahead: Cell<usize>,
    breach: Cell<Option<Breach>>,
    as_of: Cell<Time>,
}

impl Inflow {
    /// Nothing has come yet.
    #[must_use]
    pub const fn new(now: Time) -> Self {
        Self { ahead: Cell::new(0), breach: Cell::new(None), as_of: Cell::new(now) }
    }

    /// The session is done with so many frames.
    pub fn seen(&self, frames: usize) {
        self.ahead.set(self.ahead.get().saturating_sub(frames));
    }

    /// What has been read was sent since then, or little before. Long ago for one whose bytes wait in its socket because
    /// they are too many: it may be gone all the same.
    pub const fn as_of(&self) -> Time {
        self.as_of.get()
    }

    /// Why the guard ended the stream, if it was the guard.
    pub const fn breach(&self) -> Option<Breach> {
        self.breach.get()
    }
}

/// The guarded stream of bytes. It ends, rather than fails, when the socket does: what came before is still handled.
pub struct InboundGuard {
    payload: Payload,
    inflow: Rc<Inflow>,
    pulse: Arc<Pulse>,
    clock: Clock,
    frames: FrameGuard,
    messages: Pace,
    bytes: Pace,
    /// Read from the socket, not handed over yet.
    rest: Bytes,
    /// All that had come was read.
    caught_up: bool,
    /// Since when a frame is under way that is not whole yet, and how long that may take.
    begun: Option<Time>,
    whole_within: Duration,
    pause: Option<Pin<Box<Sleep>>>,
    ended: bool,
}

impl InboundGuard {
    /// With the limits of the settings.
    #[must_use]
    pub fn new(payload: Payload, inflow: Rc<Inflow>, pulse: Arc<Pulse>, shared: &Shared) -> Self {
        let (limits, relay, now) = (&shared.settings.limits, &shared.settings.relay, shared.clock.now());
        Self {
            payload,
            inflow,
            pulse,
            clock: shared.clock,
            frames: FrameGuard::new(limits.message_bytes),
            messages: Pace::new(now, limits.messages_per_s),
            bytes: Pace::new(now, relay.max_bytes_per_s),
            rest: Bytes::new(),
            caught_up: true,
            begun: None,
            whole_within: ms(shared.settings.liveness.timeout_ms) * TIMEOUTS_A_FRAME,
            pause: None,
            ended: false,
        }
    }

    /// How many frames and bytes may pass now, or how long to wait.
    fn allowance(&mut self) -> Result<(usize, usize), Duration> {
        let now = self.clock.now();
        if self.pulse.under_way() >= MOST_UNDER_WAY {
            return Err(LOOK_AGAIN);
        }
        match (self.messages.available(now), self.bytes.available(now)) {
            (0, _) => Err(self.messages.next().since(now)),
            (_, 0) => Err(self.bytes.next().since(now)),
            (frames, bytes) => Ok((frames.min(MOST_AHEAD - self.inflow.ahead.get()), bytes.min(self.rest.len()))),
        }
    }

    /// The bytes of a long frame on a slow line are life; but not for ever, or one that trickles them could stay unseen.
    fn note_progress(&mut self, frames: usize) {
        let now = self.clock.now();
        self.begun = self.begun.filter(|_| frames == 0).or(Some(now)).filter(|_| self.frames.is_within_frame());
        if self.begun.is_some_and(|begun| now < begun.plus(self.whole_within)) {
            self.pulse.beat(now);
        }
    }
}

impl Stream for InboundGuard {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if this.ended {
                return Poll::Ready(None);
            }
            if this.inflow.ahead.get() >= MOST_AHEAD {
                // the session polls us again when it has handled one
                return Poll::Pending;
            }
            if let Some(pause) = &mut this.pause {
                if pause.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                this.pause = None;
            }
            if this.rest.is_empty() {
                match Pin::new(&mut this.payload).poll_next(cx) {
                    Poll::Pending => {
                        this.caught_up = true;
                        return Poll::Pending;
                    }
                    Poll::Ready(Some(Ok(bytes))) => {
                        this.rest = bytes;
                        if std::mem::take(&mut this.caught_up) {
                            this.inflow.as_of.set(this.clock.now());
                        }
                    }
                    Poll::Ready(None | Some(Err(_))) => this.ended = true,
                }
                continue;
            }
            let (frames, bytes) = match this.allowance() {
                Ok(allowance) => allowance,
                Err(delay) => {
                    this.pause = Some(Box::pin(sleep(delay)));
                    continue;
                }
            };
            match this.frames.inspect(&this.rest[..bytes], frames) {
                Ok(cleared) => {
                    this.messages.spend(cleared.frames);
                    this.bytes.spend(cleared.bytes);
                    this.inflow.ahead.set(this.inflow.ahead.get() + cleared.frames);
                    this.note_progress(cleared.frames);
                    return Poll::Ready(Some(Ok(this.rest.split_to(cleared.bytes))));
                }
                Err(breach) => {
                    this.inflow.breach.set(Some(breach));
                    this.ended = true;
                }
            }
        }
    }
}
