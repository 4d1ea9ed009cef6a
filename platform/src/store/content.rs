//! What a share consists of: its info dictionary and piece layers, checked once and then only looked at.

use std::collections::BTreeMap;

use bulbil_core::content::metainfo::{Info, InfoError, Torrent, TorrentError, write_torrent};
use bulbil_core::content::{Hash, Layout, LayoutError, Span, layer};
use bulbil_core::id::{BlockId, InfoHash};
use bulbil_core::limits::{MAX_UNCLES, MIN_PIECE_LEN};

/// Checked metadata of one share.
#[derive(Debug)]
pub struct Content {
    info: Vec<u8>,
    info_hash: InfoHash,
    name: String,
    single: bool,
    /// Path components of every file, empty ones too, joined by `/`.
    paths: Vec<String>,
    layout: Layout<Vec<Span>>,
    layers: BTreeMap<Hash, Vec<u8>>,
    /// What lies between the runs of each layer and its root, so that a run is proved by looking up: a 256th of the layers.
    crowns: BTreeMap<Hash, Vec<u8>>,
}

/// Why metadata is refused. The text names what is wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// The info dictionary.
    #[error("the metadata is not valid: {0}")]
    Info(InfoError),
    /// The file around it.
    #[error("the metadata is not valid: {0}")]
    Torrent(TorrentError),
    /// Files and pieces.
    #[error("the metadata is not valid: {0}")]
    Layout(LayoutError),
    /// A piece layer is missing or does not match its file.
    #[error("the piece layer of file number {0} is missing or wrong")]
    Layer(u32),
}

impl Content {
    /// Checks an info dictionary and the piece layers of all its files longer than a piece, keyed by the file's root.
    pub fn new(
        info: Vec<u8>,
        layers: impl IntoIterator<Item = (Hash, Vec<u8>)>,
    ) -> Result<Self, ContentError> {
        let parsed = Info::parse(&info).map_err(ContentError::Info)?;
        let layout = Layout::new(parsed.piece_len(), parsed.spans().collect::<Vec<_>>())
            .map_err(ContentError::Layout)?;
        let joined = |file: bulbil_core::content::metainfo::File<'_>| {
            file.path.components().collect::<Vec<_>>().join("/")
        };
        let mut content = Self {
            info_hash: parsed.info_hash(),
            name: parsed.name().to_owned(),
            single: parsed.is_single_file(),
            paths: parsed.files().map(joined).collect(),
            layers: layers.into_iter().collect(),
            crowns: BTreeMap::new(),
            layout,
            info,
        };
        content.crowns = content.check_layers()?;
        Ok(content)
    }

    /// Reads a `.torrent` file.
    pub fn from_torrent(bytes: &[u8]) -> Result<Self, ContentError> {
        let torrent = Torrent::parse(bytes).map_err(ContentError::Torrent)?;
        let layers = torrent.layers().map(|(root, layer)| (root, layer.to_vec()));
        Self::new(torrent.info().bytes().to_vec(), layers)
    }

    /// Writes a `.torrent` file.
    pub fn to_torrent(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let layers = self.layers.iter().map(|(root, layer)| (*root, layer.as_slice()));
        write_torrent(&self.info, layers, |bytes| out.extend_from_slice(bytes));
        out
    }

    /// Checks every layer against the root of its file, and gives their crowns.
    fn check_layers(&self) -> Result<BTreeMap<Hash, Vec<u8>>, ContentError> {
        let mut crowns = BTreeMap::new();
        for span in self.layout.spans().iter().filter(|span| self.layout.has_layer(span)) {
            let wrong = ContentError::Layer(span.file);
            let Some(layer) = self.layers.get(&span.root) else { return Err(wrong) };
            let pieces = self.layout.pieces_in(span);
            let mut crown = vec![0; layer::crown_len(pieces)];
            let root = layer::crown(layer, self.layout.piece_height(), &mut crown);
            let length = usize::try_from(pieces).unwrap_or(usize::MAX).saturating_mul(32);
            if layer.len() != length || root != Some(span.root) {
                return Err(wrong);
            }
            if !crown.is_empty() {
                crowns.insert(span.root, crown);
            }
        }
        Ok(crowns)
    }

    /// Names the share.
    pub const fn info_hash(&self) -> InfoHash {
        self.info_hash
    }

    /// Name of the file, or of the folder around the files.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the share is one file rather than a folder.
    pub const fn is_single_file(&self) -> bool {
        self.single
    }

    /// Path of each file below the share's folder, `/` between components, in the order of file numbers.
    pub fn paths(&self) -> &[String] {
        &self.paths
    }

    /// Where pieces and blocks lie.
    pub const fn layout(&self) -> &Layout<Vec<Span>> {
        &self.layout
    }

    /// Every block, in order.
    pub fn blocks(&self) -> impl Iterator<Item = BlockId> + '_ {
        (0..self.layout.pieces()).flat_map(|piece| {
            (0..self.layout.blocks_in(piece).unwrap_or(0)).map(move |block| BlockId { piece, block })
        })
    }

    pub(super) fn piece_root(&self, piece: u32) -> Option<Hash> {
        let span = self.layout.span_of(piece)?;
        if !self.layout.has_layer(span) {
            return Some(span.root);
        }
        let at = usize::try_from(piece.checked_sub(span.first_piece)?).ok()?;
        let (hashes, _) = self.layers.get(&span.root)?.as_chunks::<32>();
        hashes.get(at).map(|hash| Hash(*hash))
    }

    pub(super) fn info(&self, offset: u32, out: &mut [u8]) -> usize {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = self.info.get(from..).unwrap_or_default();
        let count = rest.len().min(out.len());
        if let (Some(out), Some(rest)) = (out.get_mut(..count), rest.get(..count)) {
            out.copy_from_slice(rest);
        }
        count
    }

    pub(super) fn info_len(&self) -> u32 {
        // An info dictionary is at most MAX_INFO bytes long.
        u32::try_from(self.info.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn hashes(&self, file: u32, index: u32, out: &mut [u8]) -> Option<(usize, usize)> {
        let span = self.layout.span_of_file(file)?;
        let layer = self.layers.get(&span.root)?;
        let mut uncles = [0; MAX_UNCLES * 32];
        let crown = self.crowns.get(&span.root).map_or(&[][..], Vec::as_slice);
        let (run, above) = layer::run(layer, crown, self.layout.piece_height(), index, &mut uncles)?;
        let (first, rest) = out.split_at_mut_checked(run.len())?;
        first.copy_from_slice(run);
        rest.get_mut(..above)?.copy_from_slice(uncles.get(..above)?);
        Some((run.len(), above))
    }

    /// Bytes from the start of the piece's file to the piece.
    pub(super) fn offset(&self, id: BlockId) -> Option<(usize, u64)> {
        self.layout.offset(id)
    }

    /// Number of a block when every piece is counted as full.
    pub(super) fn slot(&self, id: BlockId) -> u64 {
        let blocks = u64::from(self.layout.piece_len() / MIN_PIECE_LEN);
        u64::from(id.piece).saturating_mul(blocks).saturating_add(u64::from(id.block))
    }

    /// Path of the file at this position among the layout's spans.
    pub(super) fn path_at(&self, place: usize) -> Option<&str> {
        let span = self.layout.spans().get(place)?;
        self.paths.get(usize::try_from(span.file).ok()?).map(String::as_str)
    }
}
