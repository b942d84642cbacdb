//! One WebSocket: bytes in at the allowed pace, frames out as fast as they are taken.
//!
//! At rest it holds no buffer. What is not read stays in the kernel, and its sender waits; what is written together goes
//! out together.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use actix_web::web::{BufMut, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::io::poll_read_buf;

use super::connection::Stream;
use super::counters::SessionCounters;
use super::upgrade::Upgraded;
use crate::admission::ConnectionPermit;
use crate::settings::ms;
use crate::shared::Shared;
use peerstar_core::frame::rate_limiter::RateLimiter;
use peerstar_core::frame::reader::{self, Event, Opcode, ProtocolViolation, Reader};
use peerstar_core::protocol::close::Close;
use peerstar_core::protocol::outgoing::Frame;
use peerstar_core::time::Time;

/// How much is read at once.
const READ: usize = 16 * 1024;
/// How much is written at once, or one frame.
const WRITE: usize = 32 * 1024;
/// How many answers may wait to be written until no more is read.
const MOST_ANSWERS: usize = 16;
/// How many messages may be on their way from the session to its page.
const MOST_UNDER_WAY: usize = 32;
/// When to look again whether the page has caught up.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// How long what a client sent before it went is still read, at the allowed pace.
const READ_AFTER_END: Duration = Duration::from_secs(1);
/// How many times `liveness.timeout_ms` a frame may take to be whole; so long its bytes count as life.
const TIMEOUTS_A_FRAME: u32 = 4;
/// How long the last words may take to be read.
const FAREWELL: Duration = Duration::from_secs(1);
/// Least time between the answer to the handshake and our close frame.
///
/// Firefox drops the `open` event and every text of a WebSocket whose close frame arrives with the
/// answer or a few milliseconds later. Of 40 connections it dropped 36 at 0 ms, 5 at 5 ms and none
/// at 20 ms.
const CLOSE_AFTER_OPEN: Duration = Duration::from_millis(100);

