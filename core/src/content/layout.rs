//! Where every piece and block of a share lies. Built once from checked metadata, then only looked at.

use core::fmt;

use super::merkle::{Hash, height};
use crate::id::BlockId;
use crate::limits::{BLOCK_LEN, MAX_FILE_LEN, MAX_HASHES, MAX_PIECE_LEN, MAX_PIECES, MIN_PIECE_LEN};

/// Bytes of one block.
const BLOCK: u64 = 16 * 1024;
const _: () = assert!(BLOCK_LEN == 16 * 1024);

/// One file that is not empty. Empty files have no pieces and no span.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Span {
    /// Number of the file within the share, empty ones counted too, in info-dictionary order.
    pub file: u32,
    /// Number of the file's first piece within the share.
    pub first_piece: u32,
    /// Bytes of the file.
    pub length: u64,
    /// Root of the file's merkle tree.
    pub root: Hash,
}

/// Why spans are no layout.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LayoutError {
    /// Not a power of two between [`MIN_PIECE_LEN`] and [`MAX_PIECE_LEN`].
    PieceLength,
    /// The span at this position does not start where the one before ends, or its file number does not rise.
    Order(usize),
    /// The span at this position is empty or longer than [`MAX_FILE_LEN`].
    Length(usize),
    /// More than [`MAX_PIECES`] pieces.
    Pieces,
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PieceLength => {
                write!(f, "piece length must be a power of two from {MIN_PIECE_LEN} to {MAX_PIECE_LEN} bytes")
            }
            Self::Order(at) => write!(f, "span {at} does not follow the one before it"),
            Self::Length(at) => write!(f, "span {at} must have 1 to {MAX_FILE_LEN} bytes"),
            Self::Pieces => write!(f, "more than {MAX_PIECES} pieces; use a larger piece length"),
        }
    }
}

impl core::error::Error for LayoutError {}

/// Files, pieces and blocks of one share, over spans that the caller keeps.
///
/// Pieces are counted through the whole share; each file starts a new one, and its last may be short.
#[derive(Clone, Debug)]
pub struct Layout<S> {
    piece_len: u32,
    pieces: u32,
    total: u64,
    runs: u32,
    spans: S,
}

/// Hashes of a piece layer that come in one message.
const HASHES_A_RUN: u32 = 512;
const _: () = assert!(MAX_HASHES == 512);

/// Pieces of a file of `length` bytes. `None` if more than [`MAX_PIECES`].
pub fn pieces_of(length: u64, piece_len: u32) -> Option<u32> {
    let pieces = length.div_ceil(u64::from(piece_len.max(1)));
    u32::try_from(pieces).ok().filter(|pieces| *pieces <= MAX_PIECES)
}

/// Height of a piece above its blocks: log2 of blocks per piece.
pub const fn piece_height(piece_len: u32) -> u32 {
    piece_len.trailing_zeros().saturating_sub(MIN_PIECE_LEN.trailing_zeros())
}

/// Whether `bytes` may be a piece length.
pub const fn is_piece_len(bytes: u64) -> bool {
    bytes.is_power_of_two() && bytes >= 16 * 1024 && bytes <= 64 * 1024 * 1024
}
const _: () = assert!(MIN_PIECE_LEN == 16 * 1024 && MAX_PIECE_LEN == 64 * 1024 * 1024);

impl<S: AsRef<[Span]>> Layout<S> {
    /// Checks that the spans follow each other.
    pub fn new(piece_len: u32, spans: S) -> Result<Self, LayoutError> {
        if !is_piece_len(u64::from(piece_len)) {
            return Err(LayoutError::PieceLength);
        }
        let (mut pieces, mut total, mut runs, mut last) = (0_u32, 0_u64, 0_u32, None);
        for (at, span) in spans.as_ref().iter().enumerate() {
            if span.first_piece != pieces || last.is_some_and(|last| last >= span.file) {
                return Err(LayoutError::Order(at));
            }
            if span.length == 0 || span.length > MAX_FILE_LEN {
                return Err(LayoutError::Length(at));
            }
            let own = pieces_of(span.length, piece_len).ok_or(LayoutError::Pieces)?;
            pieces = pieces.checked_add(own).filter(|all| *all <= MAX_PIECES).ok_or(LayoutError::Pieces)?;
            if own > 1 {
                runs = runs.saturating_add(own.div_ceil(HASHES_A_RUN));
            }
            total = total.checked_add(span.length).ok_or(LayoutError::Length(at))?;
            last = Some(span.file);
        }
        Ok(Self { piece_len, pieces, total, runs, spans })
    }

