//! A FAT32 file system made in memory: the same files at the same time make the same bytes.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Write};
use std::sync::OnceLock;

use fatfs::{Date, DateTime, FatType, FileSystem, FormatVolumeOptions, FsOptions, Time, TimeProvider};

/// What PID 1 looks for.
pub(crate) const LABEL: [u8; 11] = *b"BULBIL     ";

/// Files by path, with `/` between folders.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// A file system of `mib` MiB with these files. `epoch` is the date of each; it also makes the volume's number.
pub(crate) fn make(mib: u32, epoch: u64, files: &Files) -> io::Result<Vec<u8>> {
    let size = usize::try_from(mib).map_err(io::Error::other)? << 20;
    let content: usize = files.values().map(Vec::len).sum();
    if content > size - size / 16 {
        return Err(io::Error::other(format!(
            "{} MiB of files do not fit a boot partition of {mib} MiB: raise boot_mib in board.toml",
            content >> 20
        )));
    }
    let mut bytes = vec![0; size];
    let number = u32::try_from(epoch & 0xffff_ffff).map_err(io::Error::other)?;
    let options = FormatVolumeOptions::new().fat_type(FatType::Fat32).volume_id(number).volume_label(LABEL);
    fatfs::format_volume(Cursor::new(&mut bytes[..]), options.bytes_per_cluster(CLUSTER))?;
    let options = FsOptions::new().time_provider(clock(epoch)).update_accessed_date(false);
    let system = FileSystem::new(Cursor::new(&mut bytes[..]), options)?;
    for (path, content) in files {
        write(&system.root_dir(), path, content)
            .map_err(|error| io::Error::other(format!("cannot put {path} on the boot partition: {error}")))?;
    }
    system.unmount()?;
    Ok(bytes)
}

fn write<T: fatfs::ReadWriteSeek>(root: &fatfs::Dir<'_, T>, path: &str, content: &[u8]) -> io::Result<()> {
    let mut at = 0;
    while let Some(slash) = path.get(at..).and_then(|rest| rest.find('/')) {
        root.create_dir(path.get(..at + slash).unwrap_or_default())?;
        at += slash + 1;
    }
    let mut file = root.create_file(path)?;
    file.write_all(content)?;
    file.flush()
}

/// Tells the same time always.
#[derive(Debug)]
struct Stopped(DateTime);

impl TimeProvider for Stopped {
    fn get_current_date(&self) -> Date {
        self.0.date
    }

    fn get_current_date_time(&self) -> DateTime {
        self.0
    }
}

/// The library wants a clock that lives for ever: there is one, and the first use sets it.
fn clock(epoch: u64) -> &'static Stopped {
    static CLOCK: OnceLock<Stopped> = OnceLock::new();
    CLOCK.get_or_init(|| Stopped(date_time(epoch)))
}

/// Coordinated universal time; FAT knows 1980 to 2107.
fn date_time(epoch: u64) -> DateTime {
    let (year, month, day) = date(epoch);
    let within = epoch % 86_400;
    let part = |value: u64| u16::try_from(value).unwrap_or(0);
    let date = Date { year: part(year).clamp(1980, 2107), month: part(month), day: part(day) };
    let time =
        Time { hour: part(within / 3600), min: part(within / 60 % 60), sec: part(within % 60), millis: 0 };
    DateTime { date, time }
}

/// Year, month and day of a moment, by counting years of 400 (proleptic Gregorian calendar).
pub(crate) fn date(epoch: u64) -> (u64, u64, u64) {
    // Days since 1 March of the year 0, so that the leap day is a year's last.
    let days = epoch / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

/// Bytes of a cluster: small enough for FAT32 on 40 MiB, as large as 96 MiB make useful.
const CLUSTER: u32 = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), (1970, 1, 1));
        assert_eq!(date(951_782_400), (2000, 2, 29));
        assert_eq!(date(951_868_800), (2000, 3, 1));
        assert_eq!(date(1_795_219_200), (2026, 11, 21));
        assert_eq!(date(4_102_444_799), (2099, 12, 31));
    }

    #[test]
    fn the_same_files_make_the_same_bytes_and_can_be_read() {
        let files = Files::from([
            ("EFI/BOOT/BOOTAA64.EFI".to_owned(), vec![1; 70_000]),
            ("bulbil.toml".to_owned(), b"# settings".to_vec()),
        ]);
        let (one, two) = (make(40, 1_795_219_200, &files).unwrap(), make(40, 1_795_219_200, &files).unwrap());
        assert!(one == two);
        let system = FileSystem::new(Cursor::new(one), FsOptions::new()).unwrap();
        assert_eq!(system.fat_type(), FatType::Fat32);
        let file = system.root_dir().open_file("efi/boot/bootaa64.efi");
        assert!(file.is_ok());
        let dates: Vec<u16> =
            system.root_dir().iter().map(|entry| entry.unwrap().modified().date.year).collect();
        assert_eq!(dates, [2026, 2026]);
    }

    #[test]
    fn too_much_is_refused_with_what_to_do() {
        let files = Files::from([("a".to_owned(), vec![0; 41 << 20])]);
        assert!(make(40, 0, &files).unwrap_err().to_string().contains("boot_mib"));
    }
}
