//! Joins the network, and joins it again when it is lost. The chip's own software talks with the access point; a chip that cannot do
//! that is told so.

use std::cell::Cell;
use std::fs;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::message::{self, Family, Heard};
use super::{WifiSettings, key};
use crate::init::report::{self, Report};
use crate::status::board::Verdict;
use crate::sys::board::link::Links;
use crate::sys::board::netlink::Netlink;

/// The kernel's list of interfaces.
const CLASS: &str = "/sys/class/net";

/// Longest wait for an answer of the kernel, and for the network to be found and joined.
const ANSWER: Duration = Duration::from_secs(5);
const JOIN: Duration = Duration::from_secs(30);

/// How often the kernel is asked whether it knows the rules of a country, and the pause in between.
const LOOKS: u32 = 10;
const LOOK: Duration = Duration::from_millis(100);

/// Before the next attempt: the first, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

/// Bytes of an answer: the kernel sends 16 KiB at most (linux/netlink.h, `NLMSG_GOODSIZE` and what dumps use).
const BUFFER: usize = 32 * 1024;

/// Messages of one list at most.
const MAX_MESSAGES: usize = 512;

/// `ENOENT`: there is no such family.
const NO_FAMILY: i32 = 2;

/// Whether this interface is a radio.
pub(in crate::init) fn is_wireless(interface: &str) -> bool {
    Path::new(CLASS).join(interface).join("phy80211").exists()
}

/// Keeps one radio in the network, for ever.
pub(in crate::init) async fn run(
    interface: String,
    settings: WifiSettings,
    links: Rc<Links>,
    report: Rc<Report>,
) {
    let tell = |verdict, words: &str| report.note(&report::wifi_key(&interface), verdict, words);
    let note = |words: &str| report.note("wifi.country", Verdict::Ignored, words);
    let (Some(ssid), Some(password)) = (&settings.ssid, &settings.password) else {
        let (_, words) = settings.fault().unwrap_or(("", UNNAMED));
        return tell(Verdict::Ignored, words);
    };
    let radio = Radio {
        number: Path::new(CLASS).join(&interface).join("ifindex"),
        ssid: &ssid.0,
        key: key::derive(ssid, password),
        country: settings.country.map(|country| country.0),
    };
    let mut pause = PAUSE.0;
    loop {
        let joined = links.up(&interface).map_err(|error| format!("cannot be switched on: {error}"));
        let joined = match joined {
            Ok(()) => radio.join(&note).await,
            Err(why) => Err(why),
        };
        match joined {
            Ok(talk) => {
                pause = PAUSE.0;
                tell(Verdict::Understood, "joined the network");
                let why = talk.until_lost().await;
                tell(Verdict::Wrong, &format!("{why}; it is joined again"));
            }
            Err(why) => tell(Verdict::Wrong, &why),
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE.1);
    }
}

/// What is told of a radio that has nothing to do.
const UNNAMED: &str = "no network is named; set ssid and password in the section [wifi] of bulbil.toml";

/// What is told of a chip that needs help.
const NO_OFFLOAD: &str = "the software of this chip does not join networks by itself (4-way handshake offload), and nothing else here \
                          does; use a cable, or another adapter";

/// One radio and where it belongs.
struct Radio<'a> {
    /// The file with its number.
    number: std::path::PathBuf,
    ssid: &'a str,
    key: [u8; 32],
    country: Option<[u8; 2]>,
}

impl Radio<'_> {
    /// Joins; the error is what to tell the owner. What went wrong beside it goes to `note`.
    async fn join(&self, note: &impl Fn(&str)) -> Result<Talk, String> {
        let number = fs::read_to_string(&self.number).ok().and_then(|text| text.trim().parse().ok());
        let interface = number.ok_or("it is gone")?;
        let socket = Netlink::open().map_err(|error| format!("the kernel cannot be asked: {error}"))?;
        let talk = Talk::new(socket, interface);
        let family = talk.family("nl80211").await?;
        talk.socket.join(family.events).map_err(|error| unheard(&error))?;
        if !talk.offloads(family).await? {
            return Err(NO_OFFLOAD.to_owned());
        }
        self.connect(&talk, family, note).await.map(|()| talk)
    }

    async fn connect(&self, talk: &Talk, family: Family, note: &impl Fn(&str)) -> Result<(), String> {
        if let Some(country) = self.country
            && let Some(why) = talk.set_country(family, country).await?
        {
            note(&why);
        }
        // A radio that still tries to join refuses to begin anew; one that does not has nothing to leave, and says so.
        let _ = talk.order(message::disconnect(family.id, talk.interface)).await?;
        let asked = talk.say(message::connect(family.id, talk.interface, self.ssid, &self.key))?;
        let ended = talk.hear(Instant::now() + JOIN, |heard| {
            let event = heard.number == 0 && heard.interface() == Some(talk.interface);
            match heard.error().filter(|_| heard.number == asked) {
                Some(error) => Some(Err(io::Error::from_raw_os_error(error).to_string())),
                None => (event && heard.command() == Some(message::CONNECT)).then(|| Ok(heard.status())),
            }
        });
        match ended.await? {
            Some(Ok(0)) => Ok(()),
            Some(Ok(code)) => Err(format!("the network was not joined (status {code}); {CHECK}")),
            Some(Err(why)) => Err(format!("the network was not joined ({why}); {CHECK}")),
            None => Err(format!("the network was not joined within {} s; {CHECK}", JOIN.as_secs())),
        }
    }
}

