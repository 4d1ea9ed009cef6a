//! One `board.toml`: all that makes an image that board's.

use std::path::Path;
use std::{fs, io};

use serde::Deserialize;

/// One board. A key that is not listed here is an error, so a typo cannot hide.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Board {
    /// The folder's name, which is the image's.
    #[serde(skip)]
    pub(crate) id: String,
    /// As printed on the box.
    pub(crate) name: String,
    /// How far it can be relied on.
    pub(crate) tier: Tier,
    /// Memory of the smallest supported model, in MiB.
    pub(crate) ram_mib: u32,
    /// Size of the boot partition, in MiB.
    pub(crate) boot_mib: u32,
    /// What it takes from Debian, by the names in `packages.toml`.
    pub(crate) packages: Vec<String>,
    /// What Raspberry Pi Imager calls it.
    #[serde(default)]
    pub(crate) imager: Vec<String>,
    /// How it starts.
    pub(crate) boot: Boot,
    /// Its drivers.
    pub(crate) linux: Linux,
}

/// A promise, not a wish.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Tier {
    /// Its image is built and booted.
    Tested,
    /// Its image is built; booting it takes the board.
    Builds,
    /// Described only.
    Wanted,
}

/// How a board starts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Boot {
    /// Who starts the kernel.
    pub(crate) firmware: Firmware,
    /// Files of packages that this takes, by absolute path.
    #[serde(default)]
    pub(crate) files: Vec<String>,
    /// Device trees, by their path among the kernel's.
    #[serde(default)]
    pub(crate) dtbs: Vec<String>,
    /// More lines for `config.txt`.
    #[serde(default)]
    pub(crate) config: Vec<String>,
    /// What the kernel is told.
    pub(crate) cmdline: String,
}

/// Who starts the kernel.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Firmware {
    /// The GPU of a Raspberry Pi, as `config.txt` says.
    RaspberryPi,
    /// UEFI, through systemd-boot.
    Efi,
}

/// Drivers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Linux {
    /// Kernel modules, in the order to load them; what they need comes by itself.
    pub(crate) modules: Vec<String>,
    /// Firmware that drivers load, by its path below `/usr/lib/firmware`.
    #[serde(default)]
    pub(crate) firmware: Vec<String>,
}

impl Board {
    /// Reads `boards/<id>/board.toml`.
    pub(crate) fn load(boards: &Path, id: &str) -> io::Result<Self> {
        let path = boards.join(id).join("board.toml");
        let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let text = if plain { fs::read_to_string(&path) } else { Err(io::ErrorKind::NotFound.into()) };
        let text = text.map_err(|error| {
            let known = names(boards).unwrap_or_default().join(", ");
            io::Error::other(format!("there is no board `{id}` ({error}); there are: {known}"))
        })?;
        let wrong = |why: &dyn std::fmt::Display| io::Error::other(format!("{}: {why}", path.display()));
        let mut board: Self = toml::from_str(&text).map_err(|error| wrong(&error))?;
        id.clone_into(&mut board.id);
        if !(MIN_BOOT_MIB..=MAX_BOOT_MIB).contains(&board.boot_mib) {
            return Err(wrong(&format_args!("boot_mib must be {MIN_BOOT_MIB} to {MAX_BOOT_MIB}")));
        }
        Ok(board)
    }
}

/// Names of all boards, sorted.
pub(crate) fn names(boards: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(boards)? {
        let entry = entry?;
        if entry.path().join("board.toml").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Prints one row for each board, the most reliable first.
pub(crate) fn list(boards: &Path) -> io::Result<()> {
    let names = names(boards)?;
    let mut all = names.iter().map(|name| Board::load(boards, name)).collect::<io::Result<Vec<_>>>()?;
    all.sort_by(|one, other| (one.tier, &one.id).cmp(&(other.tier, &other.id)));
    println!("{:<24}{:<9}{:>8}  name", "board", "tier", "MiB");
    for Board { id, tier, ram_mib, name, .. } in all {
        let tier = match tier {
            Tier::Tested => "tested",
            Tier::Builds => "builds",
            Tier::Wanted => "wanted",
        };
        println!("{id:<24}{tier:<9}{ram_mib:>8}  {name}");
    }
    Ok(())
}

/// FAT32 needs 65 525 clusters; with clusters of 512 bytes that is 33 MiB.
const MIN_BOOT_MIB: u32 = 40;

/// More is a mistake: kernels have some 50 MiB.
const MAX_BOOT_MIB: u32 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn boards() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
    }

    #[test]
    fn every_board_can_be_read_and_has_a_readme() {
        let names = names(&boards()).unwrap();
        assert!(names.iter().any(|name| name == "virt"), "{names:?}");
        for name in names {
            let board = Board::load(&boards(), &name).unwrap();
            assert!(!board.name.is_empty() && !board.linux.modules.is_empty(), "{name}");
            assert!(boards().join(&name).join("README.md").is_file(), "{name} has no README.md");
        }
    }

    /// `brcmfmac` asks the kernel for the part of its chip's maker, and on a board nobody answers.
    #[test]
    fn wifi_comes_with_its_makers_parts_before_the_chip_shows_and_with_the_rules_of_countries() {
        let mut with_wifi = 0;
        for name in names(&boards()).unwrap() {
            let linux = Board::load(&boards(), &name).unwrap().linux;
            let place = |module: &str| linux.modules.iter().position(|listed| listed == module);
            let Some(driver) = place("brcmfmac") else { continue };
            let hosts = ["sdhci_iproc", "sdhci_brcmstb"].into_iter().filter_map(place).min().unwrap();
            for part in ["brcmfmac_wcc", "brcmfmac_cyw"] {
                let at = place(part).unwrap_or_else(|| panic!("{name} lacks {part}"));
                assert!(driver < at && at < hosts, "{name}: {part}");
            }
            for file in ["regulatory.db", "regulatory.db.p7s"] {
                assert!(linux.firmware.iter().any(|listed| listed == file), "{name} lacks {file}");
            }
            with_wifi += 1;
        }
        assert_eq!(with_wifi, 4, "every Raspberry Pi has Wi-Fi");
    }

    #[test]
    fn a_typo_is_an_error_and_an_unknown_board_names_the_known_ones() {
        let text = fs::read_to_string(boards().join("virt/board.toml")).unwrap();
        assert!(toml::from_str::<Board>(&text).is_ok());
        let typo = text.replace("modules ", "modulse ");
        assert!(toml::from_str::<Board>(&typo).unwrap_err().to_string().contains("modulse"));
        let missing = Board::load(&boards(), "../boards/virt").unwrap_err().to_string();
        assert!(missing.contains("raspberry-pi-4"), "{missing}");
    }
}