    /// Bytes of a full piece.
    pub const fn piece_len(&self) -> u32 {
        self.piece_len
    }

    /// Pieces of the share.
    pub const fn pieces(&self) -> u32 {
        self.pieces
    }

    /// Bytes of the share.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Runs of hashes in all piece layers together: answers that a learner needs.
    pub const fn runs(&self) -> u32 {
        self.runs
    }

    /// Blocks of a full piece: 1 to 4 096.
    pub fn blocks_per_piece(&self) -> u16 {
        u16::try_from(self.piece_len / MIN_PIECE_LEN).unwrap_or(u16::MAX)
    }

    /// Height of a full piece above its blocks: 0 to 12.
    pub const fn piece_height(&self) -> u32 {
        piece_height(self.piece_len)
    }

    /// The files that are not empty, in order.
    pub fn spans(&self) -> &[Span] {
        self.spans.as_ref()
    }

    /// The file that holds this piece.
    pub fn span_of(&self, piece: u32) -> Option<&Span> {
        self.spans().get(self.place(piece)?)
    }

    /// Position among [`spans`](Self::spans) of the file that holds this piece.
    pub fn place(&self, piece: u32) -> Option<usize> {
        if piece >= self.pieces {
            return None;
        }
        self.spans().partition_point(|span| span.first_piece <= piece).checked_sub(1)
    }

    /// The span of file number `file`; `None` if it is empty or does not exist.
    pub fn span_of_file(&self, file: u32) -> Option<&Span> {
        let at = self.spans().binary_search_by_key(&file, |span| span.file).ok()?;
        self.spans().get(at)
    }

    /// Pieces of this span.
    pub fn pieces_in(&self, span: &Span) -> u32 {
        pieces_of(span.length, self.piece_len).unwrap_or(0)
    }

    /// Whether the span's file is longer than one piece, and so has a piece layer.
    pub fn has_layer(&self, span: &Span) -> bool {
        span.length > u64::from(self.piece_len)
    }

    /// Bytes of this piece.
    pub fn piece_bytes(&self, piece: u32) -> Option<u32> {
        let span = self.span_of(piece)?;
        let left = span.length.checked_sub(self.start_in(span, piece)?)?;
        u32::try_from(left.min(u64::from(self.piece_len))).ok()
    }

    /// Blocks of this piece.
    pub fn blocks_in(&self, piece: u32) -> Option<u16> {
        u16::try_from(self.piece_bytes(piece)?.div_ceil(MIN_PIECE_LEN)).ok()
    }

    /// Bytes of this block: 16 KiB, but for the last of a file.
    pub fn block_len(&self, id: BlockId) -> Option<usize> {
        let start = u32::from(id.block).checked_mul(MIN_PIECE_LEN)?;
        let left = self.piece_bytes(id.piece)?.checked_sub(start).filter(|left| *left > 0)?;
        usize::try_from(left.min(MIN_PIECE_LEN)).ok()
    }

    /// Hashes in the proof of a block under its piece, 0 to 12.
    ///
    /// Pieces of a file with a piece layer are padded to full height; a file no longer than one piece has a tree just
    /// high enough for its own blocks.
    pub fn proof_len(&self, piece: u32) -> Option<usize> {
        let span = self.span_of(piece)?;
        let levels =
            if self.has_layer(span) { self.piece_height() } else { height(span.length.div_ceil(BLOCK)) };
        usize::try_from(levels).ok()
    }

