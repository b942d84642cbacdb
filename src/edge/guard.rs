//! Stands between the socket and the WebSocket codec, which has no limits of its own (ACTIX: it buffers whatever comes).
//!
//! Lengths are checked before bytes are buffered, frames pass at the allowed pace, and never more of them than the
//! session has use for; what is not read stays in the socket, and its sender waits.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::error::PayloadError;
use actix_web::web::{Bytes, Payload};
use futures_util::Stream;
use tokio::time::{Sleep, sleep};

use crate::clock::Clock;
use crate::core::frame_guard::{Breach, FrameGuard};
use crate::core::pace::Pace;

/// How many frames may be handed over before the session has seen them.
const MOST_AHEAD: usize = 32;

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
    clock: Clock,
    frames: FrameGuard,
    pace: Pace,
    /// Read from the socket, not handed over yet.
    rest: Bytes,
    pause: Option<Pin<Box<Sleep>>>,
    ended: bool,
}

impl InboundGuard {
    /// Lets messages of up to `message_bytes` through, `messages_per_s` of them a second (0: any number).
    #[must_use]
    pub fn new(payload: Payload, inflow: Rc<Inflow>, clock: Clock, message_bytes: usize, messages_per_s: u64) -> Self {
        let pace = Pace::new(clock.now(), messages_per_s);
        let frames = FrameGuard::new(message_bytes);
        Self { payload, inflow, clock, frames, pace, rest: Bytes::new(), pause: None, ended: false }
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
            let ahead = this.inflow.ahead.get();
            if ahead >= MOST_AHEAD {
                // the session polls us again when it has handled one
                return Poll::Pending;
            }
            if this.rest.is_empty() {
                match Pin::new(&mut this.payload).poll_next(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Some(Ok(bytes))) => this.rest = bytes,
                    Poll::Ready(None | Some(Err(_))) => this.ended = true,
                }
                continue;
            }
            let now = this.clock.now();
            let allowed = this.pace.available(now).min(MOST_AHEAD - ahead);
            if allowed == 0 {
                let delay = this.pace.next().since(now);
                let pause = this.pause.get_or_insert_with(|| Box::pin(sleep(delay)));
                if pause.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                this.pause = None;
                continue;
            }
            match this.frames.inspect(&this.rest, allowed) {
                Ok(cleared) => {
                    this.pace.spend(cleared.frames);
                    this.inflow.ahead.set(ahead + cleared.frames);
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
