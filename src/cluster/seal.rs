//! The seal on what nodes say to each other over Redis: nobody without the cluster's secret can
//! read it or make it.
//!
//! A sealed message is a version byte, the sender's number (8 bytes), a nonce (12), the encrypted
//! text, and a tag (16): AES-256-GCM. The key is derived from the secret for one purpose and one
//! sender (HKDF-SHA256). Version, purpose, sender and receiver are authenticated, so a message is
//! refused in another inbox.
//!
//! The nonce is a random number of 32 bits for each life of a node, and a counter. A random nonce
//! of 96 bits would have to be changed for another key after 2^32 messages, which a large cluster
//! sends in an hour. A counter never repeats within a node's life. Two lives never share a key,
//! unless their random numbers of 64 bits are the same; then the nonces still differ.
//!
//! A repeated message passes the seal: links number what they say.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::{hkdf, hmac, rand};
use peerstar_core::cluster::NodeId;

/// The version of sealed messages, their first byte. Below 64, so that no word that Redis publishes
/// in an inbox begins like a sealed message.
const VERSION: u8 = 1;
/// Length of what stands before the encrypted text: version, sender, nonce.
const HEADER: usize = 1 + 8 + NONCE_LEN;
/// Number of bytes by which a sealed message is longer than its text.
pub const OVERHEAD: usize = HEADER + 16;
/// Most senders whose keys are kept.
const MOST_KEYS: usize = 512;

/// The purpose of a key. No two purposes share a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The bags of links.
    Link,
    /// Hashes of tokens, by which nodes compare them.
    Token,
    /// The fingerprint of settings that must agree.
    Settings,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Link => b"link",
            Self::Token => b"token",
            Self::Settings => b"settings",
        }
    }
}

/// The keys that are derived from the cluster's secret.
pub struct Keys {
    root: hkdf::Prk,
}

impl Keys {
    /// Takes the secret of the cluster. Settings refuse one that is too short.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"peerstar cluster");
        Self { root: salt.extract(secret.as_bytes()) }
    }

    /// Returns the key of hashes for a purpose.
    ///
    /// # Errors
    /// Never with the lengths that are used here.
    pub fn hash_key(&self, purpose: Purpose) -> Result<hmac::Key, Unspecified> {
        let info = [b"hash ", purpose.label()];
        Ok(hmac::Key::from(self.root.expand(&info, hmac::HMAC_SHA256)?))
    }

    /// Returns the seal of one life of a node.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn seal(&self, purpose: Purpose, own: NodeId) -> Result<Seal, Unspecified> {
        let mut life = [0; 4];
        rand::fill(&mut life)?;
        Ok(Seal {
            root: self.root.clone(),
            purpose,
            own,
            key: sender_key(&self.root, purpose, own)?,
            life,
            sealed: AtomicU64::new(0),
            keys: Mutex::default(),
            refused: Refused::default(),
        })
    }
}

/// The label has no zero byte and the sender has a fixed length: no two inputs look the same.
fn sender_key(
    root: &hkdf::Prk,
    purpose: Purpose,
    sender: NodeId,
) -> Result<LessSafeKey, Unspecified> {
    let sender = sender.0.to_be_bytes();
    let info = [b"seal ", purpose.label(), b"\0", &sender];
    Ok(LessSafeKey::new(UnboundKey::from(root.expand(&info, &AES_256_GCM)?)))
}

/// Number of messages that were not opened.
#[derive(Debug, Default)]
pub struct Refused {
    /// Messages of another version.
    pub version: AtomicU64,
    /// Messages that were cut, changed, for another node, or sealed with another secret.
    pub seal: AtomicU64,
}

/// Why a message was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unopened {
    /// The message is of another version, or is none.
    #[error("a message between nodes has the unknown version {0}")]
    Version(u8),
    /// The message was cut, changed, sent to another node, or sealed with another secret.
    #[error("a message between nodes has a wrong seal: do all nodes have the same cluster.secret?")]
    Seal,
}

