//! The list that Raspberry Pi Imager reads: it shows its settings for images from a list, not for a file of one's own.

use std::path::Path;
use std::{fs, io};

use serde_json::{Value, json};

use crate::board::Board;
use crate::cache;
use crate::fat;

/// Writes one board's entry beside its image, and `os_list.json` with those of all images in `folder`.
pub(crate) fn write(
    folder: &Path,
    board: &Board,
    url: &str,
    epoch: u64,
    (image, packed): (&[u8], &[u8]),
) -> io::Result<()> {
    let (year, month, day) = fat::date(epoch);
    let entry = json!({
        "name": format!("Bulbil for {}", board.name),
        "description": "Shares and fetches files inside Tor, and is the house's Tor proxy",
        "icon": format!("{url}bulbil.svg"),
        "url": format!("{url}bulbil-{}.img.xz", board.id),
        "extract_size": image.len(),
        "extract_sha256": cache::hex(image),
        "image_download_size": packed.len(),
        "image_download_sha256": cache::hex(packed),
        "release_date": format!("{year}-{month:02}-{day:02}"),
        "devices": board.imager,
        "init_format": "systemd",
    });
    fs::write(folder.join(format!("bulbil-{}.json", board.id)), format!("{entry:#}\n"))?;
    let mut names: Vec<_> = fs::read_dir(folder)?
        .map(|file| Ok(file?.path()))
        .filter(|path: &io::Result<std::path::PathBuf>| path.as_ref().is_ok_and(|path| is_entry(path)))
        .collect::<io::Result<_>>()?;
    names.sort();
    let entries = names
        .iter()
        .map(|path| Ok(serde_json::from_slice::<Value>(&fs::read(path)?)?))
        .collect::<io::Result<Vec<_>>>()?;
    fs::write(folder.join("os_list.json"), format!("{:#}\n", json!({ "os_list": entries })))?;
    fs::write(folder.join("bulbil.svg"), ICON)
}

fn is_entry(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.starts_with("bulbil-") && path.extension().is_some_and(|extension| extension == "json")
}

/// 40 pixels wide, as Imager shows it.
const ICON: &str = include_str!("../base/bulbil.svg");
