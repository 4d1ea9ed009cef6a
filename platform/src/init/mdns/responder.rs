//! The one who has a name (RFC 6762, sections 6 to 9): asks whether it is free, says so, answers, and gives way. No socket and no
//! clock in here.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use tokio::time::Instant;

use super::message::{self, A, ANY, Heard, Name, Record, TTL};

/// Where everybody speaks.
pub(in crate::init) const PORT: u16 = 5353;

/// Questions before a name is ours, and the pause after each (RFC 6762, section 8.1).
const PROBES: u8 = 3;
const PROBE: Duration = Duration::from_millis(250);

/// How often a name is told when it is ours, and the pause in between (section 8.3).
const TELLS: u8 = 2;
const TELL: Duration = Duration::from_secs(1);

/// After somebody wanted the name at the same moment and comes first (section 8.2).
const GIVE_WAY: Duration = Duration::from_secs(1);

/// So many lost names within so long are a fight; then the next try waits (section 8.1).
const FIGHT: (usize, Duration, Duration) = (15, Duration::from_secs(10), Duration::from_secs(5));

/// Everyone hears an answer at most once in so long, or so long while somebody probes (section 6).
const REPEAT: Duration = Duration::from_secs(1);
const REPEAT_PROBED: Duration = Duration::from_millis(250);

/// Bytes of a name without its number: room for `-999999`.
const MAX_STEM: usize = 56;

/// How far the name is ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Claim {
    /// So many questions were asked.
    Probing(u8),
    /// It is ours, and so often that was told.
    Ours(u8),
}

/// Whom a message is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum To {
    /// Everyone on the network.
    All,
    /// The one who asked.
    Asker,
}

/// See the module. Call [`Responder::handle_timeout`] when [`Responder::poll_timeout`] is due.
#[derive(Debug)]
pub(super) struct Responder {
    stem: String,
    /// 1 for the name alone.
    number: u32,
    name: Name,
    address: Ipv4Addr,
    claim: Claim,
    due: Option<Instant>,
    told: Option<Instant>,
    lost: VecDeque<Instant>,
}

impl Responder {
    /// Begins to claim `stem.local` for this address, after `pause`: a moment of chance, so that machines switched on together do not ask
    /// together.
    pub(super) fn new(stem: &str, address: Ipv4Addr, now: Instant, pause: Duration) -> Self {
        let stem: String = stem.chars().take(MAX_STEM).collect();
        Self {
            name: Name::local(&stem),
            stem,
            number: 1,
            address,
            claim: Claim::Probing(0),
            due: Some(now + pause),
            told: None,
            lost: VecDeque::new(),
        }
    }

    /// The name without `.local`, once it is ours.
    pub(super) fn name(&self) -> Option<String> {
        matches!(self.claim, Claim::Ours(_)).then(|| self.label())
    }