/// Seals what one life of a node sends, and opens what it gets.
pub struct Seal {
    root: hkdf::Prk,
    purpose: Purpose,
    own: NodeId,
    key: LessSafeKey,
    /// The part of the nonce that is the node's.
    life: [u8; 4],
    /// Number of messages sealed so far: the rest of the nonce.
    sealed: AtomicU64,
    /// Keys of senders that were heard.
    keys: Mutex<HashMap<NodeId, LessSafeKey>>,
    /// How many messages were refused, for the metrics.
    pub refused: Refused,
}

impl Seal {
    /// Returns a message to a node with `text` in it.
    ///
    /// # Errors
    /// When `text` is longer than AES-GCM allows (64 GB).
    pub fn seal(&self, to: NodeId, text: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let mut nonce = [0; NONCE_LEN];
        nonce[..4].copy_from_slice(&self.life);
        nonce[4..].copy_from_slice(&self.sealed.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        let mut message = Vec::with_capacity(text.len() + OVERHEAD);
        message.push(VERSION);
        message.extend_from_slice(&self.own.0.to_be_bytes());
        message.extend_from_slice(&nonce);
        message.extend_from_slice(text);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let aad = Aad::from(self.context(self.own, to));
        let tag = self.key.seal_in_place_separate_tag(nonce, aad, &mut message[HEADER..])?;
        message.extend_from_slice(tag.as_ref());
        Ok(message)
    }

    /// Opens a message from this node's inbox. Returns the sender and the text, and counts a
    /// message that is refused.
    ///
    /// # Errors
    /// When the message is of another version, or its seal is wrong.
    pub fn open<'m>(&self, message: &'m mut [u8]) -> Result<(NodeId, &'m [u8]), Unopened> {
        let version = message.first().copied().unwrap_or_default();
        if version != VERSION {
            self.refused.version.fetch_add(1, Ordering::Relaxed);
            return Err(Unopened::Version(version));
        }
        self.open_known(message).ok_or_else(|| {
            self.refused.seal.fetch_add(1, Ordering::Relaxed);
            Unopened::Seal
        })
    }

