//! The rules about where things live, checked over the whole tree.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "all of this file is a test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Lines of a file before its tests.
const MAX_FILE_LINES: usize = 400;

/// Lines of a function, signature included.
const MAX_FUNCTION_LINES: usize = 60;

/// Features of a crate.
const MAX_FEATURES: usize = 3;

/// What core may stand on: all of it works without an operating system.
const CORE_STANDS_ON: [&str; 13] = [
    "ed25519-dalek",
    "embassy-futures",
    "embedded-io-async",
    "hash32",
    "heapless",
    "hmac",
    "log",
    "postcard",
    "serde",
    "sha2",
    "subtle",
    "unicode-normalization",
    "zeroize",
];

#[test]
fn the_top_level_holds_the_agreed_names_only() {
    let agreed =
        ["Cargo.toml", "Cargo.lock", "core", "platform", "boards", "tests", "cross.toml", "README.md"];
    let names = fs::read_dir(top()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let odd = names.filter(|name| {
        let hidden_or_built = name.starts_with('.') || name.starts_with("LICENSE") || name == "target";
        !hidden_or_built && !agreed.contains(&name.as_str())
    });
    none(odd, "not among the agreed names at the top");
}

#[test]
fn every_top_folder_has_a_readme() {
    let folders = ["core", "platform", "boards", "tests"];
    none(
        folders.into_iter().filter(|folder| !top().join(folder).join("README.md").is_file()),
        "without README.md",
    );
}

#[test]
fn files_and_functions_are_short_enough_to_read() {
    let mut long = Vec::new();
    for source in sources() {
        let lines = source.before_tests().lines().count();
        if lines > MAX_FILE_LINES {
            long.push(format!("{}: {lines} lines before the tests", source.name));
        }
        for function in functions(source.before_tests()) {
            if function.lines > MAX_FUNCTION_LINES {
                long.push(format!("{}: {} has {} lines", source.name, function.name, function.lines));
            }
        }
    }
    none(long, "longer than one can read at once");
}

#[test]
fn no_file_is_a_drawer() {
    let drawers = ["mod.rs", "util.rs", "utils.rs", "common.rs", "helpers.rs", "types.rs", "misc.rs"];
    let found = sources().into_iter().filter(|source| drawers.contains(&source.file_name()));
    none(found.map(|source| source.name), "named for nothing in particular");
}

#[test]
fn crates_depend_along_the_arrows_only() {
    let mut wrong = Vec::new();
    for package in packages() {
        let allowed: &[&str] = match text(&package, "name") {
            "bulbil" => &["bulbil-core"],
            "bulbil-tests" => &["bulbil-core", "bulbil"],
            _ => &[],
        };
        for dependency in list(&package, "dependencies") {
            let (from, to) = (text(&package, "name"), text(dependency, "name"));
            let ours = dependency.get("path").is_some_and(Value::is_string);
            let shipped = dependency["kind"] != "dev";
            if ours && !allowed.contains(&to) {
                wrong.push(format!("{from} depends on {to}"));
            }
            if from == "bulbil-core" && shipped && !CORE_STANDS_ON.contains(&to) {
                wrong.push(format!("{from} stands on {to}, which is not on its list"));
            }
            if from != "bulbil" && (to.starts_with("arti-") || to.starts_with("tor-")) {
                wrong.push(format!("{from} depends on {to}: only bulbil may know Arti"));
            }
        }
    }
    none(wrong, "against the arrows");
}

#[test]
fn crates_have_few_features() {
    let many = packages().into_iter().filter_map(|package| {
        let features = package["features"].as_object()?.keys().filter(|name| *name != "default").count();
        (features > MAX_FEATURES).then(|| format!("{}: {features} features", text(&package, "name")))
    });
    none(many, "with more features than anyone tests");
}

#[test]
fn arti_is_named_in_one_place() {
    let named = |word: &str| word == "arti_client" || word.starts_with("tor_");
    let found = sources().into_iter().filter(|source| {
        let home = source.name.starts_with("platform/src/net/tor");
        let socks = source.name.starts_with("platform/src/proxy/socks");
        !home && paths(&source.code).any(|word| named(word) && !(socks && word == "tor_socksproto"))
    });
    none(found.map(|source| source.name), "naming Arti outside platform/src/net/tor");
}

#[test]
fn the_system_is_called_in_one_place() {
    let found = sources().into_iter().filter(|source| {
        let home = source.name.starts_with("platform/src/sys") || source.name.starts_with("tests/");
        !home && paths(&source.code).any(|word| word == "memmap2" || word == "nix")
    });
    none(found.map(|source| source.name), "calling memmap2 or nix outside platform/src/sys");
}

#[test]
fn unsafe_code_is_in_one_place() {
    let found = sources().into_iter().filter(|source| {
        !source.name.starts_with("platform/src/sys") && words(&source.code).any(|(_, word)| word == "unsafe")
    });
    none(found.map(|source| source.name), "with unsafe code outside platform/src/sys");
}

#[test]
fn features_do_not_change_functions() {
    let mut found = Vec::new();
    for source in sources() {
        let inside =
            functions(&source.code).into_iter().filter(|function| function.body.contains("cfg(feature"));
        found.extend(inside.map(|function| format!("{}: {}", source.name, function.name)));
    }
    none(found, "with a feature inside a function");
}

#[test]
fn nothing_is_left_open() {
    let open = ["todo!", "unimplemented!", "dbg!", "#[ignore"];
    let found = sources().into_iter().filter(|source| open.iter().any(|word| source.code.contains(word)));
    none(found.map(|source| source.name), "with something left open");
}

#[test]
fn tests_wait_for_events() {
    let found = sources().into_iter().filter(|source| {
        let waits = source.name == "tests/src/wait.rs" || source.name.starts_with("platform/");
        !waits && words(&source.code).any(|(_, word)| word == "sleep")
    });
    none(found.map(|source| source.name), "sleeping instead of waiting for something");
}

#[test]
fn no_path_of_one_machine_is_written_down() {
    let mut found = Vec::new();
    for file in
        files(&top()).into_iter().filter(|file| file.file_name().is_some_and(|name| name != "Cargo.lock"))
    {
        let Ok(content) = fs::read_to_string(&file) else { continue };
        for folder in ["work", "tmp", "root", "home"].map(|name| format!("/{name}/")) {
            let private = content.split(&folder).skip(1).any(|rest| rest.starts_with(is_name));
            if private {
                found.push(format!("{}: {folder}", name(&file)));
            }
        }
    }
    none(found, "with a path that exists on one machine only");
}

fn is_name(letter: char) -> bool {
    letter.is_ascii_lowercase() || letter == '.'
}

fn none(found: impl IntoIterator<Item = impl std::fmt::Display>, what: &str) {
    let found: Vec<String> = found.into_iter().map(|one| format!("\n  {one}")).collect();
    assert!(found.is_empty(), "{what}:{}", found.concat());
}

/// The folder of the workspace.
fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn name(path: &Path) -> String {
    path.strip_prefix(top()).unwrap().to_str().unwrap().to_owned()
}

/// All files below `folder`, except what git and cargo keep there.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let kept = [".git", "target", "corpus", "artifacts", "coverage"];
        if kept.iter().any(|name| path.ends_with(name)) {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// One Rust file.
struct Source {
    name: String,
    /// Its text with the content of comments and strings blanked.
    code: String,
}

impl Source {
    fn file_name(&self) -> &str {
        self.name.rsplit('/').next().unwrap()
    }

    fn before_tests(&self) -> &str {
        self.code.split("#[cfg(test)]").next().unwrap()
    }
}

fn sources() -> Vec<Source> {
    let rust =
        files(&top()).into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let found: Vec<Source> = rust
        .map(|path| Source { name: name(&path), code: blank(&fs::read_to_string(&path).unwrap()) })
        .collect();
    assert!(found.iter().any(|source| source.name == "tests/layout.rs"), "this very file was not found");
    found
}

/// Replaces what stands in comments, strings and characters by spaces; lines stay where they are.
fn blank(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < letters.len() {
        let end = match letters[at..] {
            ['/', '/', ..] => until(&letters, at, &['\n'], false),
            ['/', '*', ..] => until(&letters, at + 2, &['*', '/'], false),
            ['r', '"', ..] => until(&letters, at + 2, &['"'], false),
            ['r', '#', '"', ..] => until(&letters, at + 3, &['"', '#'], false),
            ['"', ..] => until(&letters, at + 1, &['"'], true),
            ['\'', '\\', _, ..] => until(&letters, at + 3, &['\''], false),
            ['\'', _, '\'', ..] => at + 3,
            _ => at,
        };
        if end == at {
            code.push(letters[at]);
            at += 1;
        } else {
            code.extend(letters[at..end].iter().map(|letter| if *letter == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    code
}

/// Where `close` ends, looking from `at`. With `escapes`, a backslash hides the letter after it.
fn until(letters: &[char], mut at: usize, close: &[char], escapes: bool) -> usize {
    while at < letters.len() && !letters[at..].starts_with(close) {
        at += if escapes && letters[at] == '\\' { 2 } else { 1 };
    }
    (at + close.len()).min(letters.len())
}

/// Every word, with the place it starts at.
fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    code.split(|letter: char| !letter.is_alphanumeric() && letter != '_').filter_map(move |word| {
        let start = at;
        at += word.len() + code[at + word.len()..].chars().next().map_or(0, char::len_utf8);
        (!word.is_empty()).then_some((start, word))
    })
}

/// Every word that a path starts or goes on with: those before `::`.
fn paths(code: &str) -> impl Iterator<Item = &str> {
    words(code).filter(|(at, word)| code[at + word.len()..].starts_with("::")).map(|(_, word)| word)
}

/// One function, the functions within it included.
struct Function {
    name: String,
    body: String,
    lines: usize,
}

fn functions(code: &str) -> Vec<Function> {
    let mut found = Vec::new();
    let mut before = "";
    for (at, word) in words(code) {
        if before == "fn" {
            found.extend(body(&code[at..]).map(|body| Function {
                name: word.to_owned(),
                body: body.to_owned(),
                lines: body.lines().count(),
            }));
        }
        // A function's type, `fn(...)`, has no name.
        before = if code[at + word.len()..].starts_with('(') { "" } else { word };
    }
    found
}

/// From the name of a function to the end of its body; `None` if it has none.
fn body(code: &str) -> Option<&str> {
    let open = code.find(['{', ';']).filter(|at| code[*at..].starts_with('{'))?;
    let mut depth = 0;
    for (at, letter) in code[open..].char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 1 => return code.get(..=open + at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The packages of the workspace, as cargo describes them.
fn packages() -> Vec<Value> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["metadata", "--format-version", "1", "--no-deps", "--offline"]).current_dir(top());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let all: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = list(&all, "packages").to_vec();
    let names: BTreeSet<&str> = packages.iter().map(|package| text(package, "name")).collect();
    assert_eq!(names, BTreeSet::from(["bulbil", "bulbil-boards", "bulbil-core", "bulbil-tests"]));
    packages
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().unwrap()
}

#[test]
fn the_reader_of_code_is_not_fooled() {
    let code =
        blank("a(\"un\\\"safe\", 'x', '\"'); // unsafe\nlet b: &'a str = r#\"unsafe \" \"#; unsafe_code");
    assert!(words(&code).all(|(_, word)| word != "unsafe"));
    assert!(words(&code).any(|(_, word)| word == "unsafe_code"));
    assert_eq!(code.lines().count(), 2);
    assert_eq!(paths("use nix::unistd; let nix = a::b::c;").collect::<Vec<_>>(), ["nix", "a", "b"]);
    let found = functions("trait A { fn a(); } fn b(x: fn(u8) -> u8) {\n { }\n}\nfn c() -> u8 { 1 }");
    assert_eq!(
        found.iter().map(|one| (one.name.as_str(), one.lines)).collect::<Vec<_>>(),
        [("b", 3), ("c", 1)]
    );
}
