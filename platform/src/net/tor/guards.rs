//! The relays by which Arti enters the network, as it remembers them. A node that chose new ones at each start would meet
//! a hostile one sooner or later; so they can be taken along.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use serde_json::Value;

/// What Arti 0.47 calls them: `tor-guardmgr`'s storage keys, each a JSON file under `state` in its state directory.
const KEYS: [&str; 2] = ["guards", "vanguards"];

/// Bytes of such a file at most; Arti's take some 20 KiB.
const MAX_FILE: u64 = 1024 * 1024;

/// What Arti remembers in its state directory `folder`; what is not there, or no JSON, is left out.
pub(in crate::net) fn read(folder: &Path) -> BTreeMap<String, Value> {
    let load = |key: &str| {
        let path = folder.join("state").join(format!("{key}.json"));
        let small = fs::metadata(&path).is_ok_and(|about| about.len() <= MAX_FILE);
        let bytes = if small { fs::read(&path).ok()? } else { return None };
        Some((key.to_owned(), serde_json::from_slice(&bytes).ok()?))
    };
    KEYS.iter().filter_map(|key| load(key)).collect()
}

/// Gives them to an Arti that has not been started yet. Other keys than Arti's are left out.
pub(in crate::net) fn write(folder: &Path, guards: &BTreeMap<String, Value>) -> io::Result<()> {
    let folder = folder.join("state");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    for (key, value) in guards.iter().filter(|(key, _)| KEYS.contains(&key.as_str())) {
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600);
        serde_json::to_writer(file.open(folder.join(format!("{key}.json")))?, value)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::scratch::Scratch;
    use serde_json::json;

    #[test]
    fn they_come_back_as_they_were_and_nothing_else_is_written() {
        let scratch = Scratch::new("guards");
        assert!(read(scratch.path()).is_empty());
        let mut guards = BTreeMap::from([("guards".to_owned(), json!({"default": {"guards": [1]}}))]);
        write(scratch.path(), &guards).unwrap();
        assert_eq!(read(scratch.path()), guards);
        guards.insert("../../escape".to_owned(), json!(1));
        write(scratch.path(), &guards).unwrap();
        assert_eq!(fs::read_dir(scratch.path().join("state")).unwrap().count(), 1);
    }
}
