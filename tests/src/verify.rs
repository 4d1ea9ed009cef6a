//! `cargo verify`: everything that CI runs, in one command. Ends after the first check that fails.

mod cargo;
mod checks;
mod counts;
mod place;

use std::fmt::Write;
use std::io;
use std::mem;
use std::process::ExitCode;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};

use counts::Counts;
use place::Place;

/// Runs the checks that the arguments (program name excluded) ask for.
pub fn main(arguments: impl Iterator<Item = String>) -> ExitCode {
    let arguments: Vec<String> = arguments.collect();
    let list = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => checks::ALL,
        ["--quick"] => checks::QUICK,
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let done = run(list);
    print!("{}", summary(list, &done));
    if done.len() == list.len() && done.iter().all(|check| check.outcome.is_ok()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// One thing that must hold.
struct Check {
    name: &'static str,
    /// Whether it runs beside what comes after it.
    beside: bool,
    run: fn(&Place) -> io::Result<Outcome>,
}

/// How a check went that did not fail.
#[derive(Debug, Eq, PartialEq)]
enum Outcome {
    /// It holds; with the number of tests that showed it, if it consists of tests.
    Holds(Counts),
    /// It could not be looked at here: why.
    Skipped(String),
}

struct Done {
    name: &'static str,
    took: Duration,
    /// How many cores were busy meanwhile, with this and what ran beside it. None for what ran beside others itself.
    cores: Option<f64>,
    outcome: io::Result<Outcome>,
}

fn run(list: &'static [Check]) -> Vec<Done> {
    let mut done: Vec<Done> = Vec::new();
    let mut beside: Vec<JoinHandle<Vec<(Done, String)>>> = Vec::new();
    let mut next: Vec<&Check> = Vec::new();
    for (number, check) in list.iter().enumerate() {
        let head = format!("== {} of {}: {}", number + 1, list.len(), check.name);
        if check.beside {
            println!("\n{head}, beside what follows; its result comes at the end");
            next.push(check);
            continue;
        }
        beside.extend(start(mem::take(&mut next)));
        println!("\n{head}");
        let cpu_before = cpu();
        let mut one = look(check, &Place::front());
        let seconds = one.took.as_secs_f64().max(1.0);
        one.cores = Some(cpu().saturating_sub(cpu_before).as_secs_f64() / seconds);
        one.announce();
        let failed = one.outcome.is_err();
        done.push(one);
        if failed {
            break;
        }
    }
    beside.extend(start(next));
    for (one, said) in beside.into_iter().filter_map(|thread| thread.join().ok()).flatten() {
        print!("\n== beside the others: {}\n{said}", one.name);
        one.announce();
        done.push(one);
    }
    done
}

/// Runs checks one after another on a thread of their own.
fn start(checks: Vec<&'static Check>) -> Option<JoinHandle<Vec<(Done, String)>>> {
    let each = |check| {
        let place = Place::beside();
        (look(check, &place), place.into_said())
    };
    (!checks.is_empty()).then(|| std::thread::spawn(move || checks.into_iter().map(each).collect()))
}

fn look(check: &Check, place: &Place) -> Done {
    let start = Instant::now();
    let outcome = (check.run)(place);
    Done { name: check.name, took: start.elapsed(), cores: None, outcome }
}

impl Done {
    fn announce(&self) {
        let (name, seconds) = (self.name, self.took.as_secs_f64());
        match &self.outcome {
            Ok(Outcome::Holds(_)) => println!("== ok after {seconds:.0} s: {name}"),
            Ok(Outcome::Skipped(why)) => println!("== skipped: {name}: {why}"),
            Err(error) => println!("== FAILED after {seconds:.0} s: {name}: {error}"),
        }
    }
}

/// Processor time of all that ended so far of what we started.
fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).ok();
    let spent = |time: TimeVal| {
        let micros = time.num_microseconds();
        Duration::from_micros(micros.try_into().unwrap_or(0))
    };
    usage.map(|usage| spent(usage.user_time()) + spent(usage.system_time())).unwrap_or_default()
}

/// The closing table. How many cores were busy tells whether a check computes or waits. Its last line counts tests, and checks that
/// are not tests as one each.
fn summary(list: &[Check], done: &[Done]) -> String {
    let mut text =
        String::from("\ncheck                                             seconds  cores  result\n");
    let mut total = Counts::default();
    for check in done {
        let (word, counts) = match &check.outcome {
            Ok(Outcome::Holds(counts)) if counts.passed > 0 => {
                (format!("ok, {} tests", counts.passed), *counts)
            }
            Ok(Outcome::Holds(_)) => ("ok".to_owned(), Counts { passed: 1, failed: 0 }),
            Ok(Outcome::Skipped(why)) => (format!("skipped: {why}"), Counts::default()),
            Err(error) => ("FAILED".to_owned(), counts::of_error(error)),
        };
        total.passed += counts.passed;
        total.failed += counts.failed;
        let seconds = check.took.as_secs_f64();
        let cores = check.cores.map(|cores| format!("{cores:.1}")).unwrap_or_default();
        let _ = writeln!(text, "{:<50}{seconds:>7.0}{cores:>7}  {word}", check.name);
    }
    for check in list.iter().filter(|check| done.iter().all(|one| one.name != check.name)) {
        let _ = writeln!(text, "{:<50}{:>14}  not run", check.name, "");
    }
    let _ = writeln!(text, "{} passed, {} failed", total.passed, total.failed);
    text
}

const USAGE: &str = "usage: cargo verify [-- --quick]     --quick: formatting, lints and unit tests only";

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &[Check] = &[
        Check { name: "first", beside: false, run: |_| Ok(Outcome::Holds(Counts::default())) },
        Check {
            name: "slow",
            beside: true,
            run: |place| place.run(DEADLINE, &mut place.tool("echo", "3 passed")).map(Outcome::Holds),
        },
        Check { name: "second", beside: false, run: |_| Ok(Outcome::Skipped("no board".to_owned())) },
        Check {
            name: "third",
            beside: false,
            run: |_| Err(counts::error("2 tests failed", Counts { passed: 7, failed: 2 })),
        },
        Check { name: "fourth", beside: false, run: |_| Ok(Outcome::Holds(Counts::default())) },
    ];

    const DEADLINE: Duration = Duration::from_secs(30);

    #[test]
    fn ends_at_the_first_failure_and_says_what_was_left_out() {
        let done = run(LIST);
        assert_eq!(done.iter().map(|one| one.name).collect::<Vec<_>>(), ["first", "second", "third", "slow"]);
        let text = summary(LIST, &done);
        let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(line("second").ends_with("skipped: no board"));
        assert!(line("slow").ends_with("  ok"));
        assert!(line("third").ends_with("FAILED"));
        assert!(line("fourth").ends_with("not run"));
        assert_eq!(text.lines().last().unwrap(), "9 passed, 2 failed");
    }

    #[test]
    fn what_runs_beside_others_prints_later() {
        let place = Place::beside();
        place.run(DEADLINE, &mut place.tool("echo", "test result: ok. 3 passed")).unwrap();
        assert_eq!(
            place.into_said(),
            "   nice -n 19 echo test result: ok. 3 passed\ntest result: ok. 3 passed\n"
        );
    }
}
