//! A whole disk: a partition table of the old kind, the boot partition, and the owner's partition if one is asked for.

/// Bytes of a sector.
pub(crate) const SECTOR: u64 = 512;

/// Where the first partition starts, in bytes: 1 MiB, as all partitioning tools have it.
pub(crate) const START: u64 = 1 << 20;

/// One partition.
#[derive(Clone, Copy, Debug)]
struct Partition {
    start: u64,
    size: u64,
    kind: u8,
    active: bool,
}

/// The first sector of a disk whose boot partition has `boot` bytes and whose data partition has `data`, if any.
pub(crate) fn table(boot: u64, data: u64, epoch: u64) -> Vec<u8> {
    let mut partitions = vec![Partition { start: START, size: boot, kind: FAT32_LBA, active: true }];
    if data > 0 {
        partitions.push(Partition { start: START + boot, size: data, kind: LINUX, active: false });
    }
    let mut sector = vec![0; NUMBER_AT];
    sector.extend(word(epoch & 0xffff_ffff));
    sector.extend([0, 0]);
    for partition in &partitions {
        let (start, size) = (partition.start / SECTOR, partition.size / SECTOR);
        sector.push(if partition.active { 0x80 } else { 0 });
        sector.extend(cylinder(start));
        sector.push(partition.kind);
        sector.extend(cylinder(start + size - 1));
        sector.extend(word(start));
        sector.extend(word(size));
    }
    sector.resize(usize::from(SIGNATURE_AT), 0);
    sector.extend([0x55, 0xaa]);
    sector
}

fn word(value: u64) -> [u8; 4] {
    u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes()
}

/// A sector's address in the old way, of 255 heads and 63 sectors, or the one that means "beyond".
fn cylinder(sector: u64) -> [u8; 3] {
    let (cylinder, head, number) = (sector / (255 * 63), sector / 63 % 255, sector % 63 + 1);
    let bytes = (
        u8::try_from(head),
        u8::try_from(number),
        u8::try_from(cylinder & 0xff),
        u8::try_from(cylinder >> 8),
    );
    match bytes {
        (Ok(head), Ok(number), Ok(low), Ok(high)) if high < 4 => [head, number | (high << 6), low],
        _ => [0xfe, 0xff, 0xff],
    }
}

/// FAT32, addressed by sector.
const FAT32_LBA: u8 = 0x0c;

/// Any file system of Linux; the owner makes it.
const LINUX: u8 = 0x83;

/// Where the disk's number stands in the first sector.
const NUMBER_AT: usize = 440;

/// Where the last two bytes stand.
const SIGNATURE_AT: u16 = 510;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_where_partitions_are() {
        let sector = table(96 << 20, 16 << 20, 1_795_219_200);
        assert_eq!(sector.len(), 512);
        assert_eq!(sector[510..], [0x55, 0xaa]);
        assert_eq!(sector[446..450], [0x80, 32, 33, 0]);
        assert_eq!(sector[450], 0x0c);
        assert_eq!(sector[454..462], [0, 8, 0, 0, 0, 0, 3, 0]);
        assert_eq!(sector[466], 0x83);
        assert_eq!(sector[470..478], [0, 8, 3, 0, 0, 128, 0, 0]);
        assert!(table(96 << 20, 0, 0)[462..510].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn far_sectors_have_the_address_that_means_beyond() {
        assert_eq!(cylinder(2048), [32, 33, 0]);
        assert_eq!(cylinder(100_000_000), [0xfe, 0xff, 0xff]);
    }
}