    /// Where the block lies: position among [`spans`](Self::spans), and bytes from the start of that file.
    pub fn offset(&self, id: BlockId) -> Option<(usize, u64)> {
        let place = self.place(id.piece)?;
        self.block_len(id)?;
        let within = u64::from(id.block).checked_mul(BLOCK)?;
        let start = self.start_in(self.spans().get(place)?, id.piece)?;
        Some((place, start.checked_add(within)?))
    }

    /// Bytes from the start of the span's file to this piece.
    fn start_in(&self, span: &Span, piece: u32) -> Option<u64> {
        u64::from(piece.checked_sub(span.first_piece)?).checked_mul(u64::from(self.piece_len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECE: u32 = 64 * 1024;

    fn span(file: u32, first_piece: u32, length: u64) -> Span {
        Span { file, first_piece, length, root: Hash::default() }
    }

    fn id(piece: u32, block: u16) -> BlockId {
        BlockId { piece, block }
    }

    #[test]
    fn blocks_tile_every_file() {
        let lengths = [1, 16_383, 16_384, 16_385, 65_536, 65_537, 131_072, 200_000];
        let mut spans = [span(0, 0, 0); 8];
        let mut pieces = 0;
        for (at, length) in lengths.into_iter().enumerate() {
            // Odd file numbers are empty files.
            spans[at] = span(u32::try_from(at).unwrap() * 2, pieces, length);
            pieces += pieces_of(length, PIECE).unwrap();
        }
        let layout = Layout::new(PIECE, spans).unwrap();
        assert_eq!((layout.pieces(), layout.total()), (pieces, lengths.iter().sum()));
        let mut covered = [0_u64; 8];
        for piece in 0..pieces {
            let mut bytes = 0;
            for block in 0..layout.blocks_in(piece).unwrap() {
                let (place, offset) = layout.offset(id(piece, block)).unwrap();
                assert_eq!(offset, covered[place]);
                let len = layout.block_len(id(piece, block)).unwrap();
                covered[place] += len as u64;
                bytes += u32::try_from(len).unwrap();
            }
            assert_eq!(layout.piece_bytes(piece), Some(bytes));
            assert_eq!(layout.block_len(id(piece, layout.blocks_in(piece).unwrap())), None);
        }
        assert_eq!(covered, lengths);
        assert_eq!((layout.span_of(pieces), layout.piece_bytes(pieces)), (None, None));
        assert_eq!(layout.span_of_file(4).map(|span| span.length), Some(16_384));
        assert_eq!(layout.span_of_file(3), None);
    }

    #[test]
    fn proofs_are_as_long_as_their_tree_is_high() {
        for (length, proof) in [(1, 0), (16_384, 0), (16_385, 1), (40_000, 2), (65_536, 2), (65_537, 2)] {
            let layout = Layout::new(PIECE, [span(0, 0, length)]).unwrap();
            let last = layout.pieces() - 1;
            assert_eq!((layout.proof_len(0), layout.proof_len(last)), (Some(proof), Some(proof)), "{length}");
        }
    }

    #[test]
    fn bad_spans_are_refused() {
        let refused = |piece_len, spans: &[Span]| Layout::new(piece_len, spans).err();
        assert_eq!(refused(0, &[]), Some(LayoutError::PieceLength));
        assert_eq!(refused(8192, &[]), Some(LayoutError::PieceLength));
        assert_eq!(refused(PIECE, &[span(0, 1, 5)]), Some(LayoutError::Order(0)));
        assert_eq!(refused(PIECE, &[span(1, 0, 5), span(1, 1, 5)]), Some(LayoutError::Order(1)));
        assert_eq!(refused(PIECE, &[span(0, 0, 0)]), Some(LayoutError::Length(0)));
        assert_eq!(refused(PIECE, &[span(0, 0, u64::MAX)]), Some(LayoutError::Length(0)));
        assert_eq!(refused(PIECE, &[span(0, 0, MAX_FILE_LEN)]), Some(LayoutError::Pieces));
    }
}
