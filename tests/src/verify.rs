//! `cargo verify`: everything that CI runs, in one command. Ends at the first check that fails.

mod cargo;
mod checks;
mod counts;

use std::fmt::Write;
use std::io;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};

use counts::Counts;

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
    run: fn() -> io::Result<Outcome>,
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
    /// Processor time of what it ran, on all cores together.
    cpu: Duration,
    outcome: io::Result<Outcome>,
}

fn run(list: &[Check]) -> Vec<Done> {
    let mut done: Vec<Done> = Vec::new();
    for (number, check) in list.iter().enumerate() {
        println!("\n== {} of {}: {}", number + 1, list.len(), check.name);
        let (start, cpu_before) = (Instant::now(), cpu());
        let outcome = (check.run)();
        let (took, cpu) = (start.elapsed(), cpu().saturating_sub(cpu_before));
        let seconds = took.as_secs_f64();
        match &outcome {
            Ok(Outcome::Holds(_)) => println!("== ok after {seconds:.0} s: {}", check.name),
            Ok(Outcome::Skipped(why)) => println!("== skipped: {}: {why}", check.name),
            Err(error) => println!("== FAILED after {seconds:.0} s: {}: {error}", check.name),
        }
        let failed = outcome.is_err();
        done.push(Done { name: check.name, took, cpu, outcome });
        if failed {
            break;
        }
    }
    done
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
        let cores = if seconds < 1.0 { 0.0 } else { check.cpu.as_secs_f64() / seconds };
        let _ = writeln!(text, "{:<50}{seconds:>7.0}{cores:>7.1}  {word}", check.name);
    }
    for check in list.iter().skip(done.len()) {
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
        Check { name: "first", run: || Ok(Outcome::Holds(Counts::default())) },
        Check { name: "second", run: || Ok(Outcome::Skipped("no board".to_owned())) },
        Check {
            name: "third",
            run: || Err(counts::error("2 tests failed", Counts { passed: 7, failed: 2 })),
        },
        Check { name: "fourth", run: || Ok(Outcome::Holds(Counts::default())) },
    ];

    #[test]
    fn ends_at_the_first_failure_and_says_what_was_left_out() {
        let done = run(LIST);
        assert_eq!(done.len(), 3);
        let text = summary(LIST, &done);
        let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(line("second").ends_with("skipped: no board"));
        assert!(line("third").ends_with("FAILED"));
        assert!(line("fourth").ends_with("not run"));
        assert_eq!(text.lines().last().unwrap(), "8 passed, 2 failed");
    }
}