    /// When to call [`Self::handle_timeout`].
    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// What is to be said to everyone now.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.due.is_none_or(|due| now < due) {
            return None;
        }
        match self.claim {
            Claim::Probing(asked) if asked < PROBES => {
                self.claim = Claim::Probing(asked + 1);
                self.due = Some(now + PROBE);
                Some(message::probe(&self.name, self.address.octets()))
            }
            Claim::Probing(_) => {
                self.claim = Claim::Ours(0);
                self.tell(now)
            }
            Claim::Ours(_) => self.tell(now),
        }
    }

    /// Somebody said something. `own` are all addresses of this machine: it does not fight with itself.
    pub(super) fn handle_message(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        bytes: &[u8],
        own: &[Ipv4Addr],
    ) -> Option<(Vec<u8>, To)> {
        let name = self.name.clone();
        let heard = Heard::read(bytes, &name)?;
        if heard.response {
            // Only who speaks from this port speaks for the network (section 11).
            if from.port() == PORT && heard.answers.iter().any(|record| is_another(record, own)) {
                self.lose(now);
            }
            return None;
        }
        match self.claim {
            Claim::Probing(_) => {
                self.compare(now, &heard, own);
                None
            }
            Claim::Ours(_) => self.answer(now, from, &heard),
        }
    }

    /// What to say when the name is given up.
    pub(super) fn goodbye(&self) -> Option<Vec<u8>> {
        matches!(self.claim, Claim::Ours(_))
            .then(|| message::announcement(&self.name, self.address.octets(), 0))
    }

    fn label(&self) -> String {
        if self.number == 1 { self.stem.clone() } else { format!("{}-{}", self.stem, self.number) }
    }

    fn tell(&mut self, now: Instant) -> Option<Vec<u8>> {
        let Claim::Ours(told) = self.claim else { return None };
        self.claim = Claim::Ours(told.saturating_add(1).min(TELLS));
        self.due = (told + 1 < TELLS).then(|| now + TELL);
        self.told = Some(now);
        Some(message::announcement(&self.name, self.address.octets(), TTL))
    }

    /// Somebody has the name: the next number is tried.
    fn lose(&mut self, now: Instant) {
        let (many, within, pause) = FIGHT;
        self.lost.push_back(now);
        while self.lost.front().is_some_and(|lost| now.duration_since(*lost) > within) {
            self.lost.pop_front();
        }
        let fight = self.lost.len() >= many;
        if fight {
            self.lost.pop_front();
        }
        // From the first one again, rather than a name too long.
        self.number = if self.number < 999_999 { self.number + 1 } else { 2 };
        self.name = Name::local(&self.label());
        self.claim = Claim::Probing(0);
        self.due = Some(if fight { now + pause } else { now });
        self.told = None;
    }

    /// Two want the same name at once: the later record in order wins (section 8.2).
    fn compare(&mut self, now: Instant, heard: &Heard<'_>, own: &[Ipv4Addr]) {
        let key = |record: &Record<'_>| (record.class, record.kind, record.data.to_vec());
        let mut theirs: Vec<_> = heard.wanted.iter().map(key).collect();
        theirs.sort_unstable();
        let is_own = heard.wanted.iter().all(|record| !is_another(record, own));
        let ours = vec![(1, A, self.address.octets().to_vec())];
        if !is_own && ours < theirs {
            self.claim = Claim::Probing(0);
            self.due = Some(now + GIVE_WAY);
        }
    }

    fn answer(&mut self, now: Instant, from: SocketAddrV4, heard: &Heard<'_>) -> Option<(Vec<u8>, To)> {
        let first = heard.questions.first()?;
        let address = self.address.octets();
        if from.port() != PORT {
            return Some((message::legacy(heard.id, &self.name, first.kind, address), To::Asker));
        }
        let asked = |question: &message::Question| question.kind == A || question.kind == ANY;
        let is_wanted = heard.questions.iter().any(asked);
        // Who knows it for half its time or longer need not be told (section 7.1).
        let known = |record: &Record<'_>| record.kind == A && record.data == address && record.ttl >= TTL / 2;
        if is_wanted && heard.answers.iter().any(known) {
            return None;
        }
        let bytes = if is_wanted {
            message::announcement(&self.name, address, TTL)
        } else {
            message::denial(&self.name)
        };
        let long_ago = |pause: Duration| self.told.is_none_or(|told| now.duration_since(told) >= pause);
        // One alone asks: still everyone hears it once in a quarter of its time (section 5.4).
        let alone = heard.questions.iter().all(|question| question.alone);
        if alone && !long_ago(Duration::from_secs(u64::from(TTL) / 4)) {
            return Some((bytes, To::Asker));
        }
        let pause = if heard.wanted.is_empty() { REPEAT } else { REPEAT_PROBED };
        if is_wanted && !long_ago(pause) {
            return None;
        }
        if is_wanted {
            self.told = Some(now);
        }
        Some((bytes, To::All))
    }
}

