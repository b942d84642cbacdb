//! What is decided, and nothing else: no actix, tokio, clock, randomness or I/O.
//!
//! Time, random numbers and facts about sockets come in as arguments, effects go out as values.
//! `tests/core/purity.rs` keeps it so.
//!
//! In reading order: what things are called ([`id`], [`time`]) or not shown ([`secret`]), what is said ([`wire`], [`inbound`],
//! [`close`], [`ice`]), who hosts ([`election`]), the page ([`page`] over [`member`], [`held`], [`waiting`],
//! [`contacts`], [`due`]), which pages there are ([`directory`]), and the bytes before they are messages
//! ([`websocket`], [`reassembly`], [`pace`], [`turns`]).

pub mod id;
pub mod secret;
pub mod time;

pub mod close;
pub mod ice;
pub mod inbound;
pub mod wire;

pub mod claim;
pub mod contacts;
pub mod due;
pub mod election;
pub mod held;
pub mod member;
pub mod page;
pub mod roster;
pub mod waiting;

pub mod directory;

pub mod pace;
pub mod reassembly;
pub mod turns;
pub mod websocket;
