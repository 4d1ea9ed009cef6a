//! Ten thousand wrong tokens against a private link, at either face of its service: the right one works throughout,
//! memory stays flat, and the time tells nothing.
//!
//! Statistics: three kinds of wrong tokens in random order; measured is the CPU time of the one thread that both sides run on,
//! from the first byte of a guess to the last of its answer. Each pair of kinds is compared by Welch's t over what is below
//! the 90th percentile of all (the rest is other programs' doing); |t| must stay under 4.5, the usual bound in tests of
//! leakage (ISO/IEC 17825), which chance alone passes once in 150 000 times. The same test must notice one kind being
//! made slower by a twentieth of the median.

use tokio::task::LocalSet;

use super::landing::{Answer, ask, dial};
use super::*;
use crate::link::{Link, TOKEN_LEN, Token};
use crate::node::halves::halves;
use crate::node::open::{NotOpened, dialed, name_of};
use crate::status::ShareState;
use crate::sys::process::thread_cpu;
use bulbil_core::hello::Secrets;

/// Wrong tokens in all.
const GUESSES: usize = 10_000;

/// Guesses between two uses of the right token.
const RIGHT_EVERY: usize = 100;

/// Guesses until everything that is allocated once was.
const WARM: usize = 1_000;

/// Bytes by which memory may grow afterwards: less than 300 a guess.
const GROWTH: u64 = 2 * 1024 * 1024;

/// See the module.
const BOUND: f64 = 4.5;

/// Kinds of wrong tokens.
const KINDS: usize = 3;

/// A node with two private shares; the link of the first, and the token of the second.
struct House {
    stage: Stage,
    link: Link,
    other: Token,
    /// Kept running.
    _seed: Handle,
}

impl House {
    async fn build(name: &str) -> Self {
        let stage = Stage::new(name);
        fs::write(stage.here.path().join("other"), b"other").unwrap();
        let seed = start(&stage.network, stage.here.path());
        let share = |path| ShareRequest { browser: true, ..request(&stage.here.path().join(path), false) };
        let link = seed.share(share("things")).await.unwrap().link.parse().unwrap();
        let other: Link = seed.share(share("other")).await.unwrap().link.parse().unwrap();
        until(&seed, |status| status.shares.iter().all(|share| share.state == ShareState::Reachable)).await;
        Self { link, other: other.token, _seed: seed, stage }
    }

    /// One of each kind: all but the last bits right, nothing right, and right for a share that is missing here.
    fn wrong(&self, kind: usize) -> Token {
        let mut bytes = *self.link.token.as_bytes();
        match kind {
            0 => bytes[TOKEN_LEN - 1] ^= 1 << (random() % 8),
            1 => getrandom::fill(&mut bytes).unwrap(),
            _ => bytes = *self.other.as_bytes(),
        }
        Token::from_bytes(bytes)
    }

    async fn get(&self, token: &Token) -> (Answer, Duration) {
        let stream = dial(&self.stage.network, &self.link, false).await.unwrap();
        let start = thread_cpu();
        let answer = ask(stream, &format!("GET /private/{}", token.reveal()), "").await;
        (answer, thread_cpu().saturating_sub(start))
    }

    async fn hello(&self, token: &Token) -> (Result<(), NotOpened>, Duration) {
        let mut halves = halves(dial(&self.stage.network, &self.link, false).await.unwrap());
        let mut seed = [7; 32];
        seed[0] = random();
        let secrets = Secrets::new(*token.as_bytes(), &seed);
        let start = thread_cpu();
        let opened = dialed(secrets, &name_of(self.link.address), &mut halves).await.map(drop);
        (opened, thread_cpu().saturating_sub(start))
    }
}

fn random() -> u8 {
    let mut byte = [0];
    getrandom::fill(&mut byte).unwrap();
    byte[0]
}

/// Makes all guesses in random order; says how long each took, in nanoseconds, by kind.
async fn guess(once: impl AsyncFn(usize) -> Duration, right: impl AsyncFn()) -> [Vec<f64>; KINDS] {
    let mut times = [const { Vec::new() }; KINDS];
    let mut before = 0;
    for number in 0..GUESSES {
        let kind = usize::from(random()) % KINDS;
        times[kind].push(once(kind).await.as_secs_f64() * 1e9);
        if number % RIGHT_EVERY == 0 {
            right().await;
        }
        if number == WARM {
            before = crate::sys::process::memory().0;
        }
    }
    let after = crate::sys::process::memory().0;
    println!("memory: {before} bytes after {WARM} guesses, {after} after {GUESSES}");
    assert!(after < before + GROWTH, "memory grew from {before} to {after}");
    times
}

/// Checks that no pair of kinds can be told apart, and that a twentieth of the median could.
fn check(times: &[Vec<f64>; KINDS]) {
    let mut all: Vec<f64> = times.iter().flatten().copied().collect();
    all.sort_by(f64::total_cmp);
    let (median, most) = (all[all.len() / 2], all[all.len() / 10 * 9]);
    for (one, two) in [(0, 1), (0, 2), (1, 2)] {
        let t = welch(&times[one], &times[two], most);
        println!("kinds {one} and {two}: median {median:.0} ns, t = {t:.2}");
        assert!(t.abs() < BOUND, "kinds {one} and {two} differ: t = {t}");
        let slower: Vec<f64> = times[one].iter().map(|time| time + median / 20.0).collect();
        let t = welch(&slower, &times[two], most + median / 20.0);
        assert!(t > BOUND, "a twentieth more would not be noticed: t = {t}");
    }
}

/// Welch's t of what is below `most`.
fn welch(one: &[f64], two: &[f64], most: f64) -> f64 {
    let moments = |all: &[f64]| {
        let kept: Vec<f64> = all.iter().copied().filter(|time| *time < most).collect();
        let count = f64::from(u32::try_from(kept.len()).unwrap());
        let mean = kept.iter().sum::<f64>() / count;
        let variance = kept.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0);
        (mean, variance / count)
    };
    let ((mean, error), (other, other_error)) = (moments(one), moments(two));
    (mean - other) / (error + other_error).sqrt()
}

#[tokio::test]
async fn wrong_tokens_tell_a_browser_nothing() {
    let set = LocalSet::new();
    set.run_until(async {
        let house = House::build("guesses-http").await;
        let (missing, _) = house.get(&house.wrong(1)).await;
        let once = async |kind| {
            let (answer, time) = house.get(&house.wrong(kind)).await;
            assert_eq!((&answer.head, &answer.body), (&missing.head, &missing.body), "kind {kind}");
            time
        };
        let right = async || assert_eq!(house.get(&house.link.token).await.0.code(), 200);
        assert_eq!(missing.code(), 404);
        check(&guess(once, right).await);
    })
    .await;
}

#[tokio::test]
async fn wrong_tokens_tell_a_node_nothing() {
    let set = LocalSet::new();
    set.run_until(async {
        let house = House::build("guesses-hello").await;
        let once = async |kind| {
            let (opened, time) = house.hello(&house.wrong(kind)).await;
            assert_eq!(opened, Err(NotOpened::Refused), "kind {kind}");
            time
        };
        let right = async || assert_eq!(house.hello(&house.link.token).await.0, Ok(()));
        check(&guess(once, right).await);
    })
    .await;
}
