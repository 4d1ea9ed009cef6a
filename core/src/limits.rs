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

/// Milliseconds that `Alive` can make a learner wait for one answer about metadata. A seed that gives 4 KiB a second in all
/// answers sixteen learners in turn within a minute or two.
pub const LEARN_MS: u64 = 600_000;

/// Milliseconds without a frame after which a lane says `Alive`: in time for who would give it up after [`STALL_MS`].
pub const ALIVE_MS: u64 = 45_000;

/// Milliseconds of silence after which an idle lane is closed.
pub const SILENCE_MS: u64 = 200_000;

/// Milliseconds from the opening of a lane, or from the last metadata given on it, until the caller must have joined,
/// unless we owe it an answer.
pub const JOIN_MS: u64 = 60_000;

/// Milliseconds after which a peer that moved no content, either way, and was given no metadata, gives its place to a caller
/// where all are taken. Within that time everybody who wants something is served for a while.
pub const GRACE_MS: u64 = 120_000;

/// Milliseconds for which a peer that has what we lack, or that we called, keeps its place although it gives nothing, where
/// all are taken. Whoever is choked for want of places gets a turn sooner; whoever never gives is no use, whatever it has.
pub const HOPE_MS: u64 = 600_000;

/// Milliseconds between two looks at who may fetch from us (BitTorrent's usual 10 s).
pub const CHOKE_MS: u64 = 10_000;

/// Peers served at once, one newcomer among them.
pub const UNCHOKED: usize = 8;

/// Bytes of a signed record at most: the longest name and text, keys, a signature, and room to spare.
pub const MAX_RECORD: usize = 1024;

/// Bytes of a record's free text. Long enough to say what a share is, short enough not to be one.
pub const MAX_TEXT: usize = 400;

/// Bytes of a record's tags, with the commas between them.
pub const MAX_TAGS: usize = 128;

/// Seconds a record may live: 30 days. Its author renews what still holds; what nobody renews disappears by itself.
pub const RECORD_LIFE_S: u64 = 30 * 24 * 3600;

/// Seconds a record may come from the future: boards have no clock, and Tor itself bears an hour or two of error.
pub const FUTURE_S: u64 = 2 * 3600;

/// Records of one author that a store keeps: a node with more shares than this must choose.
pub const AUTHOR_QUOTA: usize = 1024;

/// Records in one leaf of a store's tree. A leaf holds 16 on average when a store is full (then 64 are not met by
/// chance); whoever grinds names to fill one leaf crowds out strangers in that leaf alone.
pub const MAX_LEAF: usize = 64;

/// Ranges in one `Ask` of a mirror: their digests, 320 bytes each, fit a frame.
pub const MAX_RANGES: usize = 32;

/// Records named or packed in one message of a mirror at most.
pub const MAX_IDS: usize = 128;

/// Records in a range below which they are listed instead of split further: a list costs what the digests of
/// three children cost.
pub const LIST_BELOW: u32 = 16;

/// Ranges that a reconciliation has yet to look at: the deepest walk with one range at a time needs 16 levels of 16.
pub const MAX_WALK: usize = 512;

/// Asks in a row that brought nothing new, after which the other side is wasting our time. An honest store of 100 000
/// records that differs everywhere takes some 400.
pub const BARREN_ASKS: u32 = 4096;

/// Milliseconds a mirror may take to answer: a slow circuit moves a frame in a few seconds.
pub const ANSWER_MS: u64 = 30_000;

/// Copies of each public record on the trusted horizon. With a fifth of the nodes lying or gone, all four fail
/// together for 2 records in 1000.
pub const COPIES: usize = 4;

/// Seconds after which a node hands its own records to their keepers again. Keepers lose what they have with power; in
/// the simulation, 8 of 500 records vanish within 12 hours if nobody renews them.
pub const RENEW_S: u64 = 3600;

/// Statements of trust that one node's word is taken for: bounds what a chain can pull in.
pub const MAX_STATEMENTS: usize = 64;

/// Longest chain of trust. The budget on nodes ends most far earlier.
pub const MAX_DEGREE: u8 = 100;

/// Bytes of a message between nodes: a text and a link, in one frame.
pub const MAX_MAIL: usize = 4096;

/// Milliseconds before undelivered mail is tried again: doubling from the first to the second.
pub const MAIL_RETRY_MS: (u64, u64) = (30_000, 900_000);

/// Milliseconds until undelivered mail is dropped, and its sender told: a day.
pub const MAIL_LIFE_MS: u64 = 24 * 3_600_000;

/// Peers that the outbox serves at once: each is a circuit being built.
pub const MAIL_AT_ONCE: usize = 10;

/// Messages a second, and in a burst, from one sender.
pub const MAIL_RATE: (u64, u64) = (5, 20);

/// Milliseconds to connect to a node with mail, and then to send one message.
pub const MAIL_CONNECT_MS: u64 = 30_000;

/// See [`MAIL_CONNECT_MS`].
pub const MAIL_SEND_MS: u64 = 10_000;

/// Conversations kept warm, and milliseconds until an idle one is dropped.
pub const POOL_SIZE: usize = 50;

/// See [`POOL_SIZE`].
pub const POOL_IDLE_MS: u64 = 300_000;

/// Milliseconds a friend code works: an hour, time enough to read it out and for Tor to publish the place.
pub const FRIEND_LIFE_MS: u64 = 3_600_000;

/// Wrong guesses after which a friend code is burnt. Who mistypes is told so before calling, so five are no accident.
pub const FRIEND_GUESSES: usize = 5;

/// Milliseconds for a whole meeting of friends, from the first byte: four round trips of a slow circuit.
pub const FRIEND_MEET_MS: u64 = 60_000;
