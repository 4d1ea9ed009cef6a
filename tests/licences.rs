//! What Bulbil is made of: only licences that let anyone use a binary for anything, only the public registry, and no
//! second copy of what protects secrets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop anywhere")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Permissive ones, and MPL-2.0: its duty to publish covers changes to its own files, and we change none.
/// Left out on purpose: GPL, LGPL and AGPL, which a static program could only meet by offering object files.
const ALLOWED: [&str; 16] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Never to be linked: name and reason.
const BANNED: [(&str, &str); 8] = [
    ("aws-lc-rs", "rustls uses ring; one cryptographic library is enough"),
    ("equix", "LGPL; comes with Arti's proof of work for services, which also leaves threads behind"),
    ("hickory-resolver", "nothing may resolve names outside Tor"),
    ("native-tls", "links the machine's OpenSSL"),
    ("openssl-sys", "links the machine's OpenSSL"),
    ("reqwest", "opens sockets of its own, outside Tor"),
    ("xz2", "C code in the way of a download; costs 8 MB at bootstrap"),
    ("zstd-sys", "C code in the way of a download"),
];

/// Must exist once: two versions would mean two sets of types, or fixes that reach only one.
const ONCE: [&str; 11] = [
    "curve25519-dalek",
    "ed25519-dalek",
    "ring",
    "rustls",
    "rusqlite",
    "serde",
    "sha2",
    "subtle",
    "tokio",
    "x25519-dalek",
    "zeroize",
];

/// Names that exist in several versions, nearly all because of Arti's tree. Lower it when it falls; think before raising it.
const DOUBLE: usize = 30;

#[test]
fn every_licence_is_allowed() {
    let refused: Vec<_> = packages()
        .iter()
        .filter(|package| !package.licence.as_deref().is_some_and(allows))
        .map(|package| format!("{} {}: {:?}", package.name, package.version, package.licence))
        .collect();
    assert!(refused.is_empty(), "licences outside the list: {refused:#?}");
}

#[test]
fn everything_comes_from_the_public_registry() {
    for package in packages() {
        let Some(source) = &package.source else { continue };
        let registry = source.starts_with("registry+") && source.ends_with("/crates.io-index");
        assert!(registry, "{} comes from {source}: use a released version", package.name);
    }
}

#[test]
fn nothing_banned_is_linked() {
    let packages = packages();
    for (name, reason) in BANNED {
        assert!(packages.iter().all(|package| package.name != name), "{name} is in the tree: {reason}");
    }
}

#[test]
fn what_matters_exists_once() {
    let mut versions = BTreeMap::<String, BTreeSet<String>>::new();
    for package in packages() {
        versions.entry(package.name).or_default().insert(package.version);
    }
    for name in ONCE {
        let found = versions.get(name).unwrap_or_else(|| panic!("{name} is gone: take it off the list"));
        assert_eq!(found.len(), 1, "{name}: {found:?}; find who brings it with `cargo tree -i {name}`");
    }
    versions.retain(|_, found| found.len() > 1);
    assert!(versions.len() <= DOUBLE, "{} names over {DOUBLE} exist twice: {versions:#?}", versions.len());
}

#[test]
fn expressions_are_understood() {
    for good in ["MIT", "MIT/Apache-2.0", "GPL-2.0-only OR MIT", "(MIT OR GPL-3.0-only) AND Unicode-3.0"] {
        assert!(allows(good), "{good}");
    }
    for bad in [
        "GPL-3.0-only",
        "MIT AND LGPL-3.0-only",
        "(MIT OR ISC) AND AGPL-3.0-only",
        "",
        "Apache-2.0 WITH X",
        "MIT OR",
    ] {
        assert!(!allows(bad), "{bad}");
    }
}

/// One package of the dependency tree.
struct Package {
    name: String,
    version: String,
    licence: Option<String>,
    source: Option<String>,
}

/// Everything that the Linux targets can pull in, as locked.
fn packages() -> Vec<Package> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--locked", "--format-version", "1"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    for target in ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl", "x86_64-unknown-linux-gnu"] {
        cargo.args(["--filter-platform", target]);
    }
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata.get("packages").and_then(Value::as_array).expect("a list of packages");
    let text = |package: &Value, key: &str| package.get(key).and_then(Value::as_str).map(str::to_owned);
    let packages = packages.iter().map(|package| Package {
        name: text(package, "name").unwrap(),
        version: text(package, "version").unwrap(),
        licence: text(package, "license"),
        source: text(package, "source"),
    });
    packages.collect()
}

/// Whether an SPDX expression leaves us a choice of allowed licences only. `/` is what older crates write for `OR`.
fn allows(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    matches!(either(&words), Some((allowed, [])) if allowed)
}

/// `a OR b`: one allowed side is enough. Returns the words that are left.
fn either<'w>(words: &'w [&'w str]) -> Option<(bool, &'w [&'w str])> {
    let (mut allowed, mut rest) = both(words)?;
    while let ["OR", more @ ..] = rest {
        let (other, after) = both(more)?;
        (allowed, rest) = (allowed || other, after);
    }
    Some((allowed, rest))
}

/// `a AND b`, which binds tighter.
fn both<'w>(words: &'w [&'w str]) -> Option<(bool, &'w [&'w str])> {
    let (mut allowed, mut rest) = one(words)?;
    while let ["AND", more @ ..] = rest {
        let (other, after) = one(more)?;
        (allowed, rest) = (allowed && other, after);
    }
    Some((allowed, rest))
}

fn one<'w>(words: &'w [&'w str]) -> Option<(bool, &'w [&'w str])> {
    match words {
        ["(", inside @ ..] => match either(inside)? {
            (allowed, [")", rest @ ..]) => Some((allowed, rest)),
            _ => None,
        },
        [name, "WITH", exception, rest @ ..] => {
            Some((ALLOWED.contains(&format!("{name} WITH {exception}").as_str()), rest))
        }
        [name, rest @ ..] => Some((ALLOWED.contains(name), rest)),
        [] => None,
    }
}
