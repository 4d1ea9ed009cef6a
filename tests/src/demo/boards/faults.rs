//! The story `faults`: what can go wrong around a board, and the words by which its console or its page says so.

use std::fs::File;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::super::Options;
use super::guest::{ADDRESS, GUEST, begin_with, knock, settings, sign_in, until};
use super::image::{self, Images};
use super::rows::Rows;
use crate::alias::Alias;
use crate::content;
use crate::machine::{self, Card, Machine, Setting, Start};
use crate::net::{Network, Shape};
use crate::node::{Node, Settings};
use crate::owner::Owner;
use crate::scratch::Scratch;
use crate::{packages, wait};

/// Limits on an emulated machine, while others use this one.
const LIMIT: Duration = Duration::from_mins(5);

/// How long the router stays silent, and the cable out.
const GONE: Duration = Duration::from_mins(1);

/// How often the node is killed.
const KILLS: usize = 20;

/// The longest pause before the node starts again, and its start.
const RESTART: Duration = Duration::from_mins(3);

/// What the first process says each time.
const KILLED: &str = "the node was killed; it starts again in ";
const ADVICE: &str = "if that goes on, set a smaller memory in bulbil.toml";

/// Files that are fetched into memory until nothing fits: bytes of the largest and the smallest, halved in between.
const LARGEST: u64 = 64 << 20;
const SMALLEST: u64 = 64 << 10;

/// Small files after those, at most, until the state itself has no room.
const LAST_DROPS: u32 = 24;

/// Where the page shows what became of each key of bulbil.toml.
const NOTES: &str = "/settings";

/// How old an image is that lay in a drawer. Tor bears a clock that is some hours wrong; this one must be moved.
const DRAWER: Duration = Duration::from_hours(90 * 24);

/// Everything a scene needs.
struct World<'a> {
    images: &'a Images,
    network: &'a Network,
    source: &'a Node,
}

