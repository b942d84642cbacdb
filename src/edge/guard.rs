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
use crate::shared::Shared;

/// How many frames may be handed over before the session has seen them.
const MOST_AHEAD: usize = 32;
/// How many messages may be on their way from the session to its page.
const MOST_UNDER_WAY: usize = 32;
/// When to look again whether the page has caught up.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// What the guard and its session tell each other.
#[derive(Debug, Default)]
pub struct Inflow {
    ahead: Cell<usize>,
    breach: Cell<Option<Breach>>,
}

impl Inflow {
    /// The session is done with so many frames.
    pub fn seen(&self, frames: usize) {
        self.ahead.set(self.ahead.get().saturating_sub(frames));
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
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Some(Ok(bytes))) => this.rest = bytes,
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