thread_local! {
    /// Where bytes are on their way in or out, of one socket after the other.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What there is to be read now.
pub enum Inflow {
    /// Nothing, for now. Look again at that time, if not earlier.
    Nothing(Option<Time>),
    /// These bytes.
    Bytes(Vec<u8>),
    /// Nothing any more.
    End,
}

enum Outgoing {
    /// To the handshake.
    Welcome(Bytes),
    /// Counted in [`SessionCounters`] until it is on its way.
    Told(Frame),
    /// The body of a long frame whose header is on its way.
    Body(Bytes),
    /// What the client itself has caused.
    Answer(Opcode, Bytes),
}

/// One WebSocket.
pub struct Socket {
    stream: Stream,
    reader: Reader,
    pulse: Arc<SessionCounters>,
    messages: RateLimiter,
    bytes: RateLimiter,
    /// Read, and not handled: it has to wait, or is a part of a frame.
    rest: Vec<u8>,
    /// There may be a frame in what is not handled.
    waits: bool,
    in_place: bool,
    /// Since when a frame is under way that is not whole yet, and how long that may take.
    begun: Option<Time>,
    whole_within: Duration,
    /// All that had come was read.
    caught_up: bool,
    as_of: Time,
    ended_at: Option<Time>,
    outgoing: VecDeque<Outgoing>,
    /// The answer to the handshake waits for what comes next, to go out with it.
    waits_for_more: bool,
    answers: usize,
    /// When the answer to the handshake was framed.
    opened_at: Option<Instant>,
    /// Body of our close frame, until [`hang_up`] may send it.
    close_body: Option<Bytes>,
    /// Framed, and not taken by the kernel yet.
    unwritten: Bytes,
    /// Whoever writes the rest when there is room.
    writer: Waker,
}

impl Socket {
    /// With the limits of the settings.
    #[must_use]
    pub fn new(
        Upgraded { stream, ahead, answer }: Upgraded,
        pulse: Arc<SessionCounters>,
        shared: &Shared,
    ) -> Self {
        let (limits, relay, now) =
            (&shared.settings.limits, &shared.settings.relay, shared.clock.now());
        Self {
            stream,
            reader: Reader::new(limits.message_bytes),
            pulse,
            messages: RateLimiter::new(now, limits.messages_per_s),
            bytes: RateLimiter::new(now, relay.max_bytes_per_s),
            rest: ahead.to_vec(),
            waits: !ahead.is_empty(),
            in_place: false,
            begun: None,
            whole_within: ms(shared.settings.liveness.timeout_ms) * TIMEOUTS_A_FRAME,
            caught_up: true,
            as_of: now,
            ended_at: None,
            outgoing: VecDeque::from([Outgoing::Welcome(answer)]),
            waits_for_more: true,
            answers: 0,
            opened_at: None,
            close_body: None,
            unwritten: Bytes::new(),
            writer: Waker::noop().clone(),
        }
    }

    /// What has been read was sent since then, or little before. Long ago for one whose bytes wait in the kernel because they
    /// are too many: it may be gone all the same, and its end waits behind them.
    pub const fn as_of(&self) -> Time {
        self.as_of
    }

    /// Queues a frame that was counted when it was sent. Whether nothing else waits, so that nobody is about to write.
    pub fn tell(&mut self, frame: Frame) -> bool {
        let is_idle = self.welcome() || (self.outgoing.is_empty() && self.unwritten.is_empty());
        self.outgoing.push_back(Outgoing::Told(frame));
        is_idle
    }

    /// Queues an answer to what the client said.
    pub fn answer(&mut self, opcode: Opcode, body: impl Into<Bytes>) {
        self.answers += 1;
        self.welcome();
        self.outgoing.push_back(Outgoing::Answer(opcode, body.into()));
    }

    /// Sets the close frame that [`hang_up`] sends after everything queued so far.
    pub fn close(&mut self, close: Close) {
        self.welcome();
        self.close_body = Some(reader::close_body(close.code(), close.name()).into());
    }

    /// Lets the answer to the handshake go, though nothing goes with it. Whether it was waiting.
    pub const fn welcome(&mut self) -> bool {
        std::mem::replace(&mut self.waits_for_more, false)
    }

    /// Writes what can be written; when there is more, the caller is woken. A socket that fails says so when it is read.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.clone_from(cx.waker());
        if self.waits_for_more { Poll::Pending } else { self.write(cx) }
    }

    /// The same for another: who last wrote goes on with what cannot be written now.
    pub fn flush(&mut self) {
        let writer = std::mem::replace(&mut self.writer, Waker::noop().clone());
        let _ = self.write(&mut Context::from_waker(&writer));
        self.writer = writer;
    }

    fn write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.unwritten.is_empty()
                && let Some(Outgoing::Body(body)) = self.outgoing.front_mut()
            {
                self.unwritten = std::mem::take(body);
                self.outgoing.pop_front();
            } else if self.unwritten.is_empty() && !self.outgoing.is_empty() {
                let mut scratch = SCRATCH.take();
                self.frame_into(&mut scratch);
                let written = Pin::new(&mut self.stream).poll_write(cx, &scratch);
                let taken = if let Poll::Ready(Ok(taken)) = written { taken } else { 0 };
                self.unwritten = Bytes::copy_from_slice(&scratch[taken..]);
                give_back(scratch);
                ready!(written)?;
            } else if self.unwritten.is_empty() {
                return Pin::new(&mut self.stream).poll_flush(cx);
            } else {
                let taken = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.unwritten))?;
                if taken == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                let _ = self.unwritten.split_to(taken);
            }
        }
    }

    fn frame_into(&mut self, scratch: &mut Vec<u8>) {
        scratch.clear();
        while let Some(outgoing) = self.outgoing.pop_front() {
            match outgoing {
                Outgoing::Welcome(answer) => {
                    self.opened_at = Some(Instant::now());
                    scratch.extend_from_slice(&answer);
                }
                Outgoing::Body(body) => scratch.extend_from_slice(&body),
                Outgoing::Told(frame) if frame.len() >= WRITE => {
                    // a roster of 10,000 is not copied, but written from where it is
                    self.pulse.wrote(frame.len());
                    reader::write_header(Opcode::Text, frame.len(), scratch);
                    self.outgoing.push_front(Outgoing::Body(frame.into_bytes()));
                    break;
                }
                Outgoing::Told(frame) => {
                    self.pulse.wrote(frame.len());
                    reader::write(Opcode::Text, frame.as_bytes(), scratch);
                }
                Outgoing::Answer(opcode, body) => {
                    self.answers -= 1;
                    reader::write(opcode, &body, scratch);
                }
            }
            if scratch.len() >= WRITE {
                break;
            }
        }
        if self.outgoing.is_empty() {
            self.outgoing.shrink_to(4);
        }
    }

    /// Whether no frame may be handled now, and when to look again: never by itself while answers are not written.
    fn held(&mut self, now: Time) -> Option<Option<Time>> {
        if self.answers >= MOST_ANSWERS {
            Some(None)
        } else if self.pulse.under_way() >= MOST_UNDER_WAY {
            Some(Some(now.plus(LOOK_AGAIN)))
        } else {
            (self.messages.available(now) == 0).then(|| Some(self.messages.next()))
        }
    }

    /// What has come, if it may be read now. What is not handled of it goes back by [`Socket::keep`].
    pub fn poll_read(&mut self, cx: &mut Context<'_>, now: Time) -> Inflow {
        let allowed = self.bytes.available(now);
        let wait = self.held(now).or_else(|| (allowed == 0).then(|| Some(self.bytes.next())));
        if let Some(until) = wait {
            if self.ended_at.is_none() && self.stream.is_ended() {
                self.ended_at = Some(now);
            }
            let last = self.ended_at.map(|ended| ended.plus(READ_AFTER_END));
            if last.is_some_and(|last| now >= last) {
                return Inflow::End;
            }
            return Inflow::Nothing(until.into_iter().chain(last).min());
        }
        // a long frame grows where it is
        self.in_place = !self.rest.is_empty();
        let mut bytes = if self.in_place { std::mem::take(&mut self.rest) } else { SCRATCH.take() };
        if !std::mem::take(&mut self.waits) {
            let most = READ.min(allowed);
            bytes.reserve(most);
            let read = poll_read_buf(Pin::new(&mut self.stream), cx, &mut (&mut bytes).limit(most));
            if let Poll::Ready(Ok(fresh @ 1..)) = read {
                self.bytes.spend(fresh);
                if std::mem::take(&mut self.caught_up) {
                    self.as_of = now;
                }
            } else {
                self.caught_up = true;
                if self.in_place {
                    self.rest = bytes;
                } else {
                    give_back(bytes);
                }
                return if read.is_pending() { Inflow::Nothing(None) } else { Inflow::End };
            }
        }
        Inflow::Bytes(bytes)
    }

    /// The next frame of what [`Socket::poll_read`] gave, and its length; none when there is no whole one, or it is not its
    /// time yet.
    ///
    /// # Errors
    /// When the client breaks a rule.
    pub fn next<'a>(
        &mut self,
        bytes: &'a mut [u8],
        now: Time,
    ) -> Result<Option<(Event<'a>, usize)>, ProtocolViolation> {
        if bytes.is_empty() {
            return Ok(None);
        }
        if self.held(now).is_some() {
            self.waits = true;
            return Ok(None);
        }
        let next = self.reader.read(bytes)?;
        self.messages.spend(usize::from(next.is_some()));
        Ok(next)
    }

    /// Keeps what was not handled of what [`Socket::poll_read`] gave. `frames` says how many were, `held` that the session has
    /// no use for more.
    pub fn keep(
        &mut self,
        mut bytes: Vec<u8>,
        handled: usize,
        frames: usize,
        held: bool,
        now: Time,
    ) {
        if self.in_place {
            bytes.drain(..handled);
            self.rest = bytes;
        } else {
            self.rest = bytes[handled..].to_vec();
            give_back(bytes);
        }
        self.waits |= held;
        // the bytes of a long frame on a slow line are life; but not for ever, or one that trickles them could stay unseen
        let partial = !self.rest.is_empty() && !self.waits;
        self.begun = self.begun.filter(|_| frames == 0).or(Some(now)).filter(|_| partial);
        if self.begun.is_some_and(|begun| now < begun.plus(self.whole_within)) {
            self.pulse.beat(now);
        }
    }
}