/// Returns seconds until the words were there.
type Scene = fn(&World<'_>) -> io::Result<f64>;

const SCENES: [(&str, Scene); 9] = [
    ("a key of bulbil.toml is wrong: console and page name it, the rest counts", wrong_key),
    ("bulbil.toml is no TOML: console and page name the line", no_toml),
    ("no cable: the console says so; the page is there once it is in", no_cable),
    ("no DHCP for a minute: the console says what to do; then the page is there", no_dhcp),
    ("a Wi-Fi network is named without its password: console and page say what is missing", no_password),
    (
        "the clock says 1970 and the image is 90 days old: the console says both steps, and Tor gets ready",
        clock_behind,
    ),
    (
        "the clock says 2040: the console says how far it is ahead and sets it, and Tor gets ready",
        clock_ahead,
    ),
    ("the RAM disk is full: the page says so, and what to do", no_room),
    (
        "the RAM disk is full and the node is killed: it comes back, and takes its owner's password",
        no_room_killed,
    ),
];

const KILLING: &str = "the node is killed 20 times: the console says so each time, and it comes back";

pub(in super::super) fn run(options: &Options) -> io::Result<bool> {
    packages::ensure(&machine::NEEDS)?;
    super::super::build::bulbil()?;
    let folder = Scratch::new("faults")?;
    let images = image::build(folder.path(), &["virt"], false)?;
    let alias = Alias::add(ADDRESS)?;
    let network = Network::start(Shape { address: alias.address(), ..Shape::default() })?;
    // An emulated processor that fetches as fast as it can has no time left for what comes next.
    let slow = "[swarm]\nupload_limit = \"48 KiB\"\n".to_owned();
    let source = Node::start(&network, Settings { more: slow, ..Settings::named("source") })?;
    let world = World { images: &images, network: &network, source: &source };
    let mut rows = Rows::default();
    let asked = |name: &str| options.only.as_deref().is_none_or(|word| name.contains(word));
    thread::scope(|scope| {
        // Killing takes a quarter of an hour, nearly all of it waiting; the others are played meanwhile.
        let long = asked(KILLING).then(|| scope.spawn(|| killed(&world)));
        for (name, scene) in SCENES.into_iter().filter(|(name, _)| asked(name)) {
            play(&mut rows, name, scene(&world));
        }
        if let Some(long) = long {
            let played = long.join().unwrap_or_else(|_| Err(io::Error::other("the scene failed")));
            play(&mut rows, KILLING, played);
        }
    });
    options.write_json(&rows.json())?;
    Ok(rows.all_passed())
}

fn play(rows: &mut Rows, name: &str, played: io::Result<f64>) {
    println!("{name}");
    match played {
        Ok(seconds) => rows.passed(name, "within", Some((seconds, "s"))),
        Err(why) => rows.failed(name, &why.to_string()),
    }
}

fn wrong_key(world: &World<'_>) -> io::Result<f64> {
    let more = "\n[swarm]\nlanes_max = 99\nupload_limt = \"1 MiB\"\n";
    let mut board = world.switch_on(128, more, &Setting::default())?;
    board
        .console_says(&["bulbil.toml: swarm.lanes_max: ", "bulbil.toml: swarm.upload_limt: unknown field"])?;
    board.begin("/disks/vda2")?;
    let page = board.owner.get(NOTES)?;
    says(&page, &["swarm.upload_limt", "wrong", "board.name"])?;
    board.done()
}

fn no_toml(world: &World<'_>) -> io::Result<f64> {
    let mut board = world.switch_on_with("[board]\nname = attic\n", 128, &Setting::default())?;
    board.console_says(&[
        "bulbil.toml: line 2 is not TOML: ",
        "nothing in the file counts until it is mended",
    ])?;
    board.begin("/disks/vda2")?;
    let page = board.owner.get(NOTES)?;
    says(&page, &["line 2 is not TOML", "nothing in the file counts until it is mended"])?;
    board.done()
}

fn no_cable(world: &World<'_>) -> io::Result<f64> {
    let mut board = world.switch_on(128, "", &Setting::default())?;
    board.machine.set_cable(false)?;
    board.console_says(&["eth0: no cable"])?;
    board.machine.set_cable(true)?;
    knock(&mut board.machine, &board.owner)?;
    board.done()
}

fn no_dhcp(world: &World<'_>) -> io::Result<f64> {
    let setting = Setting { router_is_silent: true, ..Setting::default() };
    let mut board = world.switch_on(128, "", &setting)?;
    board.console_says(&["no DHCP server answers; check the router, or set board.address in bulbil.toml"])?;
    let back = board.machine.began() + GONE;
    wait::eventually(LIMIT, "the minute to be over", || Instant::now() >= back)?;
    board.machine.set_router(true)?;
    board.console_says(&["eth0: address 10.0.2.15/24"])?;
    knock(&mut board.machine, &board.owner)?;
    board.done()
}

fn no_password(world: &World<'_>) -> io::Result<f64> {
    let mut board = world.switch_on(128, "\n[wifi]\nssid = \"home\"\n", &Setting::default())?;
    let words = "is missing; networks without a password are not joined";
    board.console_says(&[&format!("bulbil.toml: wifi.password: {words}")])?;
    board.begin("/disks/vda2")?;
    let page = board.owner.get(NOTES)?;
    says(&page, &["wifi.password", words, "wifi.ssid"])?;
    board.done()
}

/// Twice behind: before the image, which says its date, and then by the age of the image, which relays tell. What relays show has a last
/// day and no first one, so their certificates of today are good for a clock of last season, and their word counts; the consensus of
/// today, which is not yet valid then, is what Tor waits for until the clock is right.
fn clock_behind(world: &World<'_>) -> io::Result<f64> {
    let folder = Scratch::new("drawer")?;
    let images = image::build_aged(folder.path(), &["virt"], false, DRAWER)?;
    let world = World { images: &images, ..*world };
    let setting = Setting { clock: Some("1970-01-01T00:00:00"), ..Setting::default() };
    let mut board = world.switch_on(128, "", &setting)?;
    board.console_says(&["s before the image was made; it was set to the image's date"])?;
    board.begin("/disks/vda2")?;
    board.console_says(&["s behind, Tor's relays say; it was set right"])?;
    board.wait("the board to be ready", |status| {
        status.pointer("/net/ready")?.as_bool().filter(|ready| *ready)
    })?;
    let console = board.machine.console();
    let behind =
        console.split("the clock is ").find_map(|rest| rest.split_once(" s behind, Tor's relays say"));
    let behind = behind.and_then(|(seconds, _)| seconds.parse::<u64>().ok()).map(Duration::from_secs);
    if behind.is_none_or(|behind| behind.abs_diff(DRAWER) > LIMIT) {
        return Err(io::Error::other(format!("relays moved the clock by {behind:?}, not by {DRAWER:?}")));
    }
    board.done()
}

fn clock_ahead(world: &World<'_>) -> io::Result<f64> {
    let setting = Setting { clock: Some("2040-01-01T00:00:00"), ..Setting::default() };
    let mut board = world.switch_on(128, "", &setting)?;
    board.begin("/disks/vda2")?;
    board.console_says(&["s ahead, Tor's relays say; it was set right"])?;
    board.wait("the board to be ready", |status| {
        status.pointer("/net/ready")?.as_bool().filter(|ready| *ready)
    })?;
    board.done()
}

fn no_room(world: &World<'_>) -> io::Result<f64> {
    without_room(world, &Setting::default())?.done()
}

/// What the first process needs to start the node again must not lie where the node can take its place.
fn no_room_killed(world: &World<'_>) -> io::Result<f64> {
    let mut board = without_room(world, &Setting { keys: true, ..Setting::default() })?;
    let before = board.machine.console().matches(KILLED).count();
    board.machine.kill_largest()?;
    let machine = &board.machine;
    wait::eventually(RESTART, "the console to tell of the kill", || {
        machine.console().matches(KILLED).count() > before
    })?;
    wait::eventually(RESTART, "the page after the kill", || board.owner.knock().is_some())?;
    // The state of before is there: another node would ask for a first password.
    let mut last = None;
    let signed_in = wait::eventually(RESTART, "the owner to be let in", || {
        last = sign_in(&mut board.owner).err();
        last.is_none()
    });
    signed_in.map_err(|error| io::Error::other(format!("{error}; {last:?}")))?;
    if board.machine.console().contains("the node does not start") {
        return Err(io::Error::other("the first process could not start the node"));
    }
    board.done()
}

/// A board that fetched into the memory where the node's state lies as well, until not even the state finds room.
fn without_room(world: &World<'_>, setting: &Setting) -> io::Result<Board> {
    let home = "/run/bulbil";
    let more = format!("\n[page]\nfolders = [\"{home}\"]\n");
    let mut board = world.switch_on(256, &more, setting)?;
    board.begin(home)?;
    board.wait("the board to be ready", |status| {
        status.pointer("/net/ready")?.as_bool().filter(|ready| *ready)
    })?;
    let (mut size, mut refused) = (LARGEST, 0);
    while size >= SMALLEST {
        let why = board.fetch(world.source, size, home)?;
        refused += usize::from(why.is_some_and(|why| why.contains("make room, it then goes on by itself")));
        size /= 2;
    }
    if refused == 0 {
        return Err(io::Error::other("everything fitted: no fetch said that there is no room"));
    }
    let page = board.owner.get("/fetches")?;
    says(&page, &["no room for ", "make room, it then goes on by itself and keeps what was verified"])?;
    for drop in 0..LAST_DROPS {
        // Odd sizes: every share is another one.
        match board.fetch(world.source, 20_000 + u64::from(drop), home) {
            Err(why) if why.to_string().contains("make room there") => return Ok(board),
            Err(why) => return Err(why),
            Ok(_) => {}
        }
    }
    Err(io::Error::other("the state still found room"))
}

fn killed(world: &World<'_>) -> io::Result<f64> {
    let mut board = world.switch_on(256, "", &Setting { keys: true, ..Setting::default() })?;
    for number in 1..=KILLS {
        knock(&mut board.machine, &board.owner)?;
        board.machine.kill_largest()?;
        let machine = &board.machine;
        wait::eventually(RESTART, &format!("the console to tell of kill {number}"), || {
            machine.console().matches(KILLED).count() >= number
        })?;
    }
    wait::eventually(RESTART, "the page after the last kill", || board.owner.knock().is_some())?;
    board.console_says(&[ADVICE])?;
    board.done()
}

/// A machine, and its owner.
struct Board {
    machine: Machine,
    owner: Owner,
    folder: Scratch,
}

impl World<'_> {
    fn switch_on(&self, memory: u32, more: &str, setting: &Setting) -> io::Result<Board> {
        self.switch_on_with(&(settings(self.network) + more), memory, setting)
    }

    fn switch_on_with(&self, toml: &str, memory: u32, setting: &Setting) -> io::Result<Board> {
        let folder = Scratch::new("fault")?;
        let card = Card::copy(&self.images.of(Start::VirtDirect))?;
        let file = folder.join("picture.bin");
        content::write_file(&file, 1000, 1)?;
        card.fill_data(&file)?;
        card.write("bulbil.toml", toml)?;
        let machine = Machine::start_in(Start::VirtDirect, &card, memory, setting)?;
        // QEMU holds the card open; its name may go.
        let owner = Owner::new(machine.page(), GUEST)?;
        Ok(Board { machine, owner, folder })
    }
}

