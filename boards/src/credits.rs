//! Whose work is in the program: each crate and library that is linked into it, with its licence, and each text of a licence once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::Path;
use std::{fs, io};

use serde_json::Value;

use crate::tool;
use crate::workspace::Workspace;

/// The file, which lies beside the program.
pub(crate) const FILE: &str = "THIRD-PARTY.txt";

/// Our own licences, by the names that they have where they are shipped.
pub(crate) const OURS: [(&str, &str); 2] = [
    ("bulbil-MIT.txt", include_str!("../../LICENSE-MIT")),
    ("bulbil-Apache-2.0.txt", include_str!("../../LICENSE-APACHE")),
];

/// Bytes that one text may have: GPL 3 has 35 thousand.
const MAX_TEXT: u64 = 256 * 1024;

/// How a file of a crate starts that says whose it is, in small letters.
const STARTS: [&str; 6] = ["licen", "copying", "copyright", "notice", "unlicense", "authors"];

/// Folders below a crate that are looked into: ring keeps other people's code three deep.
const MAX_DEPTH: u32 = 4;

/// What is linked and is no crate. The C of ring is in its crate, with its licences.
const LIBRARIES: [(&str, &str, &str); 3] = [
    ("musl, the C library", "MIT", include_str!("../licences/musl.txt")),
    ("Rust's standard library", "MIT OR Apache-2.0", include_str!("../licences/rust.txt")),
    ("SQLite, in libsqlite3-sys", "public domain", include_str!("../licences/sqlite.txt")),
];

/// For crates that name a licence and bring no text of it.
const TEXTS: [(&str, &str); 4] = [
    ("Apache-2.0", include_str!("../../LICENSE-APACHE")),
    ("CC0-1.0", include_str!("../licences/CC0-1.0.txt")),
    ("MIT", include_str!("../licences/MIT.txt")),
    ("MPL-2.0", include_str!("../licences/MPL-2.0.txt")),
];

/// What lies beside `program`; if there is nothing, it is made for the workspace as it is now.
pub(crate) fn beside(workspace: &Workspace, program: &Path, target: &str) -> io::Result<Vec<u8>> {
    match fs::read(program.with_file_name(FILE)) {
        Err(error) if error.kind() == ErrorKind::NotFound => make(workspace, target),
        read => read,
    }
}

/// All of it, for a program for `target`.
pub(crate) fn make(workspace: &Workspace, target: &str) -> io::Result<Vec<u8>> {
    let linked = linked(workspace, target)?;
    let mut metadata = tool::cargo(&workspace.root);
    metadata.args(["metadata", "--locked", "--format-version", "1", "--filter-platform", target]);
    let metadata: Value = serde_json::from_str(&tool::capture(&mut metadata)?)?;
    let mut pages = Pages::default();
    let mut list = String::new();
    for (name, licence, text) in LIBRARIES {
        let page = pages.number(text);
        let _ = write!(list, "\n{name}\n   licence  {licence}\n   text     {page}\n");
    }
    for package in metadata.get("packages").and_then(Value::as_array).into_iter().flatten() {
        let known = (word(package, "name").to_owned(), word(package, "version").to_owned());
        // Without a source it is ours, and its licences lie beside this file.
        if linked.contains(&known) && package.get("source").is_some_and(Value::is_string) {
            entry(&mut list, &mut pages, package)?;
        }
    }
    Ok(format!("{HEAD}{list}{}", pages.print()).into_bytes())
}

/// Names and versions of the crates that cargo links for `target`: no tests, no build scripts, no macros.
fn linked(workspace: &Workspace, target: &str) -> io::Result<BTreeSet<(String, String)>> {
    let mut tree = tool::cargo(&workspace.root);
    tree.args(["tree", "--locked", "--package", "bulbil", "--edges", "normal,no-proc-macro"]);
    tree.args(["--target", target, "--prefix", "none", "--format", "{p}"]);
    let crates = tool::capture(&mut tree)?;
    let words = |line: &str| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
    };
    Ok(crates.lines().filter_map(words).collect())
}

/// One crate.
fn entry(list: &mut String, pages: &mut Pages, package: &Value) -> io::Result<()> {
    let (name, version, licence) =
        (word(package, "name"), word(package, "version"), word(package, "license"));
    let home = Path::new(word(package, "manifest_path")).parent().unwrap_or(Path::new("/"));
    let mut texts = Vec::new();
    find(home, MAX_DEPTH, &mut texts)?;
    let mut numbers: BTreeSet<usize> = texts.iter().map(|text| pages.number(text)).collect();
    if numbers.is_empty() {
        numbers = standard(licence).into_iter().map(|text| pages.number(text)).collect();
    }
    if numbers.is_empty() {
        return Err(io::Error::other(format!(
            "the crate {name} {version} brings no text of its licence ({licence}): add the text to boards/licences and to \
             TEXTS in boards/src/credits.rs"
        )));
    }
    let _ = write!(list, "\n{name} {version}\n   licence  {licence}\n");
    let authors: Vec<&str> = package
        .get("authors")
        .and_then(Value::as_array)
        .map_or_else(Vec::new, |authors| authors.iter().filter_map(Value::as_str).collect());
    for (key, text) in [("by", authors.join(", ")), ("source", word(package, "repository").to_owned())] {
        if !text.is_empty() {
            let _ = writeln!(list, "   {key:<8} {text}");
        }
    }
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    let _ =
        writeln!(list, "   {:<8} {}", if numbers.len() == 1 { "text" } else { "texts" }, numbers.join(", "));
    Ok(())
}

