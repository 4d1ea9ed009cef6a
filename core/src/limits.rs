//! Every capacity and every timeout of the protocol: value, unit, reason.

/// Bytes of one block: the leaf of a BEP 52 merkle tree.
pub const BLOCK_LEN: usize = 16 * 1024;

/// Bytes of the smallest piece (BEP 52: one block).
pub const MIN_PIECE_LEN: u32 = 16 * 1024;

/// Bytes of the largest piece. A block's proof then has 12 hashes; larger pieces make serving one block
/// cost the hashing of the whole piece.
pub const MAX_PIECE_LEN: u32 = 64 * 1024 * 1024;

/// Hashes in the longest proof of a block under its piece: log2([`MAX_PIECE_LEN`] / [`BLOCK_LEN`]).
pub const MAX_PROOF: usize = 12;

/// Hashes carried by one `Hashes` message: one block's worth of bytes.
pub const MAX_HASHES: usize = BLOCK_LEN / 32;

/// Uncle hashes that tie a run of piece hashes to the root of its file: enough for 2^48 blocks.
pub const MAX_UNCLES: usize = 48;

/// Bytes of the longest frame: a block (or [`MAX_HASHES`]), the longest proof and the head of the message.
pub const MAX_FRAME: usize = BLOCK_LEN + MAX_UNCLES * 32 + 64;

/// Bytes of the largest info dictionary: some 60 000 files of ordinary names.
pub const MAX_INFO: u32 = 8 * 1024 * 1024;

/// Bytes of one file at most: 2^48, so that no sum of offsets overflows 64 bits.
pub const MAX_FILE_LEN: u64 = 1 << 48;

/// Files in one share. The offsets of one file take 48 bytes of memory while it is transferred.
pub const MAX_FILES: usize = 100_000;

/// Pieces in one share: bounds a bitfield at 128 KiB.
pub const MAX_PIECES: u32 = 1 << 20;

/// Folders above a file. Linux refuses paths over 4 096 bytes long before.
pub const MAX_DEPTH: usize = 64;

/// Bytes of one path component, as Linux counts them.
pub const MAX_COMPONENT: usize = 255;

/// Lanes (circuits) to one peer at most. Each costs both sides a circuit and about 1 MiB of queues.
pub const MAX_LANES: usize = 8;

/// Lanes opened at once to a new peer.
pub const FIRST_LANES: usize = 2;

/// Requests in flight on one lane at most: 1 MiB, a second of a fast Tor stream.
pub const MAX_DEPTH_REQUESTS: usize = 64;

/// Requests in flight on a fresh lane, before its round trip is known.
pub const FIRST_DEPTH: usize = 8;

/// Bytes of a peer's name (an onion address and a port, a mixnet address) at most.
pub const MAX_NAME: usize = 80;

/// Names in one `Peers` or `Lanes` message.
pub const MAX_NAMES: usize = 16;

/// Milliseconds for the whole opening handshake, from the first byte.
pub const HANDSHAKE_MS: u64 = 60_000;

/// Milliseconds until a frame must have been handed to the network.
pub const SEND_MS: u64 = 60_000;

/// Milliseconds a lane with requests in flight may stay silent before it is given up.
pub const STALL_MS: u64 = 60_000;

/// Milliseconds without a frame after which a lane says `Alive`.
pub const ALIVE_MS: u64 = 60_000;

/// Milliseconds of silence after which an idle lane is closed.
pub const SILENCE_MS: u64 = 200_000;

/// Milliseconds between two looks at who may fetch from us (BitTorrent's usual 10 s).
pub const CHOKE_MS: u64 = 10_000;

/// Peers served at once, one newcomer among them.
pub const UNCHOKED: usize = 8;