/// Whether this gives our name to another machine.
fn is_another(record: &Record<'_>, own: &[Ipv4Addr]) -> bool {
    let is_own = |data: &[u8]| own.iter().any(|address| address.octets() == data);
    // A goodbye is no claim.
    record.ttl > 0
        && match record.kind {
            A => !is_own(record.data),
            message::AAAA => true,
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 20);
    const THEIRS: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 30);
    const FROM: SocketAddrV4 = SocketAddrV4::new(THEIRS, PORT);

    /// Drives it for so long, and returns how many messages came and when the name was ours.
    fn drive(responder: &mut Responder, from: Instant, span: Duration) -> (usize, Option<Duration>) {
        let (mut said, mut ours) = (0, None);
        while let Some(due) = responder.poll_timeout().filter(|due| *due <= from + span) {
            said += usize::from(responder.handle_timeout(due).is_some());
            ours = ours.or_else(|| responder.name().map(|_| due - from));
        }
        (said, ours)
    }

    fn settled(now: Instant) -> Responder {
        let mut responder = Responder::new("attic", OURS, now, Duration::ZERO);
        drive(&mut responder, now, Duration::from_secs(9));
        responder
    }

    fn query(name: &str, port: u16, responder: &mut Responder, now: Instant) -> Option<(Vec<u8>, To)> {
        let mut bytes = message::probe(&Name::local(name), THEIRS.octets());
        bytes[9] = 0; // no more than a question
        bytes.truncate(bytes.len() - Name::local(name).wire_len() - 14);
        responder.handle_message(now, SocketAddrV4::new(THEIRS, port), &bytes, &[OURS])
    }

    #[test]
    fn a_free_name_is_ours_after_three_questions() {
        let now = Instant::now();
        let mut responder = Responder::new("attic", OURS, now, Duration::ZERO);
        assert_eq!(responder.name(), None);
        let (said, ours) = drive(&mut responder, now, Duration::from_secs(9));
        assert_eq!((said, ours), (5, Some(PROBE * 3)));
        assert_eq!((responder.name().as_deref(), responder.poll_timeout()), (Some("attic"), None));
    }

    #[test]
    fn a_name_that_somebody_has_gets_a_number() {
        let now = Instant::now();
        for mut responder in [Responder::new("attic", OURS, now, Duration::ZERO), settled(now)] {
            let claimed = message::announcement(&Name::local("attic"), THEIRS.octets(), TTL);
            let other = SocketAddrV4::new(THEIRS, 4000);
            assert_eq!(responder.handle_message(now, other, &claimed, &[OURS]), None);
            assert_eq!(responder.label(), "attic", "not from the port of all");
            responder.handle_message(now, FROM, &claimed, &[OURS, THEIRS]);
            assert_eq!(responder.label(), "attic", "our own other address");
            responder.handle_message(now, FROM, &claimed, &[OURS]);
            assert_eq!((responder.name(), responder.label().as_str()), (None, "attic-2"));
            drive(&mut responder, now, Duration::from_secs(9));
            assert_eq!(responder.name().as_deref(), Some("attic-2"));
        }
    }

    #[test]
    fn of_two_who_ask_at_once_the_later_address_wins() {
        let now = Instant::now();
        for (theirs, wins) in [(THEIRS, false), (Ipv4Addr::new(10, 0, 0, 1), true), (OURS, true)] {
            let mut responder = Responder::new("attic", OURS, now, Duration::ZERO);
            responder.handle_timeout(now);
            let probe = message::probe(&Name::local("attic"), theirs.octets());
            assert_eq!(responder.handle_message(now, FROM, &probe, &[OURS]), None);
            let (_, ours) = drive(&mut responder, now, Duration::from_secs(9));
            assert_eq!(ours, Some(if wins { PROBE * 3 } else { GIVE_WAY + PROBE * 3 }), "{theirs}");
        }
    }

    #[test]
    fn a_fight_for_names_is_slow() {
        let now = Instant::now();
        let mut responder = settled(now);
        for _ in 0..FIGHT.0 {
            let claimed = message::announcement(&Name::local(&responder.label()), THEIRS.octets(), TTL);
            responder.handle_message(now, FROM, &claimed, &[OURS]);
        }
        assert_eq!(responder.poll_timeout(), Some(now + FIGHT.2));
    }

    #[test]
    fn answers_go_to_all_or_to_one_and_not_too_often() {
        let mut now = Instant::now();
        let mut responder = settled(now);
        assert_eq!(query("cellar", PORT, &mut responder, now), None);
        now += Duration::from_secs(60);
        let (bytes, to) = query("Attic", PORT, &mut responder, now).unwrap();
        assert_eq!((bytes, to), (message::announcement(&responder.name, OURS.octets(), TTL), To::All));
        assert_eq!(query("attic", PORT, &mut responder, now), None, "everyone has just heard it");
        let (bytes, to) = query("attic", 40_000, &mut responder, now).unwrap();
        assert_eq!((bytes, to), (message::legacy(0, &responder.name, ANY, OURS.octets()), To::Asker));
        now += REPEAT_PROBED;
        let probe = message::probe(&responder.name, THEIRS.octets());
        assert!(responder.handle_message(now, FROM, &probe, &[OURS]).is_some(), "who probes is told at once");
        now += REPEAT;
        let mut known = probe;
        (known[7], known[9]) = (1, 0); // what is wanted becomes what is known
        assert!(responder.handle_message(now, FROM, &known, &[OURS]).is_some(), "it knows another address");
        now += REPEAT;
        let end = known.len();
        known[end - 4..].copy_from_slice(&OURS.octets());
        assert_eq!(responder.handle_message(now, FROM, &known, &[OURS]), None, "it knows");
        assert!(responder.goodbye().is_some());
    }
}
