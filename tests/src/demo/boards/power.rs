//! The story `power`: a board whose power is cut at ten random moments, and what it knows afterwards.

use std::env;
use std::fs;
use std::io;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use super::super::Options;
use super::guest::{ADDRESS, GUEST, begin, knock, settings, sign_in, until};
use super::image::{self, Images};
use super::rows::Rows;
use crate::alias::Alias;
use crate::content::{self, Bytes};
use crate::machine::{self, Card, Machine, Setting, Start};
use crate::net::{Network, Shape};
use crate::node::{Node, Settings};
use crate::owner::Owner;
use crate::scratch::Scratch;
use crate::{packages, program, wait};

/// Where the node keeps itself, and the words that open it: on the card's second partition.
const KEEP: &str = "keep.age";
const FRESH: &str = ".keep.age.new";
const WORDS: (&str, &str) = ("words.txt", "many plain words in one row");

/// Bytes of each file that is fetched; it takes some seconds.
const FILM: u64 = 2 << 20;

/// Bytes a second that the card takes, so that writing a keep file lasts long enough to be cut in the middle.
const WRITE_LIMIT: u32 = 48 * 1024;

/// The same, so that a cut surely comes before the new file has its name: a sector takes a quarter of a second, a look less.
const CRAWL: u32 = 2048;

/// Limits on an emulated machine.
const READY_LIMIT: Duration = Duration::from_mins(5);
const KEEP_LIMIT: Duration = Duration::from_mins(3);
const FETCH_LIMIT: Duration = Duration::from_mins(10);

/// The node saves again this long after it was saved; a change is then saved at once.
const PAUSE_S: u64 = 31;

/// From a change until the writing of the keep file is over, at most; a cut comes somewhere in between.
const SAVING: Duration = Duration::from_secs(6);

/// What the board is doing when its power goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Moment {
    Boot,
    Fetch,
    Keep,
}

/// Ten, mixed.
const MOMENTS: [Moment; 10] = [
    Moment::Boot,
    Moment::Keep,
    Moment::Fetch,
    Moment::Keep,
    Moment::Boot,
    Moment::Fetch,
    Moment::Keep,
    Moment::Boot,
    Moment::Fetch,
    Moment::Keep,
];

/// Runs the story. The moments follow from a number, which `BULBIL_SEED` may name.
pub(in super::super) fn run(options: &Options) -> io::Result<bool> {
    packages::ensure(&machine::NEEDS)?;
    super::super::build::bulbil()?;
    let folder = Scratch::new("power")?;
    let images = image::build(folder.path(), &["virt"], false)?;
    let seed = seed()?;
    println!("the moments follow from BULBIL_SEED={seed}");
    let alias = Alias::add(ADDRESS)?;
    let network = Network::start(Shape { address: alias.address(), ..Shape::default() })?;
    let source = Node::start(&network, Settings::named("source"))?;
    let mut story = Story::new(&images, &network, &source, folder, seed)?;
    let told = story.tell();
    if let Err(error) = &told {
        println!("{}", story.machine.as_ref().map(Machine::console).unwrap_or_default());
        story.rows.failed("power", &error.to_string());
    }
    options.write_json(&story.rows.json())?;
    Ok(story.rows.all_passed())
}

fn seed() -> io::Result<u64> {
    if let Ok(text) = env::var("BULBIL_SEED") {
        return text.parse().map_err(|_| io::Error::other("BULBIL_SEED must be a whole number"));
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_err(io::Error::other)?;
    Ok(now.as_secs())
}

struct Story<'a> {
    source: &'a Node,
    folder: Scratch,
    card: Card,
    random: Bytes,
    rows: Rows,
    machine: Option<Machine>,
    owner: Owner,
    /// Seconds that the first start took until its page.
    page_s: f64,
    /// The node's address, which must survive.
    address: Option<String>,
    /// Files that were fetched, with their SHA-256 and their links.
    films: Vec<(String, String, String)>,
    /// Changes so far: each shares one more file.
    changes: u32,
    /// Shares that the keep file is known to have.
    kept: u64,
    /// Cuts at which the card had a new keep file that was not in its place yet.
    torn: u32,
    /// When the node last had something new to keep, for sure.
    changed: Instant,
}