    fn open_known<'m>(&self, message: &'m mut [u8]) -> Option<(NodeId, &'m [u8])> {
        let (header, sealed) = message.split_at_mut_checked(HEADER)?;
        let sender = NodeId(u64::from_be_bytes(header.get(1..9)?.try_into().ok()?));
        let nonce = Nonce::try_assume_unique_for_key(header.get(9..)?).ok()?;
        let aad = Aad::from(self.context(sender, self.own));
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = keys.get(&sender) {
            return Some((sender, key.open_in_place(nonce, aad, sealed).ok()?));
        }
        let key = sender_key(&self.root, self.purpose, sender).ok()?;
        let text = key.open_in_place(nonce, aad, sealed).ok()?;
        // only keys of senders who have the secret are kept, and those not without bound
        if keys.len() >= MOST_KEYS {
            keys.clear();
        }
        keys.insert(sender, key);
        Some((sender, text))
    }

    /// Returns what is authenticated beside the text. Purpose and sender are in the key as well.
    fn context(&self, sender: NodeId, receiver: NodeId) -> Vec<u8> {
        let (sender, receiver) = (sender.0.to_be_bytes(), receiver.0.to_be_bytes());
        [&[VERSION], &sender[..], &receiver, self.purpose.label()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "a secret of this cluster, 32 bytes";
    const ANN: NodeId = NodeId(1);
    const BOB: NodeId = NodeId(u64::MAX);

    fn seal(secret: &str, purpose: Purpose, own: NodeId) -> Seal {
        Keys::new(secret).seal(purpose, own).unwrap()
    }

    fn counts(seal: &Seal) -> (u64, u64) {
        let Refused { version, seal } = &seal.refused;
        (version.load(Ordering::Relaxed), seal.load(Ordering::Relaxed))
    }

    #[test]
    fn what_is_sealed_is_opened_by_its_receiver() {
        let (ann, bob) = (seal(SECRET, Purpose::Link, ANN), seal(SECRET, Purpose::Link, BOB));
        for text in [&b""[..], b"hello", &[0; 100_000]] {
            let mut message = ann.seal(BOB, text).unwrap();
            assert_eq!(message.len(), text.len() + OVERHEAD);
            assert!(text.is_empty() || !message.windows(text.len()).any(|part| part == text));
            assert_eq!(bob.open(&mut message).unwrap(), (ANN, text));
        }
        assert_eq!(counts(&bob), (0, 0));
    }

    #[test]
    fn one_changed_bit_anywhere_is_refused() {
        let (ann, bob) = (seal(SECRET, Purpose::Link, ANN), seal(SECRET, Purpose::Link, BOB));
        let message = ann.seal(BOB, b"hello").unwrap();
        for bit in 0..message.len() * 8 {
            let mut changed = message.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(bob.open(&mut changed).is_err(), "bit {bit}");
        }
        for length in 0..message.len() {
            assert!(bob.open(&mut message[..length].to_vec()).is_err(), "cut to {length}");
        }
        let longer = [&message[..], &[0]].concat();
        assert_eq!(bob.open(&mut longer.clone()), Err(Unopened::Seal));
        let (bits, cuts) = (message.len() as u64 * 8, message.len() as u64);
        // 8 bits are the version's, and one cut leaves no version
        assert_eq!(counts(&bob), (8 + 1, bits - 8 + cuts - 1 + 1));
        assert!(bob.open(&mut message.clone()).is_ok(), "the message itself is good");
    }

    #[test]
    fn only_the_secret_the_purpose_and_the_receiver_open() {
        let ann = seal(SECRET, Purpose::Link, ANN);
        let message = ann.seal(BOB, b"hello").unwrap();
        for (other, why) in [
            (seal("another secret", Purpose::Link, BOB), "another secret"),
            (seal(SECRET, Purpose::Token, BOB), "another purpose"),
            (seal(SECRET, Purpose::Link, ANN), "another receiver"),
        ] {
            assert_eq!(other.open(&mut message.clone()), Err(Unopened::Seal), "{why}");
        }
        let mut newer = message.clone();
        newer[0] = 2;
        let bob = seal(SECRET, Purpose::Link, BOB);
        assert_eq!(bob.open(&mut newer), Err(Unopened::Version(2)));
        assert_eq!(bob.open(&mut b"tick 7".to_vec()), Err(Unopened::Version(b't')));
        assert_eq!(counts(&bob), (2, 0));
    }

    #[test]
    fn no_nonce_is_used_twice() {
        let lives = [seal(SECRET, Purpose::Link, ANN), seal(SECRET, Purpose::Link, ANN)];
        let mut nonces = std::collections::HashSet::new();
        for ann in &lives {
            for _ in 0..1000 {
                let message = ann.seal(BOB, b"hello").unwrap();
                assert!(nonces.insert(message[9..HEADER].to_vec()));
            }
        }
    }

    #[test]
    fn keys_of_senders_are_bounded() {
        let bob = seal(SECRET, Purpose::Link, BOB);
        for sender in 1..=2 * MOST_KEYS as u64 {
            let ann = seal(SECRET, Purpose::Link, NodeId(sender));
            let mut message = ann.seal(BOB, b"hello").unwrap();
            assert!(bob.open(&mut message).is_ok());
        }
        assert!(bob.keys.lock().unwrap().len() <= MOST_KEYS);
    }

    #[test]
    fn hashes_of_two_purposes_differ() {
        let sign = |secret, purpose| {
            let key = Keys::new(secret).hash_key(purpose).unwrap();
            hmac::sign(&key, b"token").as_ref().to_vec()
        };
        assert_eq!(sign(SECRET, Purpose::Token), sign(SECRET, Purpose::Token));
        assert_ne!(sign(SECRET, Purpose::Token), sign(SECRET, Purpose::Settings));
        assert_ne!(sign(SECRET, Purpose::Token), sign("another", Purpose::Token));
    }
}
