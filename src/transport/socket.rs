//! One WebSocket: reads bytes at the allowed rate, and writes frames as fast as the kernel takes
//! them.
//!
//! An idle socket holds no buffer. Bytes that are not read stay in the kernel, and their sender
//! waits. Frames that are queued together are written together.

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
use crate::settings::{Settings, ms};
use peerstar_core::frame::rate_limiter::RateLimiter;
use peerstar_core::frame::reader::{self, Event, Opcode, ProtocolViolation, Reader};
use peerstar_core::protocol::close::Close;
use peerstar_core::protocol::outgoing::Frame;
use peerstar_core::time::Time;

/// Bytes read at once.
const READ_BYTES: usize = 16 * 1024;
/// Bytes written at once, unless one frame is longer.
const WRITE_BYTES: usize = 32 * 1024;
/// Number of unwritten answers at which the socket stops reading.
const MAX_ANSWERS: usize = 16;
/// Number of messages in flight from the session to its page at which the socket stops reading.
const MAX_IN_FLIGHT: usize = 32;
/// Interval at which the socket looks whether the page has caught up.
const IN_FLIGHT_RETRY: Duration = Duration::from_millis(5);
/// Time after the end of the client's stream in which its last bytes are still read, at the allowed
/// rate.
const READ_AFTER_END: Duration = Duration::from_secs(1);
/// Time in which a frame must be complete, in multiples of `liveness.timeout_ms`. Until then its
/// bytes count as a sign of life.
const FRAME_TIMEOUTS: u32 = 4;
/// Longest time for the last frames, the close frame and the end of the stream.
const HANG_UP_TIMEOUT: Duration = Duration::from_secs(1);
/// Least time between the answer to the handshake and the server's close frame.
///
/// Firefox drops the `open` event and every text of a WebSocket whose close frame arrives with the
/// answer or a few milliseconds later. Of 40 connections it dropped 36 at 0 ms, 5 at 5 ms and none
/// at 20 ms.
const CLOSE_AFTER_OPEN: Duration = Duration::from_millis(100);

thread_local! {
    /// Buffer for reading and writing, shared by all sockets of the thread.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Bytes that a socket has to read.
pub enum Inflow {
    /// Nothing now. The caller looks again at that time, if not woken earlier.
    Nothing(Option<Time>),
    /// Bytes that the caller handles and gives back.
    Bytes(Vec<u8>),
    /// The stream has ended or failed.
    End,
}

/// One thing to be written.
enum Outgoing {
    /// The answer to the handshake.
    Handshake(Bytes),
    /// A frame that counts in [`SessionCounters`] until it is written.
    Queued(Frame),
    /// The body of a long frame whose header is written.
    Body(Bytes),
    /// An answer to the client.
    Answer(Opcode, Bytes),
}

/// Whether a session can take more frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadState {
    /// The session can take more.
    Ready,
    /// The session keeps as many messages as it may until its page answers.
    Full,
}

/// The side that sent the first close frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosedBy {
    /// The client sent the first close frame. No more data follows from the client.
    Client,
    /// The server sent the first close frame.
    Server,
}

/// A WebSocket and its queues.
pub struct Socket {
    stream: Stream,
    reader: Reader,
    counters: Arc<SessionCounters>,
    messages: RateLimiter,
    bytes: RateLimiter,
    /// Bytes that were read and not handled: they have to wait, or are a part of a frame.
    rest: Vec<u8>,
    /// Whether `rest` may hold a complete frame.
    may_hold_frame: bool,
    /// Whether the bytes given to the caller are `rest`, and not the scratch buffer.
    in_place: bool,
    /// Since when an incomplete frame is being received.
    frame_began: Option<Time>,
    /// Time in which a frame must be complete.
    frame_timeout: Duration,
    /// Whether all bytes that had arrived were read.
    caught_up: bool,
    /// Earliest time at which the bytes that were read last can have arrived.
    as_of: Time,
    /// When the end of the stream was first seen while bytes still waited.
    ended_at: Option<Time>,
    outgoing: VecDeque<Outgoing>,
    /// Whether the answer to the handshake waits for the next frame, to be written with it.
    holds_handshake: bool,
    /// Number of unwritten answers.
    answers: usize,
    /// When the answer to the handshake was encoded.
    opened_at: Option<Instant>,
    /// Body of the close frame, until [`hang_up`] may send it.
    close_body: Option<Bytes>,
    /// Encoded bytes that the kernel has not taken.
    unwritten: Bytes,
    /// Wakes whoever writes the rest when there is room.
    writer: Waker,
}