/// Says what is left to be said, and closes: at once, where the client has said that it sends nothing more.
pub fn hang_up(socket: Rc<RefCell<Socket>>, place: Option<ConnectionPermit>, is_last: bool) {
    actix_web::rt::spawn(async move {
        let farewell = async {
            poll_fn(|cx| socket.borrow_mut().poll_flush(cx)).await?;
            let (close_body, opened_at) = {
                let mut socket = socket.borrow_mut();
                (socket.close_body.take(), socket.opened_at)
            };
            if let Some(body) = close_body {
                if let Some(opened_at) = opened_at {
                    sleep_until(opened_at + CLOSE_AFTER_OPEN).await;
                }
                socket.borrow_mut().answer(Opcode::Close, body);
                poll_fn(|cx| socket.borrow_mut().poll_flush(cx)).await?;
            }
            if is_last && matches!(socket.borrow().stream, Stream::Plain(_)) {
                return Ok(());
            }
            poll_fn(|cx| Pin::new(&mut socket.borrow_mut().stream).poll_shutdown(cx)).await?;
            // what it has sent, and nobody reads, would make the kernel take back what we said last
            let mut unread = [0; 1024];
            while poll_fn(|cx| {
                let mut unread = ReadBuf::new(&mut unread);
                let read =
                    ready!(Pin::new(&mut socket.borrow_mut().stream).poll_read(cx, &mut unread));
                Poll::Ready(read.map(|()| !unread.filled().is_empty()))
            })
            .await?
            {}
            io::Result::Ok(())
        };
        let _ = timeout(FAREWELL, farewell).await;
        drop(place);
    });
}

/// For the next socket, unless it has become large.
fn give_back(mut scratch: Vec<u8>) {
    scratch.clear();
    scratch.shrink_to(2 * WRITE);
    SCRATCH.set(scratch);
}