impl Board {
    /// Waits until the console has said each of `words`.
    fn console_says(&mut self, words: &[&str]) -> io::Result<()> {
        for word in words {
            let machine = &mut self.machine;
            wait::found(LIMIT, &format!("the console to say: {word}"), || {
                machine.fail_if_off()?;
                Ok(machine.console().contains(word).then_some(()))
            })?;
        }
        Ok(())
    }

    fn begin(&mut self, folder: &str) -> io::Result<()> {
        knock(&mut self.machine, &self.owner)?;
        begin_with(&mut self.owner, folder)
    }

    fn wait<T>(&mut self, what: &str, look: impl Fn(&Value) -> Option<T>) -> io::Result<T> {
        until(&mut self.machine, &self.owner, LIMIT, what, look)
    }

    /// Fetches a file of zeros; says why it stands still, if it does. An error if it cannot even begin.
    fn fetch(&mut self, source: &Node, size: u64, folder: &str) -> io::Result<Option<String>> {
        // Another name makes it another share, and each scene wants one that is not shared already.
        let scene = self.folder.path().file_name().unwrap_or_default().display();
        let name = format!("zeros-{scene}-{size}.bin");
        let file = self.folder.join(&name);
        File::create(&file)?.set_len(size)?;
        let link = source.share(&file)?;
        source.wait_reachable(&link)?;
        self.owner.get("/fetches/new")?;
        self.owner.post("/fetches/add", &[("link", &link), ("folder", folder)])?;
        self.wait("the fetch to find room or none", |status| {
            let fetches = status.get("fetches")?.as_array()?;
            let ours = |fetch: &&Value| fetch.get("name").and_then(Value::as_str) == Some(name.as_str());
            let state = fetches.iter().find(ours)?.get("state")?;
            let why = state.get("why").and_then(Value::as_str);
            match state.get("is")?.as_str()? {
                "fetching" | "done" => Some(None),
                "waiting" | "failed" => {
                    why.filter(|why| why.contains("room")).map(|why| Some(why.to_owned()))
                }
                _ => None,
            }
        })
    }

    /// Seconds since it was switched on; and its power is taken.
    fn done(mut self) -> io::Result<f64> {
        let seconds = self.machine.began().elapsed().as_secs_f64();
        self.machine.cut_power()?;
        Ok(seconds)
    }
}

/// Whether a page has these words; an error that names the first it lacks.
fn says(page: &str, words: &[&str]) -> io::Result<()> {
    match words.iter().find(|word| !page.contains(**word)) {
        None => Ok(()),
        Some(word) => Err(io::Error::other(format!("the page does not say: {word}"))),
    }
}
