//! Debian packages: an `ar` archive with a `tar` of content and a `tar` of words about it (deb(5)).

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};

use crate::packages::Package;

/// Bytes that one package's content may have: a kernel has some 200 MB.
const MAX_CONTENT: u64 = 1024 * 1024 * 1024;

/// Links that may follow one another.
const MAX_LINKS: usize = 8;

/// Files of packages by absolute path, each with the package it came with.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    files: BTreeMap<String, Node>,
    /// What the packages say about themselves, in the order they were added.
    pub(crate) origins: Vec<Origin>,
}

/// Where files came from.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) package: Package,
    /// Name and version of the source package.
    pub(crate) source: String,
}

#[derive(Debug)]
enum Node {
    File(Vec<u8>),
    Link(String),
}

impl Tree {
    /// Adds all files of one package.
    pub(crate) fn add(&mut self, package: &Package, deb: &[u8]) -> io::Result<()> {
        let named =
            |error: io::Error| io::Error::other(format!("{} {}: {error}", package.name, package.version));
        let mut source = None;
        let mut archive = ar::Archive::new(deb);
        while let Some(entry) = archive.next_entry() {
            let mut entry = entry.map_err(named)?;
            let name = String::from_utf8_lossy(entry.header().identifier()).into_owned();
            if !name.starts_with("control.tar") && !name.starts_with("data.tar") {
                continue;
            }
            let mut packed = Vec::new();
            entry.read_to_end(&mut packed).map_err(named)?;
            let unpacked = unpack(&name, packed).map_err(named)?;
            if name.starts_with("control") {
                source = Some(source_of(package, &unpacked).map_err(named)?);
            } else {
                self.take(&unpacked).map_err(named)?;
            }
        }
        let source = source.ok_or_else(|| named(io::Error::other("the package does not say what it is")))?;
        self.origins.push(Origin { package: package.clone(), source });
        Ok(())
    }

    /// The bytes at an absolute path; links are followed.
    pub(crate) fn get(&self, path: &str) -> Option<&[u8]> {
        let mut path = path.to_owned();
        for _ in 0..MAX_LINKS {
            match self.files.get(&path)? {
                Node::File(bytes) => return Some(bytes),
                Node::Link(to) => path = join(&path, to),
            }
        }
        None
    }

    /// The same, or an error that says which packages lack it.
    pub(crate) fn need(&self, path: &str) -> io::Result<&[u8]> {
        self.get(path).ok_or_else(|| {
            let names: Vec<&str> = self.origins.iter().map(|origin| origin.package.name.as_str()).collect();
            io::Error::other(format!("no file {path} in {}", names.join(", ")))
        })
    }

    /// Where the link at an absolute path leads, if there is one.
    pub(crate) fn link(&self, path: &str) -> Option<String> {
        match self.files.get(path)? {
            Node::Link(to) => Some(join(path, to)),
            Node::File(_) => None,
        }
    }

    /// All paths that start like this, sorted.
    pub(crate) fn below<'a>(&'a self, start: &'a str) -> impl Iterator<Item = &'a str> {
        self.files
            .range(start.to_owned()..)
            .map(|(path, _)| path.as_str())
            .take_while(move |path| path.starts_with(start))
    }

    fn take(&mut self, tar: &[u8]) -> io::Result<()> {
        for entry in tar::Archive::new(tar).entries()? {
            let mut entry = entry?;
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let path = format!("/{}", path.trim_start_matches("./"));
            let node = match (entry.header().entry_type(), entry.link_name_bytes()) {
                (kind, _) if kind.is_file() => {
                    let mut bytes = Vec::new();
                    entry.read_to_end(&mut bytes)?;
                    Node::File(bytes)
                }
                (_, Some(to)) => Node::Link(String::from_utf8_lossy(&to).into_owned()),
                _ => continue,
            };
            self.files.insert(path, node);
        }
        Ok(())
    }
}

/// Undoes the compression that the name tells of.
pub(crate) fn unpack(name: &str, packed: Vec<u8>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = match name.rsplit('.').next() {
        Some("xz") => {
            lzma_rust2::XzReader::new(Cursor::new(packed), true).take(MAX_CONTENT).read_to_end(&mut bytes)?
        }
        Some("gz") => flate2::read::GzDecoder::new(&packed[..]).take(MAX_CONTENT).read_to_end(&mut bytes)?,
        Some("tar" | "ko") => return Ok(packed),
        _ => return Err(io::Error::other(format!("{name} is packed in a way that is not known here"))),
    };
    if read as u64 == MAX_CONTENT {
        Err(io::Error::other(format!("{name} is over 1 GiB")))
    } else {
        Ok(bytes)
    }
}

/// The source package, from the file `control`.
fn source_of(package: &Package, tar: &[u8]) -> io::Result<String> {
    for entry in tar::Archive::new(tar).entries()? {
        let mut entry = entry?;
        if entry.path_bytes().ends_with(b"control") {
            let mut text = String::new();
            entry.read_to_string(&mut text)?;
            let field = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
            let (version, source) = (field("Version").unwrap_or(&package.version), field("Source"));
            return Ok(match source.unwrap_or(&package.name).split_once(" (") {
                Some((name, version)) => format!("{name} {}", version.trim_end_matches(')')),
                None => format!("{} {version}", source.unwrap_or(&package.name)),
            });
        }
    }
    Err(io::Error::other("no file `control`"))
}

/// Where a link leads.
fn join(from: &str, to: &str) -> String {
    let base = if to.starts_with('/') { "" } else { from.rsplit_once('/').map_or("", |(folder, _)| folder) };
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(to.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_where_they_say() {
        assert_eq!(join("/usr/lib/a/b.bin", "../c/d.bin"), "/usr/lib/c/d.bin");
        assert_eq!(join("/usr/lib/b.bin", "/etc/x"), "/etc/x");
        let mut tree = Tree::default();
        tree.files.insert("/a".into(), Node::Link("b".into()));
        tree.files.insert("/b".into(), Node::Link("a".into()));
        tree.files.insert("/c".into(), Node::Link("d".into()));
        tree.files.insert("/d".into(), Node::File(vec![1]));
        assert_eq!(tree.get("/c"), Some(&[1][..]));
        assert_eq!(tree.get("/a"), None, "a circle");
        assert!(tree.need("/nothing").unwrap_err().to_string().contains("/nothing"));
    }
}
