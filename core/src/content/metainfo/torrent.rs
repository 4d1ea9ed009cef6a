//! A whole `.torrent` file: the info dictionary and the piece layers beside it.

use heapless::Vec;

use super::error::TorrentError;
use super::{File, Info, as_bytes};
use crate::content::bencode::{Reader, Token};
use crate::content::layer;
use crate::content::layout::{piece_height, pieces_of};
use crate::content::merkle::{HASH_LEN, Hash};

/// Piece layers looked up at once. A torrent with more is walked once for each so many.
const BATCH: usize = 256;

/// A checked `.torrent` file. It borrows the bytes it was read from.
#[derive(Clone, Copy, Debug)]
pub struct Torrent<'a> {
    info: Info<'a>,
    layers: &'a [u8],
}

/// One entry of `piece layers`, while it is matched with files.
#[derive(Clone, Copy)]
struct Entry<'a> {
    root: Hash,
    layer: &'a [u8],
    used: bool,
}

impl<'a> Torrent<'a> {
    /// Reads a `.torrent` file and checks all that Bulbil uses of it. Other keys are allowed.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, TorrentError> {
        let mut reader = Reader::new(bytes);
        if reader.next_token()? != Some(Token::Dict) {
            return Err(TorrentError::NotDict);
        }
        let (mut info, mut layers) = (None, None);
        while let Some(Token::Key(key)) = reader.next_token()? {
            let value = reader.value()?;
            match key {
                b"info" => info = value,
                b"piece layers" => layers = value,
                _ => {}
            }
        }
        // The dictionary has ended; this is where bytes that follow it show.
        reader.next_token()?;
        let info = Info::parse(info.ok_or(TorrentError::NoInfo)?)?;
        let torrent = Self { info, layers: layers.unwrap_or(b"de") };
        torrent.check_layers(layers.is_some())?;
        Ok(torrent)
    }

    /// What is shared.
    pub const fn info(&self) -> &Info<'a> {
        &self.info
    }

    /// The piece layers, sorted by the root they belong to.
    pub fn layers(&self) -> Layers<'a> {
        Layers::new(self.layers)
    }

    /// The piece layer of the file with this root; `None` if that file is no longer than one piece.
    /// Looks through all layers in turn.
    pub fn layer(&self, root: &Hash) -> Option<&'a [u8]> {
        self.layers().find(|(of, _)| of == root).map(|(_, layer)| layer)
    }

    /// Files longer than one piece, with their numbers.
    fn long_files(&self) -> impl Iterator<Item = (u32, File<'a>)> + use<'a> {
        let piece_len = u64::from(self.info.piece_len());
        (0_u32..).zip(self.info.files()).filter(move |(_, file)| file.length > piece_len)
    }

    fn check_layers(&self, present: bool) -> Result<(), TorrentError> {
        let mut layers = Layers::new(self.layers);
        if Reader::new(self.layers).next_token()? != Some(Token::Dict) {
            return Err(TorrentError::LayersNotDict);
        }
        let wanted = self.long_files().count();
        if !present && wanted > 0 {
            return Err(TorrentError::NoLayers);
        }
        let mut found = 0_usize;
        loop {
            let mut batch: Vec<Entry<'a>, BATCH> = Vec::new();
            while !batch.is_full() {
                let Some((root, layer)) = layers.next_layer()? else { break };
                // Never full here.
                let _ = batch.push(Entry { root, layer, used: false });
            }
            if batch.is_empty() {
                break;
            }
            found = found.saturating_add(self.check_batch(&mut batch)?);
        }
        if found == wanted { Ok(()) } else { Err(TorrentError::LayerMissing) }
    }

    /// Matches some layers, sorted by root, with the files they belong to; says how many files that were.
    fn check_batch(&self, batch: &mut [Entry<'a>]) -> Result<usize, TorrentError> {
        let height = piece_height(self.info.piece_len());
        let mut found = 0_usize;
        for (number, file) in self.long_files() {
            let Some(root) = file.root else { continue };
            let at = batch.binary_search_by(|entry| entry.root.cmp(&root));
            let Some(entry) = at.ok().and_then(|at| batch.get_mut(at)) else { continue };
            let pieces = pieces_of(file.length, self.info.piece_len()).unwrap_or(0);
            let length = usize::try_from(pieces).ok().and_then(|pieces| pieces.checked_mul(HASH_LEN));
            if length != Some(entry.layer.len()) {
                return Err(TorrentError::LayerLength { number });
            }
            if !entry.used && layer::root(entry.layer, height) != root {
                return Err(TorrentError::LayerRoot { number });
            }
            entry.used = true;
            found = found.saturating_add(1);
        }
        if batch.iter().all(|entry| entry.used) { Ok(found) } else { Err(TorrentError::LayerUnused) }
    }
}

/// Goes through `piece layers`: the root of a file, and its layer. As an iterator it ends at the first fault, of
/// which a checked [`Torrent`] has none.
#[derive(Clone, Debug)]
pub struct Layers<'a> {
    reader: Reader<'a>,
}

impl<'a> Layers<'a> {
    const fn new(layers: &'a [u8]) -> Self {
        Self { reader: Reader::new(layers) }
    }

    fn next_layer(&mut self) -> Result<Option<(Hash, &'a [u8])>, TorrentError> {
        loop {
            match self.reader.next_token()? {
                Some(Token::Dict) => {}
                Some(Token::Key(key)) => {
                    let root = key.try_into().map_err(|_| TorrentError::LayerKey)?;
                    let value = self.reader.value()?.unwrap_or_default();
                    let layer = as_bytes(value).ok_or(TorrentError::LayerNotString)?;
                    return Ok(Some((Hash(root), layer)));
                }
                _ => return Ok(None),
            }
        }
    }
}

impl<'a> Iterator for Layers<'a> {
    type Item = (Hash, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.next_layer().ok().flatten()
    }
}
