//! The kernel among the files of packages, and which of its modules a board needs.
//!
//! Debian's packages carry no `modules.dep`: each module says in its section `.modinfo` what it needs.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use object::{Object, ObjectSection};

use crate::deb::{self, Tree};

/// One kernel.
#[derive(Debug)]
pub(crate) struct Kernel<'a> {
    tree: &'a Tree,
    /// Such as `6.12.0+deb13-arm64`.
    pub(crate) release: String,
    /// Path of each module by its name, with underscores.
    modules: BTreeMap<String, &'a str>,
    /// Names of modules that are part of the kernel.
    builtin: BTreeSet<String>,
}

/// One module, unpacked.
#[derive(Debug)]
pub(crate) struct Module {
    /// With underscores, as the kernel shows it.
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

impl<'a> Kernel<'a> {
    /// Finds the one kernel in `tree`.
    pub(crate) fn find(tree: &'a Tree) -> io::Result<Self> {
        let release = tree.below(MODULES).find_map(|path| path.strip_prefix(MODULES)?.split('/').next());
        let release =
            release.ok_or_else(|| io::Error::other("the board's packages bring no kernel modules"))?;
        let home = format!("{MODULES}{release}/");
        let mut modules = BTreeMap::new();
        for path in tree.below(MODULES).filter(|path| path.starts_with(&home)) {
            let file = path.rsplit('/').next().unwrap_or_default();
            if let Some((name, "ko" | "ko.xz" | "ko.gz")) = file.split_once('.') {
                modules.insert(plain(name), path);
            }
        }
        let builtin = tree.get(&format!("{home}modules.builtin")).unwrap_or_default();
        let builtin = String::from_utf8_lossy(builtin);
        let name = |line: &str| Some(plain(line.rsplit('/').next()?.strip_suffix(".ko")?));
        Ok(Self {
            tree,
            release: release.to_owned(),
            modules,
            builtin: builtin.lines().filter_map(name).collect(),
        })
    }

    /// The kernel itself.
    pub(crate) fn image(&self) -> io::Result<&'a [u8]> {
        let old = self.tree.get(&format!("/boot/vmlinuz-{}", self.release));
        old.map_or_else(|| self.tree.need(&format!("{MODULES}{}/vmlinuz", self.release)), Ok)
    }

    /// A device tree, such as `broadcom/x.dtb`.
    pub(crate) fn device_tree(&self, name: &str) -> io::Result<&'a [u8]> {
        let old = self.tree.get(&format!("/usr/lib/linux-image-{}/{name}", self.release));
        old.map_or_else(|| self.tree.need(&format!("{MODULES}{}/dtb/{name}", self.release)), Ok)
    }

    /// These modules and all they need, each after what it needs.
    pub(crate) fn closure(&self, names: &[String]) -> io::Result<Vec<Module>> {
        let mut closure = Closure { kernel: self, seen: BTreeSet::new(), loaded: Vec::new() };
        for name in names {
            closure.add(&plain(name), "board.toml", true)?;
        }
        Ok(closure.loaded)
    }

    fn module(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let Some(path) = self.modules.get(name) else { return Ok(None) };
        let bytes = self.tree.need(path)?.to_vec();
        deb::unpack(path, bytes).map(Some).map_err(|error| io::Error::other(format!("{path}: {error}")))
    }
}

struct Closure<'k, 'a> {
    kernel: &'k Kernel<'a>,
    seen: BTreeSet<String>,
    loaded: Vec<Module>,
}

impl Closure<'_, '_> {
    /// Depth is bounded by the number of modules: each is entered once.
    fn add(&mut self, name: &str, by: &str, needed: bool) -> io::Result<()> {
        if !self.seen.insert(name.to_owned()) {
            return Ok(());
        }
        let Some(bytes) = self.kernel.module(name)? else {
            if !needed || self.kernel.builtin.contains(name) {
                return Ok(());
            }
            return Err(io::Error::other(format!(
                "kernel {} has no module `{name}`, which {by} asks for",
                self.kernel.release
            )));
        };
        let needs = Needs::read(&bytes).map_err(|why| io::Error::other(format!("module {name}: {why}")))?;
        for before in &needs.depends {
            self.add(before, name, true)?;
        }
        for before in &needs.before {
            self.add(before, name, false)?;
        }
        self.loaded.push(Module { name: name.to_owned(), bytes });
        for after in &needs.after {
            self.add(after, name, false)?;
        }
        Ok(())
    }
}

/// What a module says of others.
#[derive(Debug, Default, Eq, PartialEq)]
struct Needs {
    /// Must be there.
    depends: Vec<String>,
    /// Should be loaded before it, if they are there.
    before: Vec<String>,
    /// Should be loaded after it, if they are there.
    after: Vec<String>,
}

impl Needs {
    fn read(module: &[u8]) -> io::Result<Self> {
        let file = object::File::parse(module).map_err(io::Error::other)?;
        let section =
            file.section_by_name(".modinfo").ok_or_else(|| io::Error::other("no section .modinfo"))?;
        Ok(Self::parse(section.data().map_err(io::Error::other)?))
    }

    /// Lines `key=value`, each ended by a zero.
    fn parse(section: &[u8]) -> Self {
        let mut needs = Self::default();
        for line in section.split(|byte| *byte == 0) {
            let line = String::from_utf8_lossy(line);
            match line.split_once('=') {
                Some(("depends", names)) => {
                    needs.depends.extend(names.split(',').filter(|name| !name.is_empty()).map(plain));
                }
                Some(("softdep", rule)) => needs.soft(rule),
                _ => {}
            }
        }
        needs
    }

    /// `pre: a b post: c`.
    fn soft(&mut self, rule: &str) {
        let mut after = false;
        for word in rule.split_whitespace() {
            match word {
                "pre:" => after = false,
                "post:" => after = true,
                name if after => self.after.push(plain(name)),
                name => self.before.push(plain(name)),
            }
        }
    }
}

/// One spelling for `a-b` and `a_b`, which mean the same module.
fn plain(name: &str) -> String {
    name.replace('-', "_")
}

/// Where modules are, one folder for each kernel.
const MODULES: &str = "/usr/lib/modules/";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_say_what_they_need() {
        let section = b"license=GPL\0depends=mmc-core,\0softdep=pre: crc32c post: wcc-x\0\0depends=\0alias=x";
        let needs = Needs::parse(section);
        assert_eq!(needs.depends, ["mmc_core"]);
        assert_eq!((needs.before, needs.after), (vec!["crc32c".to_owned()], vec!["wcc_x".to_owned()]));
    }
}
