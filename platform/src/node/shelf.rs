//! The store of a room: files served in place, or a fetch being written.

use bulbil_core::content::Hash;
use bulbil_core::id::{BlockId, InfoHash};
use bulbil_core::store::{Store, StoreError};

use crate::store::{Fetched, Served, Warm, Warming};

/// See the module.
pub(crate) enum Shelf {
    Served(Served),
    Fetched(Fetched),
}

impl Shelf {
    pub(crate) fn info_hash_text(&self) -> String {
        self.info_hash().to_string()
    }

    /// The fetch, if it is one.
    pub(crate) fn fetched(&mut self) -> Option<&mut Fetched> {
        match self {
            Self::Served(_) => None,
            Self::Fetched(fetched) => Some(fetched),
        }
    }

    /// Lets go of what can be read again.
    pub(crate) fn relieve(&mut self) {
        if let Self::Served(served) = self {
            served.relieve();
        }
    }

    /// See [`Served::warming`].
    pub(crate) fn warming(&self, piece: u32) -> Option<Warming> {
        match self {
            Self::Served(served) => served.warming(piece),
            Self::Fetched(fetched) => fetched.warming(piece),
        }
    }

    /// See [`Served::warmed`].
    pub(crate) fn warmed(&mut self, warm: Warm) {
        match self {
            Self::Served(served) => served.warmed(warm),
            Self::Fetched(fetched) => fetched.warmed(warm),
        }
    }

    /// Lets another fetch write where this one did.
    pub(crate) fn let_go(&mut self) {
        if let Some(fetched) = self.fetched() {
            fetched.let_go();
        }
    }

    fn inner(&self) -> &dyn Store {
        match self {
            Self::Served(served) => served,
            Self::Fetched(fetched) => fetched,
        }
    }
}

impl Store for Shelf {
    fn piece_root(&self, piece: u32) -> Option<Hash> {
        self.inner().piece_root(piece)
    }

    fn read(&mut self, id: BlockId, proof: &mut [u8], bytes: &mut [u8]) -> Result<(), StoreError> {
        match self {
            Self::Served(served) => served.read(id, proof, bytes),
            Self::Fetched(fetched) => fetched.read(id, proof, bytes),
        }
    }

    fn write(&mut self, id: BlockId, leaf: &Hash, bytes: &[u8]) -> Result<(), StoreError> {
        match self {
            Self::Served(served) => served.write(id, leaf, bytes),
            Self::Fetched(fetched) => fetched.write(id, leaf, bytes),
        }
    }

    fn info(&self, offset: u32, out: &mut [u8]) -> usize {
        self.inner().info(offset, out)
    }

    fn info_hash(&self) -> InfoHash {
        self.inner().info_hash()
    }

    fn info_len(&self) -> u32 {
        self.inner().info_len()
    }

    fn hashes(&self, file: u32, index: u32, out: &mut [u8]) -> Option<(usize, usize)> {
        self.inner().hashes(file, index, out)
    }
}

/// What to tell the owner of a share that can not be read.
pub(crate) fn explain_read(fault: StoreError) -> String {
    match fault {
        StoreError::Changed => {
            "a file changed or moved since it was shared; share it again from where it is: moved, it keeps its link; changed, it gets another, and this share is to be withdrawn"
        }
        StoreError::Failed => "a file cannot be read; check that it is there and that the node may read it",
        StoreError::Full | StoreError::Missing => {
            "a file of the share is missing; put it back or share it again"
        }
    }
    .to_owned()
}

/// What to tell the owner of a fetch that can not be written.
pub(crate) fn explain_write(fault: StoreError) -> String {
    match fault {
        StoreError::Full => "no room left where the fetch is written; free some, it goes on by itself",
        StoreError::Failed => "the fetched files cannot be written; check permissions and the device",
        StoreError::Changed => {
            "something else damaged what was fetched; that part comes again; check the device if this repeats"
        }
        StoreError::Missing => {
            "the fetched files were changed by something else; remove its hidden folder and fetch again"
        }
    }
    .to_owned()
}