impl Socket {
    /// Returns a socket with the limits of the settings.
    #[must_use]
    pub fn new(
        Upgraded { stream, ahead, answer }: Upgraded,
        counters: Arc<SessionCounters>,
        settings: &Settings,
        now: Time,
    ) -> Self {
        let Settings { limits, relay, liveness, .. } = settings;
        Self {
            stream,
            reader: Reader::new(limits.message_bytes),
            counters,
            messages: RateLimiter::new(now, limits.messages_per_s),
            bytes: RateLimiter::new(now, relay.max_bytes_per_s),
            rest: ahead.to_vec(),
            may_hold_frame: !ahead.is_empty(),
            in_place: false,
            frame_began: None,
            frame_timeout: ms(liveness.timeout_ms) * FRAME_TIMEOUTS,
            caught_up: true,
            as_of: now,
            ended_at: None,
            outgoing: VecDeque::from([Outgoing::Handshake(answer)]),
            holds_handshake: true,
            answers: 0,
            opened_at: None,
            close_body: None,
            unwritten: Bytes::new(),
            writer: Waker::noop().clone(),
        }
    }

    /// Returns the earliest time at which the bytes that were read last can have arrived: when the
    /// socket last began to read after it had read everything.
    ///
    /// That time is long ago for a client that sends more than it may, because its bytes wait in
    /// the kernel. Such a client may be gone: the end of its stream waits behind these bytes.
    pub const fn as_of(&self) -> Time {
        self.as_of
    }

    /// Queues a frame that is already counted. Returns whether the caller has to flush: nothing
    /// else was queued, so nobody else is about to.
    pub fn queue(&mut self, frame: Frame) -> bool {
        let is_idle =
            self.release_handshake() || (self.outgoing.is_empty() && self.unwritten.is_empty());
        self.outgoing.push_back(Outgoing::Queued(frame));
        is_idle
    }

    /// Queues an answer to what the client sent.
    pub fn answer(&mut self, opcode: Opcode, body: impl Into<Bytes>) {
        self.answers += 1;
        self.release_handshake();
        self.outgoing.push_back(Outgoing::Answer(opcode, body.into()));
    }

    /// Sets the close frame that [`hang_up`] sends after everything queued so far.
    pub fn close(&mut self, close: Close) {
        self.release_handshake();
        self.close_body = Some(reader::close_body(close.code(), close.name()).into());
    }

    /// Returns whether the answer to the handshake still waits for the next frame.
    pub const fn holds_handshake(&self) -> bool {
        self.holds_handshake
    }

    /// Lets the answer to the handshake be written, even without a frame. Returns whether it was
    /// held back.
    pub const fn release_handshake(&mut self) -> bool {
        std::mem::replace(&mut self.holds_handshake, false)
    }