impl<'a> Story<'a> {
    fn new(
        images: &Images,
        network: &Network,
        source: &'a Node,
        folder: Scratch,
        seed: u64,
    ) -> io::Result<Self> {
        let card = Card::copy(&images.of(Start::VirtDirect))?;
        let words = folder.join(WORDS.0);
        fs::write(&words, WORDS.1)?;
        card.fill_data(&words)?;
        for number in 1..=MOMENTS.len() {
            let small = folder.join(format!("small-{number}.bin"));
            content::write_file(&small, 40_000, number as u64)?;
            card.put(&small)?;
        }
        let data = Start::VirtDirect.data_folder();
        let keep = format!("\n[keep]\nfile = \"{data}/{KEEP}\"\npassphrase_file = \"{data}/{}\"\n", WORDS.0);
        card.write("bulbil.toml", &(settings(network) + &keep))?;
        let owner = Owner::new(0, GUEST)?;
        Ok(Self {
            source,
            folder,
            card,
            random: Bytes::new(seed),
            rows: Rows::default(),
            machine: None,
            owner,
            page_s: 0.0,
            address: None,
            films: Vec::new(),
            changes: 0,
            kept: 0,
            torn: 0,
            changed: Instant::now(),
        })
    }

    fn tell(&mut self) -> io::Result<()> {
        self.start()?;
        self.page_s = self.page()?;
        begin(&mut self.owner, Start::VirtDirect)?;
        self.changed = Instant::now();
        let status = self.ready()?;
        self.address = status.get("address").and_then(Value::as_str).map(str::to_owned);
        self.saved()?;
        self.rows.passed("power", "first start", Some((self.page_s, "s")));
        for (number, moment) in MOMENTS.into_iter().enumerate() {
            println!("cut {}", number + 1);
            let what = match moment {
                Moment::Boot => self.cut_boot(),
                Moment::Fetch => self.cut_fetch(),
                Moment::Keep => self.cut_keep(),
            }?;
            let name = format!("cut {} of {}", number + 1, MOMENTS.len());
            let kept = self.kept(moment);
            let after = self.after();
            let after = match moment {
                Moment::Fetch => after.and_then(|seconds| self.resume().map(|()| seconds)),
                Moment::Boot | Moment::Keep => after,
            };
            let words = format!("{what}; keep file: {}", words(&kept));
            let failed = kept.as_ref().err().or(after.as_ref().err()).map(ToString::to_string);
            let seconds = after.ok().map(|seconds| (seconds, "s"));
            self.rows.add(&name, &words, failed.is_none(), seconds);
            if let Some(why) = failed {
                return Err(io::Error::other(why));
            }
        }
        self.end()
    }

    /// While it starts: from the first moment to when its page would be there.
    fn cut_boot(&mut self) -> io::Result<String> {
        self.running()?.press_power()?;
        self.start()?;
        let moment = self.between(0.2, self.page_s);
        self.cut_at(Instant::now() + moment)?;
        Ok(format!("{:.1} s into its start", moment.as_secs_f64()))
    }

    /// While it fetches, at a random part of the whole.
    fn cut_fetch(&mut self) -> io::Result<String> {
        self.ready()?;
        let name = format!("film-{}.bin", self.films.len() + 1);
        let file = self.folder.join(&name);
        let hash = content::write_file(&file, FILM, self.random.next_u64())?;
        let link = self.source.share(&file)?;
        self.source.wait_reachable(&link)?;
        self.films.push((name.clone(), hash, link.clone()));
        self.fetch(&link)?;
        let part = self.between(0.05, 0.9).as_secs_f64();
        self.wait(FETCH_LIMIT, "a part of the fetch", |status| {
            let fetch = find(status, &name)?;
            let done = fetch.get("done")?.as_f64()?;
            (done >= part * fetch.get("size")?.as_f64()?).then_some(())
        })?;
        self.running()?.cut_power()?;
        self.machine = None;
        Ok(format!("{:.0} % into a fetch", part * 100.0))
    }