/// Whether other rules hold than those asked for. What a network and its owner say of two countries is the kernel's `98`.
fn differ(rules: [u8; 2], country: [u8; 2]) -> bool {
    rules != country && rules != *b"98"
}

/// What to look at.
const CHECK: &str = "check wifi.ssid and wifi.password, and whether the network is near and has WPA2";

fn unheard(error: &io::Error) -> String {
    format!("what becomes of connections is not heard: {error}")
}

/// What is told when an answer takes too long.
const NO_ANSWER: &str = "the kernel does not answer";

/// A conversation with the kernel about one radio.
struct Talk {
    socket: Netlink,
    interface: u32,
    /// The number of the last question. An answer that comes too late has another than the one that is waited for.
    asked: Cell<u32>,
}

impl Talk {
    const fn new(socket: Netlink, interface: u32) -> Self {
        Self { socket, interface, asked: Cell::new(0) }
    }

    async fn family(&self, name: &str) -> Result<Family, String> {
        let asked = self.say(message::get_family(name))?;
        let found = self.answer(asked, |heard| match heard.error() {
            Some(NO_FAMILY) => Some(Err("this kernel has no Wi-Fi (nl80211)".to_owned())),
            Some(error) => Some(Err(io::Error::from_raw_os_error(error).to_string())),
            None => heard.family().map(Ok),
        });
        found.await?.unwrap_or_else(|| Err(NO_ANSWER.to_owned()))
    }

    /// Whether the chip makes connections by itself. The answer comes in parts.
    async fn offloads(&self, family: Family) -> Result<bool, String> {
        let asked = self.say(message::get_wiphy(family.id, self.interface))?;
        let mut found = false;
        let ended = self.answer(asked, |heard| {
            found |= heard.kind == family.id && heard.offloads();
            (heard.kind == message::DONE || heard.error().is_some()).then_some(())
        });
        ended.await?.ok_or("the kernel does not tell what the chip can do")?;
        Ok(found)
    }

    /// Sets the country: why it does not count, if so. The kernel takes every order, looks the country up meanwhile, and says nothing when
    /// it knows no such rules.
    async fn set_country(&self, family: Family, country: [u8; 2]) -> Result<Option<String>, String> {
        if let Err(error) = self.order(message::set_country(family.id, country)).await? {
            let why =
                format!("the kernel refuses it ({error}); the radio keeps to what is allowed everywhere");
            return Ok(Some(why));
        }
        let mut rules = None;
        for _ in 0..LOOKS {
            rules = self.country(family).await?;
            if rules.is_none_or(|rules| !differ(rules, country)) {
                return Ok(None);
            }
            sleep(LOOK).await;
        }
        let whose = rules.map(|rules| String::from_utf8_lossy(&rules).into_owned());
        Ok(whose.map(|whose| {
            format!("the kernel does not take it; the rules of {whose} hold (00: what is allowed everywhere)")
        }))
    }

    /// The country whose rules hold for radios; `None` if the kernel does not say.
    async fn country(&self, family: Family) -> Result<Option<[u8; 2]>, String> {
        let asked = self.say(message::get_country(family.id))?;
        let told = self.answer(asked, |heard| match heard.error() {
            Some(_) => Some(None),
            None => heard.country().map(Some),
        });
        Ok(told.await?.flatten())
    }

    /// Has something done: whether it was.
    async fn order(&self, message: Vec<u8>) -> Result<io::Result<()>, String> {
        let asked = self.say(message)?;
        let outcome = self.answer(asked, |heard| {
            let outcome = heard.outcome()?;
            Some(outcome.map_err(io::Error::from_raw_os_error))
        });
        Ok(outcome.await?.ok_or(NO_ANSWER)?)
    }

    /// Until the network is lost: why.
    async fn until_lost(self) -> String {
        loop {
            let ended = self.hear(Instant::now() + LONG, |heard| {
                let ours = heard.number == 0 && heard.interface() == Some(self.interface);
                (ours && heard.command() == Some(message::DISCONNECT)).then(|| heard.reason())
            });
            match ended.await {
                Ok(Some(code)) => return format!("the network was lost (reason {code})"),
                Ok(None) => {}
                Err(why) => return why,
            }
        }
    }

    /// Says something: the number that the answer to it will have.
    fn say(&self, mut message: Vec<u8>) -> Result<u32, String> {
        let number = self.asked.get() + 1;
        self.asked.set(number);
        message::number_it(&mut message, number);
        self.socket.send(&message).map_err(|error| format!("the kernel does not listen: {error}"))?;
        Ok(number)
    }

