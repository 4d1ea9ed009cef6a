//! The checks, in the order they begin: quick ones first.

use std::io;
use std::time::Duration;

use super::cargo::{printed, tool, workspace};
use super::place::Place;
use super::{Check, Counts, Outcome};
use crate::packages::{self, is_installed};
use crate::{board, browser, foreign};

/// What `--quick` runs.
pub(super) const QUICK: &[Check] = &[FORMAT, LINTS, UNIT_TESTS];

/// Everything.
pub(super) const ALL: &[Check] = &[
    Check { name: "programs from the system", beside: false, run: system },
    Check { name: "compiler targets", beside: false, run: targets },
    FORMAT,
    LINTS,
    Check { name: "documentation without warnings", beside: false, run: documentation },
    Check { name: "programs under test", beside: false, run: programs },
    Check { name: "static programs", beside: false, run: static_programs },
    // One builds, two interpret, and tests wait for networks most of their time.
    Check { name: "core under miri", beside: true, run: miri },
    Check { name: "licences and sources of dependencies", beside: true, run: dependencies },
    Check { name: "tests", beside: false, run: tests },
    Check { name: "simulated swarms", beside: false, run: simulation },
    Check { name: "examples in the documentation", beside: false, run: doc_tests },
    Check {
        name: "core for Cortex-M0 (thumbv6m)",
        beside: false,
        run: |place| core_for(place, "thumbv6m-none-eabi"),
    },
    Check {
        name: "core for Cortex-M4 (thumbv7em)",
        beside: false,
        run: |place| core_for(place, "thumbv7em-none-eabihf"),
    },
    Check { name: "core links without an allocator", beside: false, run: bare_metal },
    Check { name: "core's vectors on an emulated Cortex-M4", beside: false, run: vectors },
    Check { name: "fuzz targets build", beside: false, run: fuzz },
];

const FORMAT: Check =
    Check { name: "formatting", beside: false, run: |place| holds(place, "fmt --all --check") };
const LINTS: Check = Check {
    name: "lints",
    beside: false,
    run: |place| {
        holds(place, "clippy --locked --workspace --all-targets --features bulbil-core/sim -- -D warnings")
    },
};
const UNIT_TESTS: Check = Check {
    name: "unit tests",
    beside: false,
    run: |place| tested(place, "--locked --workspace --lib --bins", "--locked --workspace --lib --bins"),
};

/// The longest that one command may take, on a machine that does other things as well.
const STEP: Duration = Duration::from_secs(40 * 60);

fn holds(place: &Place, arguments: &str) -> io::Result<Outcome> {
    place.run(STEP, &mut place.cargo(arguments)).map(Outcome::Holds)
}

/// Runs tests with cargo-nextest, or with cargo alone where that is missing.
fn tested(place: &Place, nextest: &str, plain: &str) -> io::Result<Outcome> {
    if has_subcommand("nextest") {
        let command = &mut place.cargo(&format!("nextest run --no-fail-fast {nextest}"));
        return place.run(STEP, command).map(Outcome::Holds);
    }
    place.say("   cargo-nextest is not installed: `cargo test` runs the same tests, more slowly\n");
    place.run(STEP, &mut place.cargo(&format!("test --no-fail-fast {plain}"))).map(Outcome::Holds)
}

fn system(_: &Place) -> io::Result<Outcome> {
    packages::ensure(&packages::NETWORK)?;
    // Before the tests, because two of them cannot install at a time.
    packages::ensure(&packages::VERIFY)?;
    packages::ensure(&foreign::PROGRAMS)?;
    packages::ensure(&foreign::NODE)?;
    packages::ensure(&board::NEEDS)?;
    packages::ensure(&browser::BROWSER)?;
    Ok(Outcome::Holds(Counts::default()))
}

fn targets(place: &Place) -> io::Result<Outcome> {
    place.run(STEP, &mut place.tool("rustup", &format!("target add {TARGETS}"))).map(Outcome::Holds)
}

fn documentation(place: &Place) -> io::Result<Outcome> {
    let mut command = place.cargo("doc --locked --workspace --no-deps");
    command.env("RUSTDOCFLAGS", "-D warnings");
    place.run(STEP, &mut command).map(Outcome::Holds)
}

fn programs(place: &Place) -> io::Result<Outcome> {
    holds(place, "build --locked --workspace --bins --tests")
}

fn tests(place: &Place) -> io::Result<Outcome> {
    tested(place, "--locked --workspace", "--locked --workspace --lib --bins --tests")
}

fn simulation(place: &Place) -> io::Result<Outcome> {
    let simulated = "--locked -p bulbil-core --features sim --test simulation --test lookups";
    tested(place, simulated, simulated)
}

