//! What an image says of its parts: a manifest with sources, and every licence.

use std::fmt::Write as _;
use std::io;

use crate::board::Board;
use crate::cache;
use crate::credits;
use crate::deb::Tree;
use crate::fat::{self, Files};

/// Adds `MANIFEST.txt` and the folder `LICENSES`.
pub(crate) fn add(
    files: &mut Files,
    board: &Board,
    tree: &Tree,
    (program, credits): (&[u8], Vec<u8>),
    epoch: u64,
) -> io::Result<()> {
    let mut text = head(board, program, epoch);
    for origin in &tree.origins {
        let package = &origin.package;
        let name = format!("LICENSES/{}.txt", package.name);
        let _ = write!(
            text,
            "\npackage  {}\nversion  {}\nsha256   {}\nsource   {}\n",
            package.name, package.version, package.sha256, origin.source
        );
        if let Some(licence) = licence(tree, &package.name) {
            let _ = writeln!(text, "licence  {name}");
            files.insert(name, licence.to_vec());
        } else if package.size > LARGEST_EMPTY {
            return Err(io::Error::other(format!("{} brings no copyright file", package.name)));
        }
    }
    for (name, licence) in credits::OURS {
        files.insert(format!("LICENSES/{name}"), licence.as_bytes().to_vec());
    }
    files.insert(format!("LICENSES/{CREDITS}"), credits);
    files.insert("MANIFEST.txt".to_owned(), text.into_bytes());
    Ok(())
}

fn head(board: &Board, program: &[u8], epoch: u64) -> String {
    let (year, month, day) = fat::date(epoch);
    format!(
        "What is on this boot partition\n\n\
         board    {} ({})\nas of    {year}-{month:02}-{day:02}\n\n\
         Everything but Bulbil itself comes unchanged from packages of Debian for arm64. The source of each is in Debian's archive of\n\
         sources under the name and version that stand beside `source`. The kernel and its modules are under the GNU General Public\n\
         License, version 2. The boot firmware of Raspberry Pi may be used with a Raspberry Pi only.\n\n\
         program  bulbil\nversion  {}\nsha256   {}\nlicence  LICENSES/bulbil-MIT.txt or LICENSES/bulbil-Apache-2.0.txt\n\
         parts    LICENSES/{CREDITS}\n",
        board.name,
        board.id,
        env!("CARGO_PKG_VERSION"),
        cache::hex(program),
    )
}

/// The file `copyright` of a package; a link to another package's leads there.
fn licence<'a>(tree: &'a Tree, name: &str) -> Option<&'a [u8]> {
    let own = |name: &str| tree.get(&format!("/usr/share/doc/{name}/copyright"));
    own(name).or_else(|| {
        // A split package points with its whole folder to the part that has the papers.
        let folder = format!("/usr/share/doc/{name}");
        let to = tree.link(&folder)?;
        own(to.rsplit('/').next()?)
    })
}

/// What is in the program.
const CREDITS: &str = "bulbil-THIRD-PARTY.txt";

/// Bytes of the largest package that holds dependencies only.
const LARGEST_EMPTY: u64 = 4096;
