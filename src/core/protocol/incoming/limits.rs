//! Limits on what a client may report in `STATUS`.

/// The longest `profile` in a `STATUS`, in bytes of JSON.
pub const MAX_PROFILE_BYTES: usize = 1024;

/// The most entries of `channels` in a `STATUS`: the host, the deputy, and their predecessors.
pub const MAX_CHANNELS: usize = 4;

/// The longest dial in `channels`, in ms.
pub const MAX_DIAL_MS: u32 = 600_000;