fn doc_tests(place: &Place) -> io::Result<Outcome> {
    holds(place, "test --locked --doc --workspace")
}

fn core_for(place: &Place, target: &str) -> io::Result<Outcome> {
    holds(place, &format!("build --locked -p bulbil-core --target {target}"))
}

fn bare_metal(place: &Place) -> io::Result<Outcome> {
    holds(place, "image bare-metal")
}

fn vectors(place: &Place) -> io::Result<Outcome> {
    holds(place, "image vectors")
}

fn static_programs(place: &Place) -> io::Result<Outcome> {
    holds(place, "image static")
}

fn dependencies(place: &Place) -> io::Result<Outcome> {
    if !has_subcommand("deny") {
        place.say("   cargo-deny is not installed: building it takes some minutes, once\n");
        let mut install = place.cargo("install --locked cargo-deny");
        // It runs for a second: what matters is how long it takes to build.
        install.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1").env("CARGO_PROFILE_RELEASE_LTO", "off");
        place.run(STEP, &mut install)?;
    }
    // Advisories come from a server of their own; what is checked here needs none.
    holds(place, "deny --locked --all-features --config .deny.toml check bans licenses sources")
}

fn miri(place: &Place) -> io::Result<Outcome> {
    // A nightly without it, as on many machines, is completed; where that cannot be, or there is none, it is said.
    let complete =
        || place.run(STEP, &mut place.tool("rustup", "component add --toolchain nightly miri rust-src"));
    if !(nightly_has("miri") || nightly_has("rustc") && complete().is_ok()) {
        return Ok(Outcome::Skipped("needs `rustup toolchain install nightly -c miri,rust-src`".to_owned()));
    }
    // An interpreter has one thread, and takes long to start: two of them share the tests, once these are built.
    place.run(
        STEP,
        &mut place.tool("rustup", "run nightly cargo miri test --locked -p bulbil-core --lib --no-run"),
    )?;
    std::thread::scope(|scope| {
        let hashing = scope.spawn(|| interpreted(place, &MIRI_HALF.join(" ")));
        let rest = interpreted(place, &format!("--skip {}", MIRI_HALF.join(" --skip ")));
        let hashing = hashing.join().map_err(|_| io::Error::other("a thread panicked"))?;
        Ok(Outcome::Holds(hashing?.and(rest?)))
    })
}

/// Runs core's tests, `chosen` by libtest's words, under miri.
fn interpreted(place: &Place, chosen: &str) -> io::Result<Counts> {
    let line = format!("run nightly cargo miri test --locked -p bulbil-core --lib -- {chosen} {MIRI_SKIPS}");
    // Nothing that leaves the process is reachable from core. Tests that hash by the megabyte would take hours here.
    place.run(STEP, place.tool("rustup", &line).env("MIRIFLAGS", "-Zmiri-disable-isolation"))
}

fn fuzz(place: &Place) -> io::Result<Outcome> {
    let manifest = workspace().join("tests/fuzz/Cargo.toml");
    if !manifest.is_file() {
        return Ok(Outcome::Skipped("there are no fuzz targets".to_owned()));
    }
    if has_subcommand("fuzz") && nightly_has("rustc") {
        return place
            .run(STEP, &mut place.tool("rustup", "run nightly cargo fuzz build --fuzz-dir tests/fuzz"))
            .map(Outcome::Holds);
    }
    place.say("   cargo-fuzz or a nightly compiler is missing: the targets are type-checked only\n");
    holds(place, "check --manifest-path tests/fuzz/Cargo.toml")
}

fn has_subcommand(name: &str) -> bool {
    is_installed(&format!("cargo-{name}"))
}

/// Whether the nightly toolchain is there with `component`.
fn nightly_has(component: &str) -> bool {
    let listed = printed(&mut tool("rustup", "component list --installed --toolchain nightly"));
    listed.is_some_and(|list| list.lines().any(|line| line.starts_with(component)))
}

/// What miri, some thousand times slower than the machine, does not run as a whole: tests that hash, sign or repeat without end.
/// Single ones, beside others that it does run, say so themselves.
const MIRI_SKIPS: &str = "--skip tracker::sync:: --skip tracker::store:: --skip swarm::tests --skip mangled --skip pace:: --skip lanes:: \
     --skip batch --skip checked_whole --skip written_is_read --skip largest_share --skip rarest_is_the_one";

/// Tests that together take about as long as all others.
const MIRI_HALF: [&str; 2] = ["content::", "hello::"];

const TARGETS: &str =
    "thumbv6m-none-eabi thumbv7em-none-eabihf x86_64-unknown-linux-musl aarch64-unknown-linux-musl";