/// Texts in files of this folder and of those below it, in the order of their names.
fn find(folder: &Path, depth: u32, texts: &mut Vec<String>) -> io::Result<()> {
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            if depth > 1 {
                find(&path, depth - 1, texts)?;
            }
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        // Sources are sometimes called like this too.
        let code = [".rs", ".c", ".h", ".toml"].iter().any(|end| name.ends_with(end));
        if code || !STARTS.iter().any(|start| name.starts_with(start)) {
            continue;
        }
        if fs::metadata(&path)?.len() > MAX_TEXT {
            return Err(io::Error::other(format!("{} is too long for a licence", path.display())));
        }
        texts.push(String::from_utf8_lossy(&fs::read(&path)?).into_owned());
    }
    Ok(())
}

/// The texts for an SPDX expression: nothing if all of its licences must be met and one of them is not there.
fn standard(licence: &str) -> Vec<&'static str> {
    let names =
        || licence.split([' ', '/', '(', ')']).filter(|name| !["", "OR", "AND", "WITH"].contains(name));
    let text = |name: &str| TEXTS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text);
    let choice = !licence.contains(" AND ") && !licence.contains(" WITH ");
    if choice || names().all(|name| text(name).is_some()) {
        names().filter_map(text).collect()
    } else {
        Vec::new()
    }
}

fn word<'v>(package: &'v Value, key: &str) -> &'v str {
    package.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Texts, each once: lines may be broken otherwise.
#[derive(Default)]
struct Pages {
    numbers: BTreeMap<String, usize>,
    texts: Vec<String>,
}

impl Pages {
    /// The number of a text, from one on.
    fn number(&mut self, text: &str) -> usize {
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let next = self.texts.len() + 1;
        let number = *self.numbers.entry(words).or_insert(next);
        if number == next {
            let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
            self.texts.push(lines.join("\n").trim_matches('\n').to_owned());
        }
        number
    }

    fn print(&self) -> String {
        self.texts.iter().enumerate().fold(String::new(), |mut whole, (at, text)| {
            let _ = write!(whole, "\n{RULE}\ntext {}\n\n{text}\n", at + 1);
            whole
        })
    }
}

/// Stands above all.
const HEAD: &str = "Works of others in the program `bulbil`\n\n\
    Each is named with its licence and with the numbers of the texts that come with it, which stand below. Where a licence says OR, any\n\
    of them may be chosen. Nothing was changed in any of these works; the source of each is where it says, and in the registry of Rust's\n\
    crates under its name and version.\n";

const RULE: &str = "----------------------------------------------------------------------------------------";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_one_number_however_its_lines_break() {
        let mut pages = Pages::default();
        assert_eq!(pages.number("Copyright one\n\nDo as you like.\n"), 1);
        assert_eq!(pages.number("Copyright two\n\nDo as you like.\n"), 2);
        assert_eq!(pages.number("\n  Copyright one\r\n\r\nDo as\nyou like."), 1);
        let printed = pages.print();
        assert_eq!(printed.matches("Copyright one").count(), 1);
        assert!(printed.contains("text 2\n\nCopyright two\n\nDo as you like.\n"), "{printed}");
    }

    #[test]
    fn a_licence_without_its_text_is_found_or_missed() {
        assert_eq!(standard("MIT OR Apache-2.0").len(), 2);
        assert_eq!(standard("Apache-2.0/MIT").len(), 2);
        assert_eq!(standard("LGPL-3.0-or-later OR MPL-2.0").len(), 1);
        assert!(standard("MIT AND Unicode-3.0").is_empty(), "both must be met");
        assert!(standard("Apache-2.0 WITH LLVM-exception").is_empty());
        assert!(standard("").is_empty() && standard("BSD-3-Clause").is_empty());
    }

    /// Asks cargo, as `cargo image` does: what the lock file has, with no path of this machine in it.
    #[test]
    fn the_program_names_what_it_is_made_of() {
        let workspace = Workspace::find().unwrap();
        let target = "x86_64-unknown-linux-musl";
        let text = String::from_utf8(make(&workspace, target).unwrap()).unwrap();
        for part in
            ["\nmusl, the C library\n", "\nring 0.", "\nSQLite, ", "\narti-client 0.", "\nrusqlite 0."]
        {
            assert!(text.contains(part), "{part:?} is missing");
        }
        for word in ["\nbulbil ", "\nsyn ", "\ncc ", "\nbulbil-core "] {
            assert!(!text.contains(word), "{word:?} is not linked, or ours");
        }
        let root = workspace.root.display().to_string();
        assert!(!text.contains(&root) && !text.contains("/registry/src/"), "a path of this machine");
        assert_eq!(make(&workspace, target).unwrap(), text.as_bytes(), "made twice");
    }
}
