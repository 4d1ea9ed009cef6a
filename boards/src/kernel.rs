//! The kernel among the files of packages, and which of its modules a board needs.
//!
//! Debian's packages carry no `modules.dep`: each module says in its section `.modinfo` what it needs.

mod modinfo;

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::deb::{self, Tree};
use modinfo::Modinfo;

/// One kernel.
#[derive(Debug)]
pub(crate) struct Kernel<'a> {
    tree: &'a Tree,
    /// Such as `6.12.0+deb13-arm64`.
    pub(crate) release: String,
    /// Path of each module by its name, with underscores.
    modules: BTreeMap<String, &'a str>,
    /// Names of modules that are part of the kernel, and what those answer to.
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
        let builtin = builtin(tree, &home);
        Ok(Self { tree, release: release.to_owned(), modules, builtin })
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
            closure.add(&plain(name), "board.toml")?;
        }
        Ok(closure.loaded)
    }

    /// The modules that answer to this other name. Reading all of them takes half a minute, so those in folders of the name's first word
    /// come first: `crypto_crc32c` is in `crypto`.
    fn answering(&self, alias: &str) -> io::Result<Vec<String>> {
        let folder = format!("/{}/", alias.split('_').next().unwrap_or_default());
        let (near, far): (Vec<_>, Vec<_>) =
            self.modules.iter().partition(|(_, path)| path.contains(folder.as_str()));
        for part in [near, far] {
            let mut found = Vec::new();
            for (name, path) in part {
                if read(name, &self.unpacked(path)?)?.aliases.iter().any(|own| own == alias) {
                    found.push(name.clone());
                }
            }
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }

    fn module(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.modules.get(name).map(|path| self.unpacked(path)).transpose()
    }

    fn unpacked(&self, path: &str) -> io::Result<Vec<u8>> {
        let bytes = self.tree.need(path)?.to_vec();
        deb::unpack(path, bytes).map_err(|error| io::Error::other(format!("{path}: {error}")))
    }
}

struct Closure<'k, 'a> {
    kernel: &'k Kernel<'a>,
    seen: BTreeSet<String>,
    loaded: Vec<Module>,
}

impl Closure<'_, '_> {
    /// Depth is bounded by the number of modules: each is entered once.
    fn add(&mut self, name: &str, by: &str) -> io::Result<()> {
        if !self.seen.insert(name.to_owned()) {
            return Ok(());
        }
        let Some(bytes) = self.kernel.module(name)? else {
            if self.kernel.builtin.contains(name) {
                return Ok(());
            }
            let release = &self.kernel.release;
            return Err(io::Error::other(format!(
                "kernel {release} has no module `{name}`, which {by} asks for"
            )));
        };
        let info = read(name, &bytes)?;
        for before in &info.depends {
            self.add(before, name)?;
        }
        for before in &info.before {
            self.soft(before, name)?;
        }
        self.loaded.push(Module { name: name.to_owned(), bytes });
        for after in &info.after {
            self.soft(after, name)?;
        }
        Ok(())
    }

    /// What a module would like to have beside it: a module's own name, or one that others answer to. A driver may run without, and ext4
    /// mounts nothing then, so what is missing must be known here.
    fn soft(&mut self, wish: &str, by: &str) -> io::Result<()> {
        if self.kernel.builtin.contains(wish) || self.kernel.modules.contains_key(wish) {
            return self.add(wish, by);
        }
        let found = self.kernel.answering(wish)?;
        if found.is_empty() && !NOT_THERE.iter().any(|(name, _)| *name == wish) {
            return Err(io::Error::other(format!(
                "no module of kernel {} is `{wish}` or answers to it, which {by} would have beside it: if it works without, \
                 say why in NOT_THERE of boards/src/kernel.rs",
                self.kernel.release
            )));
        }
        found.iter().try_for_each(|name| self.add(name, wish))
    }
}

fn read(name: &str, bytes: &[u8]) -> io::Result<Modinfo> {
    Modinfo::read(bytes).map_err(|why| io::Error::other(format!("module {name}: {why}")))
}

/// Names of what is part of the kernel, from `modules.builtin`, and what it answers to, from `modules.builtin.modinfo`.
fn builtin(tree: &Tree, home: &str) -> BTreeSet<String> {
    let text = |name: &str| {
        String::from_utf8_lossy(tree.get(&format!("{home}{name}")).unwrap_or_default()).into_owned()
    };
    let (files, words) = (text("modules.builtin"), text("modules.builtin.modinfo"));
    let names = files.lines().filter_map(|line| line.rsplit('/').next()?.strip_suffix(".ko"));
    let aliases = words.split('\0').filter_map(|line| line.split_once(".alias=").map(|(_, name)| name));
    names.chain(aliases).map(plain).collect()
}

/// One spelling for `a-b` and `a_b`, which mean the same module.
fn plain(name: &str) -> String {
    name.replace('-', "_")
}

/// Where modules are, one folder for each kernel.
const MODULES: &str = "/usr/lib/modules/";

/// Names that modules would have beside them and no package has, each with why that does no harm.
const NOT_THERE: [(&str, &str); 0] = [];
