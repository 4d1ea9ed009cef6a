//! Two swarms that trade one share, each with its bits and bytes in memory of a fixed size.

use bulbil_core::bits::Bits;
use bulbil_core::content::metainfo::Info;
use bulbil_core::content::{Hash, Layout, Span};
use bulbil_core::id::{BlockId, InfoHash, PeerKey};
use bulbil_core::limits::{BLOCK_LEN, MAX_FRAME};
use bulbil_core::store::{Store, StoreError};
use bulbil_core::swarm::{LaneId, Over, Reject, Settings, Swarm};
use bulbil_core::time::Millis;

use super::content::{LENGTH, PIECES, byte, info, leaves};

/// What a microcontroller would run.
type Small = Swarm<[u64; 1], [Span; 1], 2, 2>;

/// A store that makes up the file as it is read, and checks what is written against it.
struct Made {
    roots: [Hash; PIECES],
    info: ([u8; 256], usize),
    written: usize,
    /// The number of a block that is read wrongly.
    bent: Option<u32>,
}

impl Made {
    fn new() -> Self {
        Self { roots: leaves(), info: info(), written: 0, bent: None }
    }

    fn bytes(id: BlockId) -> impl Iterator<Item = u8> {
        let start = usize::try_from(id.piece).unwrap() * BLOCK_LEN;
        (start..).map(byte)
    }
}

impl Store for Made {
    fn piece_root(&self, piece: u32) -> Option<Hash> {
        self.roots.get(usize::try_from(piece).ok()?).copied()
    }

    fn read(&mut self, id: BlockId, _: &mut [u8], bytes: &mut [u8]) -> Result<(), StoreError> {
        bytes.iter_mut().zip(Self::bytes(id)).for_each(|(out, byte)| *out = byte);
        if self.bent == Some(id.piece) {
            bytes[0] ^= 1;
        }
        Ok(())
    }

    fn write(&mut self, id: BlockId, _: &Hash, bytes: &[u8]) -> Result<(), StoreError> {
        assert!(Self::bytes(id).zip(bytes).all(|(right, byte)| right == *byte), "a wrong block was written");
        self.written += bytes.len();
        Ok(())
    }

    fn info(&self, offset: u32, out: &mut [u8]) -> usize {
        let rest = usize::try_from(offset).unwrap()..self.info.1;
        out.iter_mut().zip(&self.info.0[rest]).map(|(out, byte)| *out = *byte).count()
    }

    fn info_hash(&self) -> InfoHash {
        Info::parse(&self.info.0[..self.info.1]).unwrap().info_hash()
    }

    fn info_len(&self) -> u32 {
        u32::try_from(self.info.1).unwrap()
    }

    fn hashes(&self, _: u32, _: u32, _: &mut [u8]) -> Option<(usize, usize)> {
        None
    }
}

/// One node of two.
struct Side {
    swarm: Small,
    store: Made,
    lane: LaneId,
}

impl Side {
    /// With everything or nothing; who has nothing has dialed.
    fn new(seed: bool) -> Self {
        let store = Made::new();
        let span = Info::parse(&store.info.0[..store.info.1]).unwrap().spans().next().unwrap();
        let layout = Layout::new(16 * 1024, [span]).unwrap();
        let bits = || Bits::new([0; 1], 4).unwrap();
        let mut blocks = bits();
        (0..4).filter(|_| seed).for_each(|block| _ = blocks.set(block));
        let (us, them) = if seed { ([1; 32], [2; 32]) } else { ([2; 32], [1; 32]) };
        let all = (bits(), blocks, bits());
        let mut swarm = Small::new(layout, all, PeerKey(us), Settings::default(), 7, Millis(0)).unwrap();
        let name = (!seed).then_some(&b"seed"[..]);
        let lane =
            swarm.lane_open(Millis(0), PeerKey(them), name, |len| Bits::new([0; 1], len).ok()).unwrap();
        Self { swarm, store, lane }
    }

    /// Says everything it has to say now; returns how many frames that were.
    fn tell(&mut self, now: Millis, other: &mut Self, buf: &mut [u8; MAX_FRAME]) -> Result<usize, Over> {
        while self.swarm.handle_timeout(now).is_some() {}
        let mut frames = 0;
        loop {
            let len = self.swarm.say(now, self.lane, buf, &mut self.store)?;
            if len == 0 {
                return Ok(frames);
            }
            other.swarm.hear(now, other.lane, &buf[..len], &mut other.store)?;
            frames += 1;
        }
    }
}

/// Lets both talk for as many rounds as a minute has tenths of a second.
fn trade(seed: &mut Side, fetcher: &mut Side) -> Result<(), Over> {
    let mut buf = [0; MAX_FRAME];
    for tenth in 0..600 {
        let now = Millis(tenth * 100);
        while fetcher.tell(now, seed, &mut buf)? + seed.tell(now, fetcher, &mut buf)? > 0 {}
        if fetcher.swarm.is_whole() {
            return Ok(());
        }
    }
    panic!("the share did not cross in a minute");
}

pub(super) fn whole() {
    let (mut seed, mut fetcher) = (Side::new(true), Side::new(false));
    trade(&mut seed, &mut fetcher).unwrap();
    assert_eq!((fetcher.store.written, seed.store.written), (LENGTH, 0));
}

pub(super) fn wrong_block() {
    let (mut seed, mut fetcher) = (Side::new(true), Side::new(false));
    seed.store.bent = Some(2);
    let over = trade(&mut seed, &mut fetcher);
    assert!(matches!(over, Err(Over::Rejected(_, Reject::BadBlock))), "{over:?}");
    assert!(fetcher.store.written < LENGTH);
}