    /// After a cut: the last fetch goes on where it was.
    fn resume(&mut self) -> io::Result<()> {
        let Some((name, _, link)) = self.films.last().cloned() else { return Ok(()) };
        self.ready()?;
        if find(&self.owner.status()?, &name).is_none() {
            self.fetch(&link)?; // the cut came before the keep file had it; what was fetched is there
        }
        self.wait(FETCH_LIMIT, "the fetch to go on after the cut", |status| {
            (find(status, &name)?.pointer("/state/is")?.as_str() == Some("done")).then_some(())
        })
    }

    /// While it writes its keep file, which a slow card makes long.
    fn cut_keep(&mut self) -> io::Result<String> {
        self.ready()?;
        self.saved()?;
        self.changes += 1;
        let aimed = self.changes == 1;
        if aimed {
            self.running()?.set_write_limit(CRAWL)?;
        }
        let path = format!("{}/small-{}.bin", Start::VirtDirect.data_folder(), self.changes);
        self.owner.get("/files")?;
        self.owner.post("/shares/add", &[("path", &path), ("for", "bulbil")])?;
        let changed = Instant::now();
        // Half of them from when the new file shows on the card, the first of these at once; half from the change.
        let shows = self.changes % 2 == 1;
        if shows {
            wait::found(KEEP_LIMIT, "the new keep file", || Ok(self.card.has_data(FRESH)?.then_some(())))?;
        }
        let longest = SAVING.as_secs_f64() / if shows { 4.0 } else { 1.0 };
        let moment = if aimed { Duration::ZERO } else { self.between(0.0, longest) };
        self.cut_at(Instant::now() + moment)?;
        Ok(format!("{:.1} s after a change that is being kept", changed.elapsed().as_secs_f64()))
    }

    /// How many shares the keep file on the card has. An error if it is not whole, or has other than the old or the new number: what was
    /// kept once stays, and at most the change of this moment is lost. The node starts with what it finds there, so that is what
    /// the next cut is measured by.
    fn kept(&mut self, moment: Moment) -> io::Result<u64> {
        if moment == Moment::Keep {
            self.torn += u32::from(self.card.has_data(FRESH)?);
        }
        let shares = self.open_kept()?;
        let (old, new) = (self.kept, self.kept + u64::from(moment == Moment::Keep));
        if shares != old && shares != new {
            return Err(io::Error::other(format!(
                "the keep file is neither the old nor the new one: {shares} shares, not {old} or {new}"
            )));
        }
        self.kept = shares;
        Ok(shares)
    }

    fn open_kept(&self) -> io::Result<u64> {
        let file = self.card.take_data(KEEP, "kept.age")?;
        let file = file.ok_or_else(|| io::Error::other("the keep file is gone"))?;
        let mut command = Command::new(program::bulbil()?);
        command.args(["keep", "show", "--json", "--passphrase-file"]).arg(self.folder.join(WORDS.0));
        let output = command.arg(file).output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(io::Error::other(format!("the keep file cannot be opened: {said}")));
        }
        let kept: Value = serde_json::from_slice(&output.stdout)?;
        let shares = kept.pointer("/holds/shares").and_then(Value::as_u64);
        shares.ok_or_else(|| io::Error::other("the keep file does not say how many shares it holds"))
    }

    /// The next start works: a page, the owner's password, the node's address. Returns seconds until the page.
    fn after(&mut self) -> io::Result<f64> {
        let seconds = self.boot()?;
        let status = self.owner.status()?;
        let address = status.get("address").and_then(Value::as_str);
        if address != self.address.as_deref() {
            return Err(io::Error::other("the node came back with another address"));
        }
        Ok(seconds)
    }

    /// Switches off, and looks at the files that were fetched.
    fn end(&mut self) -> io::Result<()> {
        self.running()?.press_power()?;
        let torn = Some((f64::from(self.torn), "cuts"));
        self.rows.add("power", "a new keep file was on the card without its name, at", self.torn > 0, torn);
        for (name, hash, _) in &self.films {
            let file = self.card.take_data(name, name)?;
            let right = file.map(|file| content::digest(&file)).transpose()?.as_ref() == Some(hash);
            self.rows.add("power", &format!("{name} is whole after its cut"), right, None);
        }
        Ok(())
    }
}

