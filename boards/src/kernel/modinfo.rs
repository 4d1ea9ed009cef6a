//! What a module says of itself in its section `.modinfo`: lines `key=value`, each ended by a zero.

use std::io;

use object::{Object, ObjectSection};

use super::plain;

/// What a module says of itself and of others.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Modinfo {
    /// Must be there before it.
    pub(super) depends: Vec<String>,
    /// Should be loaded before it.
    pub(super) before: Vec<String>,
    /// Should be loaded after it.
    pub(super) after: Vec<String>,
    /// Other names that it answers to. Those of devices have wildcards in them; nobody asks for these by name.
    pub(super) aliases: Vec<String>,
}

impl Modinfo {
    /// Reads it from a module's bytes.
    pub(super) fn read(module: &[u8]) -> io::Result<Self> {
        let file = object::File::parse(module).map_err(io::Error::other)?;
        let section =
            file.section_by_name(".modinfo").ok_or_else(|| io::Error::other("no section .modinfo"))?;
        Ok(Self::parse(section.data().map_err(io::Error::other)?))
    }

    fn parse(section: &[u8]) -> Self {
        let mut this = Self::default();
        for line in section.split(|byte| *byte == 0) {
            let line = String::from_utf8_lossy(line);
            match line.split_once('=') {
                Some(("depends", names)) => {
                    this.depends.extend(names.split(',').filter(|name| !name.is_empty()).map(plain));
                }
                Some(("softdep", rule)) => this.soft(rule),
                Some(("alias", name)) => this.aliases.push(plain(name)),
                _ => {}
            }
        }
        this
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_say_what_they_need_and_what_they_answer_to() {
        let section =
            b"license=GPL\0depends=mmc-core,\0softdep=pre: crc32c post: wcc-x\0\0depends=\0alias=crypto-x";
        let info = Modinfo::parse(section);
        assert_eq!(info.depends, ["mmc_core"]);
        assert_eq!((info.before, info.after), (vec!["crc32c".to_owned()], vec!["wcc_x".to_owned()]));
        assert_eq!(info.aliases, ["crypto_x"]);
    }
}
