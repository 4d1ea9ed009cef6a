//! A story: scenes played one after the other on one private network, each reported by its name.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// The scenes so far. One that fails does not keep the next from being played.
#[derive(Debug, Default)]
pub struct Story {
    played: usize,
    failed: Vec<String>,
}

impl Story {
    /// Plays a scene. It fails by panicking, as tests do.
    pub fn scene(&mut self, name: &str, play: impl FnOnce()) {
        let start = Instant::now();
        let fine = catch_unwind(AssertUnwindSafe(play)).is_ok();
        let word = if fine { "ok" } else { "FAILED" };
        println!("scene {name} ... {word} ({:.1} s)", start.elapsed().as_secs_f64());
        self.played += 1;
        if !fine {
            self.failed.push(name.to_owned());
        }
    }

    /// Ends it: an error that names the scenes that failed, or that there were none at all.
    pub fn end(self) -> Result<(), String> {
        match self.failed.as_slice() {
            [] if self.played == 0 => Err("no scene was played".to_owned()),
            [] => Ok(()),
            failed => {
                Err(format!("{} of {} scenes failed: {}", failed.len(), self.played, failed.join(", ")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scene_is_played_and_the_failed_ones_named() {
        let mut story = Story::default();
        let mut seen = 0;
        story.scene("one", || seen += 1);
        story.scene("two", || assert_eq!(1, 2));
        story.scene("three", || seen += 1);
        assert_eq!(seen, 2);
        assert_eq!(story.end(), Err("1 of 3 scenes failed: two".to_owned()));
        assert!(Story::default().end().is_err());
    }
}