    /// Writes as much as the kernel takes, and wakes the caller when it takes more. Errors show
    /// when the socket is read.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.clone_from(cx.waker());
        if self.holds_handshake { Poll::Pending } else { self.write(cx) }
    }

    /// Writes as much as the kernel takes. The last caller of [`Socket::poll_flush`] is woken for
    /// the rest.
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
                self.encode_into(&mut scratch);
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

    /// Encodes queued frames until the buffer holds [`WRITE_BYTES`].
    fn encode_into(&mut self, scratch: &mut Vec<u8>) {
        scratch.clear();
        while let Some(outgoing) = self.outgoing.pop_front() {
            match outgoing {
                Outgoing::Handshake(answer) => {
                    self.opened_at = Some(Instant::now());
                    scratch.extend_from_slice(&answer);
                }
                Outgoing::Body(body) => scratch.extend_from_slice(&body),
                Outgoing::Queued(frame) if frame.len() >= WRITE_BYTES => {
                    // a roster of 10,000 members is not copied, but written from where it is
                    self.counters.remove_queued(frame.len());
                    reader::write_header(Opcode::Text, frame.len(), scratch);
                    self.outgoing.push_front(Outgoing::Body(frame.into_bytes()));
                    break;
                }
                Outgoing::Queued(frame) => {
                    self.counters.remove_queued(frame.len());
                    reader::write(Opcode::Text, frame.as_bytes(), scratch);
                }
                Outgoing::Answer(opcode, body) => {
                    self.answers -= 1;
                    reader::write(opcode, &body, scratch);
                }
            }
            if scratch.len() >= WRITE_BYTES {
                break;
            }
        }
        if self.outgoing.is_empty() {
            self.outgoing.shrink_to(4);
        }
    }

    /// Returns `None` if a frame may be handled now, `Some(Some(time))` to look again at that time,
    /// and `Some(None)` to look again when answers are written.
    fn must_wait(&mut self, now: Time) -> Option<Option<Time>> {
        if self.answers >= MAX_ANSWERS {
            Some(None)
        } else if self.counters.in_flight() >= MAX_IN_FLIGHT {
            Some(Some(now.plus(IN_FLIGHT_RETRY)))
        } else {
            (self.messages.available(now) == 0).then(|| Some(self.messages.next()))
        }
    }

    /// Returns bytes that have arrived, if they may be read now. The caller gives them back to
    /// [`Socket::keep`].
    pub fn poll_read(&mut self, cx: &mut Context<'_>, now: Time) -> Inflow {
        let allowed = self.bytes.available(now);
        let wait = self.must_wait(now).or_else(|| (allowed == 0).then(|| Some(self.bytes.next())));
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
        // a long frame is received in place
        self.in_place = !self.rest.is_empty();
        let mut bytes = if self.in_place { std::mem::take(&mut self.rest) } else { SCRATCH.take() };
        if !std::mem::take(&mut self.may_hold_frame) {
            let limit = READ_BYTES.min(allowed);
            bytes.reserve(limit);
            let read =
                poll_read_buf(Pin::new(&mut self.stream), cx, &mut (&mut bytes).limit(limit));
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

    /// Returns the next frame of the bytes from [`Socket::poll_read`], and its length. Returns
    /// nothing when no frame is complete, or none may be handled yet.
    ///
    /// # Errors
    /// Returns the rule that the client breaks.
    pub fn next<'a>(
        &mut self,
        bytes: &'a mut [u8],
        now: Time,
    ) -> Result<Option<(Event<'a>, usize)>, ProtocolViolation> {
        if bytes.is_empty() {
            return Ok(None);
        }
        if self.must_wait(now).is_some() {
            self.may_hold_frame = true;
            return Ok(None);
        }
        let next = self.reader.read(bytes)?;
        self.messages.spend(usize::from(next.is_some()));
        Ok(next)
    }

    /// Keeps the bytes from [`Socket::poll_read`] that were not handled: all after the first
    /// `handled`, which held `frames` frames. `session` says whether the session can take more.
    pub fn keep(
        &mut self,
        mut bytes: Vec<u8>,
        handled: usize,
        frames: usize,
        session: ReadState,
        now: Time,
    ) {
        if self.in_place {
            bytes.drain(..handled);
            self.rest = bytes;
        } else {
            self.rest = bytes[handled..].to_vec();
            give_back(bytes);
        }
        self.may_hold_frame |= session == ReadState::Full;
        // The bytes of a long frame on a slow connection are a sign of life. There is a limit, or a
        // client that sends one byte now and then would never be found silent.
        let partial = !self.rest.is_empty() && !self.may_hold_frame;
        self.frame_began =
            self.frame_began.filter(|_| frames == 0).or(Some(now)).filter(|_| partial);
        if self.frame_began.is_some_and(|began| now < began.plus(self.frame_timeout)) {
            self.counters.set_heard(now);
        }
    }
}

/// Writes what is queued and closes the stream. The permit is returned after that.
pub fn hang_up(socket: Rc<RefCell<Socket>>, permit: Option<ConnectionPermit>, by: ClosedBy) {
    actix_web::rt::spawn(async move {
        let hanging_up = async {
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
            if by == ClosedBy::Client && matches!(socket.borrow().stream, Stream::Plain(_)) {
                return Ok(());
            }
            poll_fn(|cx| Pin::new(&mut socket.borrow_mut().stream).poll_shutdown(cx)).await?;
            // Unread bytes of the client would make the kernel reset the connection and discard our
            // last frames.
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
        let _ = timeout(HANG_UP_TIMEOUT, hanging_up).await;
        drop(permit);
    });
}

/// Keeps a buffer for the next socket, unless it has become large.
fn give_back(mut scratch: Vec<u8>) {
    scratch.clear();
    scratch.shrink_to(2 * WRITE_BYTES);
    SCRATCH.set(scratch);
}
