//! Keep files and a foreign program: what we seal `pyrage` opens, and what it seals we open.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "all of this file is a test")]

use std::fs;
use std::path::Path;
use std::process::Command;

use bulbil::keep::{self, Kept, Passphrase};
use bulbil::state::{Secret, State, StateDir};
use bulbil_tests::python;
use bulbil_tests::scratch::Scratch;
use serde_json::Value;

/// Another implementation of the age format, with its own version of every cipher but the language.
const WHEEL: &str = "pyrage==1.4.0";

const WORDS: &str = "five words that nobody guesses";

/// `open IN OUT` or `seal IN OUT`.
const FOREIGN: &str = r"
import sys, pyrage
how, source, target, words = sys.argv[1:]
work = pyrage.passphrase.decrypt if how == 'open' else pyrage.passphrase.encrypt
open(target, 'wb').write(work(open(source, 'rb').read(), words))
";

#[test]
fn another_age_tool_opens_ours_and_we_open_its() {
    let python = python::with("pyrage", WHEEL, Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
    let foreign = |how: &str, source: &Path, target: &Path, words: &str| {
        let mut command = Command::new(&python);
        command.args(["-c", FOREIGN, how]).args([source, target]).arg(words);
        command.output().unwrap().status.success()
    };
    let scratch = Scratch::in_memory("keep").unwrap();
    let state = StateDir::open(&scratch.join("state"), false).unwrap();
    state.save(&State { catalogue: Some(Secret([7; 32])), ..State::default() }).unwrap();
    let passphrase = Passphrase::to_seal(WORDS).unwrap();
    let (ours, plain, theirs) = (scratch.join("ours"), scratch.join("plain"), scratch.join("theirs"));
    keep::write(&ours, &Kept::collect(state.path()).unwrap().seal(&passphrase).unwrap()).unwrap();

    assert!(!foreign("open", &ours, &plain, "another passphrase"));
    assert!(foreign("open", &ours, &plain, WORDS));
    let text: Value = serde_json::from_slice(&fs::read(&plain).unwrap()).unwrap();
    assert_eq!(text["bulbil_keep"], 1);
    assert_eq!(text["state"]["catalogue"], "07".repeat(32));

    assert!(foreign("seal", &plain, &theirs, WORDS));
    let kept = Kept::load(&theirs, &passphrase).unwrap();
    assert_eq!(kept.state, state.load().unwrap());
}
