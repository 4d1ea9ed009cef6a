//! The table of tags in which cameras write (TIFF 6.0, section 2; Exif 2.32, section 4.6).

use std::collections::BTreeSet;

use super::Trace;

/// Entries read of one table.
const ENTRIES: usize = 256;

/// The tag that says which side of a picture is up.
const ORIENTATION: u16 = 0x0112;

/// Bytes in one of the two orders.
struct Reader<'a> {
    bytes: &'a [u8],
    big: bool,
}

impl Reader<'_> {
    fn short(&self, at: usize) -> Option<u16> {
        let two = self.bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if self.big { u16::from_be_bytes(two) } else { u16::from_le_bytes(two) })
    }

    fn long(&self, at: usize) -> Option<u32> {
        let four = self.bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if self.big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) })
    }

    /// Where each entry of a table lies, with its tag.
    fn entries(&self, at: usize) -> Vec<(u16, usize)> {
        let count = usize::from(self.short(at).unwrap_or(0)).min(ENTRIES);
        let place = |index: usize| at.checked_add(2)?.checked_add(index.checked_mul(12)?);
        (0..count).map_while(|index| Some((self.short(place(index)?)?, place(index)?))).collect()
    }

    /// The table that the entry at `at` points to.
    fn table(&self, at: usize) -> Option<usize> {
        self.long(at.checked_add(8)?)?.try_into().ok()
    }
}

fn open(bytes: &[u8]) -> Option<(Reader<'_>, usize)> {
    let big = match bytes.get(..4)? {
        [b'M', b'M', 0, 42] => true,
        [b'I', b'I', 42, 0] => false,
        _ => return None,
    };
    let reader = Reader { bytes, big };
    let first = usize::try_from(reader.long(4)?).ok()?;
    Some((reader, first))
}

/// What the tags tell. Tables that make no sense tell that there are remarks.
pub(super) fn traces(bytes: &[u8]) -> BTreeSet<Trace> {
    let Some((reader, first)) = open(bytes) else { return BTreeSet::from([Trace::Remark]) };
    let mut found = BTreeSet::new();
    for (tag, at) in reader.entries(first) {
        found.extend(meaning(tag));
        let inner = if tag == 0x8769 { reader.table(at) } else { None };
        let inner = inner.map(|table| reader.entries(table)).unwrap_or_default();
        found.extend(inner.into_iter().filter_map(|(tag, _)| meaning(tag)));
    }
    found
}

/// Whether the first table lies within this many bytes of the beginning.
pub(super) fn begins_within(bytes: &[u8], most: usize) -> bool {
    open(bytes).is_some_and(|(_, first)| first < most)
}

/// The rotation, if it is another than the usual one: 2 to 8.
pub(super) fn orientation(bytes: &[u8]) -> Option<u8> {
    let (reader, first) = open(bytes)?;
    let (_, at) = reader.entries(first).into_iter().find(|(tag, _)| *tag == ORIENTATION)?;
    let value = reader.short(at.checked_add(8)?)?;
    u8::try_from(value).ok().filter(|value| (2..=8).contains(value))
}

/// A table that says nothing but the rotation.
pub(super) fn only_orientation(value: u8) -> [u8; 26] {
    // Header, one entry of type SHORT, no next table.
    [b'M', b'M', 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, value, 0, 0, 0, 0, 0, 0]
}

fn meaning(tag: u16) -> Option<Trace> {
    Some(match tag {
        0x8825 => Trace::Location,
        0x013b | 0x8298 | 0xa430 | 0x9c9d => Trace::Author,
        0x010f | 0x0110 | 0xa431 | 0xa433..=0xa435 => Trace::Camera,
        0x0132 | 0x9003 | 0x9004 => Trace::Time,
        0x0131 => Trace::Software,
        0x010e | 0x9286 | 0x927c | 0x9c9b | 0x9c9c | 0x9c9e | 0x9c9f | 0x02bc | 0x83bb | 0x8649 => {
            Trace::Remark
        }
        _ => return None,
    })
}
