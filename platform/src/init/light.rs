//! The green light of a board (Linux, `Documentation/leds/leds-class.rst`): slow while it starts, steady when Tor works, fast when its
//! owner is needed.

use std::cell::Cell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where the kernel shows lights, and those that a Raspberry Pi has: today's name, and that of older kernels.
const CLASS: &str = "/sys/class/leds";
const NAMES: [&str; 2] = ["ACT", "led0"];

/// Milliseconds on, and as many off.
const SLOW: u32 = 1000;
const FAST: u32 = 125;

/// How the board is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mood {
    /// On its way.
    Starting,
    /// Tor works.
    Ready,
    /// The page or the console says what is wrong.
    Trouble,
}

/// The light; a board without one has none, and nobody misses it.
#[derive(Debug)]
pub(super) struct Light {
    folder: Option<PathBuf>,
    mood: Cell<Option<Mood>>,
}

impl Light {
    /// Finds it.
    pub(super) fn find() -> Self {
        Self::within(Path::new(CLASS))
    }

    fn within(class: &Path) -> Self {
        let folder = NAMES.iter().map(|name| class.join(name)).find(|folder| folder.is_dir());
        Self { folder, mood: Cell::new(None) }
    }

    /// Shows how the board is.
    pub(super) fn show(&self, mood: Mood) {
        if self.mood.replace(Some(mood)) != Some(mood)
            && let Some(folder) = &self.folder
        {
            let _ = set(folder, mood); // a light that does not work has no other way to say so
        }
    }
}

fn set(folder: &Path, mood: Mood) -> io::Result<()> {
    let write = |file: &str, text: &str| fs::write(folder.join(file), text);
    let blink = |pause: u32| {
        write("trigger", "timer")?;
        write("delay_on", &pause.to_string())?;
        write("delay_off", &pause.to_string())
    };
    match mood {
        Mood::Starting => blink(SLOW),
        Mood::Trouble => blink(FAST),
        Mood::Ready => {
            write("trigger", "none")?;
            let most = fs::read_to_string(folder.join("max_brightness"))?;
            write("brightness", most.trim())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::scratch::Scratch;

    #[test]
    fn each_mood_is_written_to_the_first_light_there_is() {
        let class = Scratch::new("leds");
        Light::within(class.path()).show(Mood::Ready); // none is fine
        let led = class.path().join("led0");
        fs::create_dir(&led).unwrap();
        fs::write(led.join("max_brightness"), "255\n").unwrap();
        let read = |file: &str| fs::read_to_string(led.join(file)).unwrap();
        let light = Light::within(class.path());
        light.show(Mood::Starting);
        assert_eq!([read("trigger"), read("delay_on"), read("delay_off")], ["timer", "1000", "1000"]);
        light.show(Mood::Trouble);
        assert_eq!([read("trigger"), read("delay_on")], ["timer", "125"]);
        light.show(Mood::Ready);
        assert_eq!([read("trigger"), read("brightness")], ["none", "255"]);
        fs::write(led.join("trigger"), "mine").unwrap();
        light.show(Mood::Ready);
        assert_eq!(read("trigger"), "mine", "said once");
        fs::create_dir(class.path().join("ACT")).unwrap();
        assert!(Light::within(class.path()).folder.is_some_and(|folder| folder.ends_with("ACT")));
    }
}