    /// The first answer to this question that means something; `None` when the time is over.
    async fn answer<T>(
        &self,
        asked: u32,
        mut read: impl FnMut(Heard<'_>) -> Option<T>,
    ) -> Result<Option<T>, String> {
        let until = Instant::now() + ANSWER;
        self.hear(until, |heard| if heard.number == asked { read(heard) } else { None }).await
    }

    /// The first message that means something; `None` when the time is over.
    async fn hear<T>(
        &self,
        until: Instant,
        mut read: impl FnMut(Heard<'_>) -> Option<T>,
    ) -> Result<Option<T>, String> {
        let mut buffer = vec![0; BUFFER];
        for _ in 0..MAX_MESSAGES {
            let Ok(received) = timeout_at(until, self.socket.receive(&mut buffer)).await else {
                return Ok(None);
            };
            let length = received.map_err(|error| unheard(&error))?;
            let found = message::split(buffer.get(..length).unwrap_or_default()).find_map(&mut read);
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

/// How long it listens at a time.
const LONG: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn talk() -> Talk {
        Talk::new(Netlink::open().unwrap(), 1)
    }

    fn radio(country: Option<[u8; 2]>) -> Radio<'static> {
        Radio {
            number: Path::new("/sys/class/net/nothing0/ifindex").to_owned(),
            ssid: "attic",
            key: [7; 32],
            country,
        }
    }

    #[tokio::test]
    async fn this_kernel_answers() {
        // The family that every kernel has; it has no events of connections.
        assert_eq!(talk().family("nlctrl").await, Ok(Family { id: 16, events: 0 }));
        let error = talk().family("no such").await.unwrap_err();
        assert_eq!(error, "this kernel has no Wi-Fi (nl80211)");
    }

    #[tokio::test]
    async fn an_answer_to_another_question_is_none() {
        let talk = talk();
        talk.say(message::get_family("no such")).unwrap();
        assert_eq!(talk.family("nlctrl").await, Ok(Family { id: 16, events: 0 }));
    }

    #[tokio::test]
    async fn a_radio_that_is_gone_says_so() {
        let joined = radio(None).join(&|_| {}).await;
        assert_eq!(joined.err().as_deref(), Some("it is gone"));
        assert!(!is_wireless("lo"));
    }

    /// Plays a kernel whose radio is not in a network: what it was told to do. `country` is the error for setting one, and the one whose
    /// rules hold.
    async fn play(kernel: Netlink, status: u16, country: (i32, [u8; 2])) -> Vec<u8> {
        let mut orders = Vec::new();
        let mut buffer = vec![0; BUFFER];
        while orders.last() != Some(&message::CONNECT) {
            let length = kernel.receive(&mut buffer).await.unwrap();
            let heard = message::split(&buffer[..length]).next().unwrap();
            let command = heard.command().unwrap();
            let answer = match command {
                message::GET_COUNTRY => message::ruled(28, heard.number, country.1),
                message::CONNECT => message::told(heard.number, 0),
                message::DISCONNECT => message::told(heard.number, 107), // ENOTCONN: it leaves none
                _ => message::told(heard.number, country.0),
            };
            kernel.send(&answer).unwrap();
            orders.push(command);
        }
        kernel.send(&message::joined(28, 4, 0)).unwrap(); // another's radio
        kernel.send(&message::joined(28, 3, status)).unwrap();
        orders
    }

    #[tokio::test]
    async fn a_radio_is_freed_before_it_joins_and_a_country_is_no_condition() {
        const SET: u8 = 27;
        let (free, join) = (message::DISCONNECT, message::CONNECT);
        for (status, ended, country, asked, words) in [
            (0, Ok(()), (22, *b"00"), 0, Some("Invalid argument")),
            (15, Err("(status 15)"), (22, *b"00"), 0, Some("Invalid argument")),
            (0, Ok(()), (0, *b"00"), LOOKS, Some("the rules of 00 hold")),
            (15, Err("(status 15)"), (0, *b"US"), LOOKS, Some("the rules of US hold")),
            (0, Ok(()), (0, *b"ZZ"), 1, None),
            (0, Ok(()), (0, *b"98"), 1, None),
        ] {
            let (socket, kernel) = Netlink::pair().unwrap();
            let talk = Talk::new(socket, 3);
            let noted = RefCell::new(Vec::new());
            let (radio, family) = (radio(Some(*b"ZZ")), Family { id: 28, events: 0 });
            let note = |words: &str| noted.borrow_mut().push(words.to_owned());
            let (joined, orders) =
                tokio::join!(radio.connect(&talk, family, &note), play(kernel, status, country));
            let looks = (0..asked).map(|_| message::GET_COUNTRY);
            assert_eq!(orders, std::iter::once(SET).chain(looks).chain([free, join]).collect::<Vec<_>>());
            match ended {
                Ok(()) => assert_eq!(joined, Ok(())),
                Err(words) => assert!(joined.unwrap_err().contains(words)),
            }
            let noted = noted.into_inner();
            assert_eq!(noted.len(), usize::from(words.is_some()), "{noted:?}");
            assert!(words.is_none_or(|words| noted[0].contains(words)), "{noted:?}");
        }
    }
}