/// Parts of the scenes.
impl Story<'_> {
    fn running(&mut self) -> io::Result<&mut Machine> {
        self.machine.as_mut().ok_or_else(|| io::Error::other("the machine is off"))
    }

    fn start(&mut self) -> io::Result<()> {
        let setting = Setting { write_limit: Some(WRITE_LIMIT), ..Setting::default() };
        self.machine = None;
        let machine = Machine::start_in(Start::VirtDirect, &self.card, 256, &setting)?;
        self.owner = Owner::new(machine.page(), GUEST)?;
        self.machine = Some(machine);
        Ok(())
    }

    /// Seconds until its page.
    fn page(&mut self) -> io::Result<f64> {
        let machine = self.machine.as_mut().ok_or_else(|| io::Error::other("the machine is off"))?;
        knock(machine, &self.owner)?;
        Ok(machine.began().elapsed().as_secs_f64())
    }

    fn boot(&mut self) -> io::Result<f64> {
        self.start()?;
        let seconds = self.page()?;
        sign_in(&mut self.owner)?;
        self.changed = self.running()?.began();
        Ok(seconds)
    }

    fn wait<T>(&mut self, limit: Duration, what: &str, look: impl Fn(&Value) -> Option<T>) -> io::Result<T> {
        let machine = self.machine.as_mut().ok_or_else(|| io::Error::other("the machine is off"))?;
        until(machine, &self.owner, limit, what, look)
    }

    fn ready(&mut self) -> io::Result<Value> {
        self.wait(READY_LIMIT, "the board to be ready", |status| {
            let ready =
                status.pointer("/net/ready")?.as_bool() == Some(true) && !status.get("address")?.is_null();
            ready.then(|| status.clone())
        })
    }

    /// Waits until all is kept, and so long ago that the next change is kept at once.
    fn saved(&mut self) -> io::Result<()> {
        let changed = self.changed;
        self.wait(KEEP_LIMIT, "the keep file to be written", |status| {
            let seconds = status.pointer("/keep/saved_ago_s")?.as_u64()?;
            (seconds >= PAUSE_S && seconds < changed.elapsed().as_secs()).then_some(())
        })
    }

    fn fetch(&mut self, link: &str) -> io::Result<()> {
        self.owner.get("/fetches/new")?;
        let folder = Start::VirtDirect.data_folder();
        self.owner.post("/fetches/add", &[("link", link), ("folder", folder)]).map(drop)
    }

    fn between(&mut self, least: f64, most: f64) -> Duration {
        let part = f64::from(u32::try_from(self.random.next_u64() >> 32).unwrap_or(0)) / f64::from(u32::MAX);
        Duration::from_secs_f64(least + part * (most - least))
    }

    fn cut_at(&mut self, moment: Instant) -> io::Result<()> {
        wait::eventually(KEEP_LIMIT, "the moment of the cut", || Instant::now() >= moment)?;
        self.running()?.cut_power()?;
        self.machine = None;
        Ok(())
    }
}

fn words(kept: &io::Result<u64>) -> String {
    kept.as_ref().map_or_else(|_| "broken".to_owned(), |shares| format!("whole, with {shares} shares"))
}

/// The fetch of this name.
fn find<'v>(status: &'v Value, name: &str) -> Option<&'v Value> {
    let fetches = status.get("fetches")?.as_array()?;
    fetches.iter().find(|fetch| fetch.get("name").and_then(Value::as_str) == Some(name))
}
