//! The node's figures in Prometheus' text format (version 0.0.4), for its owner.
//!
//! They are for trends: counts are rounded down to a multiple, memory to MiB, and the same text is told for a while, so that
//! nobody can tell from them what a person did when. They hold no address, no name of a share and no target.

mod services;
mod text;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use crate::config;
use crate::status::{LATENCY_S, Listener, ListenerState, Status};
use text::{Kind, Text};

/// Bytes are told as multiples of this.
const MIB: u64 = 1024 * 1024;

/// Seconds are told as multiples of this.
const MINUTE: u64 = 60;

/// What is counted as a circuit. Arti does not tell how many it built.
const CIRCUITS: &str = "Circuits that streams called for, one for each isolation in ten minutes: an estimate, since Tor may \
                        have had one ready, or have built more.";

/// What `/metrics` answers with.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Tells the same text for as long as the configuration says.
#[derive(Debug)]
pub struct Metrics {
    every: Duration,
    round: u64,
    told: Mutex<Option<(Instant, String)>>,
}

impl Metrics {
    /// Nothing was told yet.
    pub fn new(config: &config::Metrics) -> Self {
        Self {
            every: Duration::from_secs(config.every.0),
            round: config.round.max(1),
            told: Mutex::default(),
        }
    }

    /// The text as of now, or as of some time ago.
    pub fn tell(&self, status: &Status) -> String {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match &*told {
            Some((when, text)) if when.elapsed() < self.every => text.clone(),
            _ => told.insert((Instant::now(), render(status, self.round))).1.clone(),
        }
    }
}

/// All figures, counts as multiples of `round`.
pub fn render(status: &Status, round: u64) -> String {
    let mut text = Text::default();
    node(&mut text, status);
    text.family("bulbil_circuits_total", Kind::Counter, CIRCUITS);
    text.sample("", &[], down(status.proxy.circuits, round));
    let mut kinds: BTreeMap<&str, Listener> = BTreeMap::new();
    for listener in &status.proxy.listeners {
        add(kinds.entry(&listener.kind).or_default(), listener);
    }
    listeners(&mut text, &kinds, round);
    services::write(&mut text, &status.publish, round);
    text.end()
}

fn down(count: u64, step: u64) -> u64 {
    count.saturating_sub(count.checked_rem(step).unwrap_or(0))
}

fn node(text: &mut Text, status: &Status) {
    text.family("bulbil_build_info", Kind::Gauge, "The version that runs.");
    text.sample("", &[("version", &status.version)], 1);
    for (name, help, value) in [
        ("bulbil_uptime_seconds", "Time since the start, in whole minutes.", down(status.uptime_s, MINUTE)),
        ("bulbil_network_ready", "Whether streams can be opened.", u64::from(status.net.ready)),
        ("bulbil_onion_services", "Onion services that run.", status.net.services.into()),
        (
            "bulbil_onion_services_reachable",
            "Onion services that can be reached.",
            status.net.services_reachable.into(),
        ),
        ("bulbil_memory_resident_bytes", "Resident memory.", down(status.memory.rss, MIB)),
        (
            "bulbil_memory_resident_peak_bytes",
            "Most resident memory so far.",
            down(status.memory.rss_peak, MIB),
        ),
        ("bulbil_memory_limit_bytes", "The setting for memory.", status.memory.limit),
        ("bulbil_shares", "Shares offered.", count(status.shares.len())),
        ("bulbil_fetches", "Fetches, finished ones too.", count(status.fetches.len())),
        ("bulbil_peers", "Peers connected.", count(status.peers.len())),
    ] {
        text.family(name, Kind::Gauge, help);
        text.sample("", &[], value);
    }
    text.family("bulbil_identities_total", Kind::Counter, "New identities taken.");
    text.sample("", &[], status.proxy.identities);
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn listeners(text: &mut Text, kinds: &BTreeMap<&str, Listener>, round: u64) {
    text.family("bulbil_listener_up", Kind::Gauge, "Whether the listener takes connections.");
    for (kind, listener) in kinds {
        let up = matches!(listener.state, ListenerState::Listening);
        text.sample("", &[("listener", kind)], u64::from(up));
    }
    let counter = |text: &mut Text, name, help, of: &dyn Fn(&Listener) -> u64| {
        text.family(name, Kind::Counter, help);
        for (kind, listener) in kinds {
            text.sample("", &[("listener", kind)], of(listener));
        }
    };
    counter(text, "bulbil_requests_total", "Requests.", &|listener| down(listener.requests, round));
    counter(text, "bulbil_sent_bytes_total", "Bytes from clients to targets.", &|listener| {
        down(listener.up, MIB)
    });
    counter(text, "bulbil_received_bytes_total", "Bytes from targets to clients.", &|listener| {
        down(listener.down, MIB)
    });
    text.family("bulbil_connections", Kind::Gauge, "Connections open.");
    for (kind, listener) in kinds {
        text.sample("", &[("listener", kind)], down(listener.open.into(), round));
    }
    text.family("bulbil_errors_total", Kind::Counter, "Requests that failed, by kind.");
    for (kind, listener) in kinds {
        for (word, count) in &listener.errors {
            text.sample("", &[("listener", kind), ("kind", word)], down(*count, round));
        }
    }
    text.family("bulbil_response_seconds", Kind::Histogram, "Time until a target answered.");
    for (kind, listener) in kinds {
        let mut sum = 0_u64;
        for (class, count) in listener.latency.iter().enumerate() {
            sum = sum.saturating_add(*count);
            let bound = LATENCY_S.get(class).map_or_else(|| "+Inf".to_owned(), ToString::to_string);
            text.sample("_bucket", &[("listener", kind), ("le", &bound)], down(sum, round));
        }
        text.sample("_sum", &[("listener", kind)], down(listener.latency_ms / 1000, round));
        text.sample("_count", &[("listener", kind)], down(sum, round));
    }
}

/// Takes one listener into those of its kind.
fn add(all: &mut Listener, one: &Listener) {
    all.open = all.open.saturating_add(one.open);
    all.requests = all.requests.saturating_add(one.requests);
    all.up = all.up.saturating_add(one.up);
    all.down = all.down.saturating_add(one.down);
    if one.state != ListenerState::Listening {
        all.state = one.state.clone();
    }
    all.latency_ms = all.latency_ms.saturating_add(one.latency_ms);
    for (word, count) in &one.errors {
        let sum = all.errors.entry(word.clone()).or_default();
        *sum = sum.saturating_add(*count);
    }
    all.latency.resize(LATENCY_S.len().saturating_add(1), 0);
    for (sum, count) in all.latency.iter_mut().zip(&one.latency) {
        *sum = sum.saturating_add(*count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::publish::{Backend, Published, Route};

    fn status() -> Status {
        let latency = vec![3, 4, 5, 0, 0, 0, 0, 0, 8];
        let errors = BTreeMap::from([("refused".to_owned(), 57), ("timeout".to_owned(), 3)]);
        let listener = Listener {
            kind: "http".into(),
            address: "127.0.0.1:3080".into(),
            requests: 99,
            up: 3 * MIB + 5,
            open: 12,
            errors,
            latency,
            latency_ms: 61_700,
            ..Listener::default()
        };
        let mut status = Status { version: "1.0 \"x\"".into(), uptime_s: 3_599, ..Status::default() };
        status.proxy.listeners = vec![listener.clone(), listener];
        let backend = |up| Backend { target: "10.0.0.7:80".into(), up, ..Backend::default() };
        let route = Route { port: 80, backends: vec![backend(true), backend(false), backend(true)] };
        let shop = Published {
            name: "shop".into(),
            host: "secret.onion".into(),
            reachable: Some(true),
            routes: vec![route.clone(), route],
            streams: 17,
            refused: 23,
            received: 5 * MIB + 1,
            sent: 1,
            ..Published::default()
        };
        status.publish = vec![Published::default(), shop];
        status
    }

    /// Every line is what the format allows (Prometheus, "Exposition formats"), every series is told once, after the help
    /// and type of its family.
    #[test]
    fn the_text_keeps_to_the_format() {
        let text = render(&status(), 10);
        assert!(text.ends_with('\n'));
        let (mut family, mut families, mut series) = (String::new(), Vec::new(), Vec::new());
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                family = rest.split(' ').next().unwrap().to_owned();
                assert!(!families.contains(&family) && rest.len() > family.len() + 5, "{line}");
                families.push(family.clone());
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert!(name == family && ["gauge", "counter", "histogram"].contains(&kind), "{line}");
                assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
            } else {
                let (name, value) = line.rsplit_once(' ').unwrap();
                assert!(name.starts_with(&family) && value.parse::<u64>().is_ok(), "{line}");
                assert!(!series.contains(&name), "{name} is told twice");
                series.push(name);
            }
        }
        assert!(text.contains("version=\"1.0 \\\"x\\\"\""), "{text}");
    }

    #[test]
    fn figures_are_coarse() {
        let text = render(&status(), 10);
        for line in [
            "bulbil_uptime_seconds 3540",
            "bulbil_requests_total{listener=\"http\"} 190",
            "bulbil_errors_total{listener=\"http\",kind=\"refused\"} 110",
            "bulbil_errors_total{listener=\"http\",kind=\"timeout\"} 0",
            "bulbil_sent_bytes_total{listener=\"http\"} 6291456",
            "bulbil_connections{listener=\"http\"} 20",
            "bulbil_response_seconds_bucket{listener=\"http\",le=\"0.1\"} 0",
            "bulbil_response_seconds_bucket{listener=\"http\",le=\"1\"} 20",
            "bulbil_response_seconds_bucket{listener=\"http\",le=\"+Inf\"} 40",
            "bulbil_response_seconds_sum{listener=\"http\"} 120",
            "bulbil_response_seconds_count{listener=\"http\"} 40",
            "bulbil_service_reachable{service=\"1\"} 0",
            "bulbil_service_reachable{service=\"2\"} 1",
            "bulbil_service_backends{service=\"2\"} 6",
            "bulbil_service_backends_up{service=\"2\"} 4",
            "bulbil_service_streams{service=\"2\"} 10",
            "bulbil_service_refused_total{service=\"2\"} 20",
            "bulbil_service_received_bytes_total{service=\"2\"} 5242880",
            "bulbil_service_sent_bytes_total{service=\"2\"} 0",
        ] {
            assert!(text.lines().any(|told| told == line), "{line} is missing in {text}");
        }
        for word in ["127.0.0.1", "10.0.0.7", "shop", "onion\"", "secret"] {
            assert!(!text.contains(word), "{word} in {text}");
        }
    }

    #[test]
    fn the_same_is_told_for_a_while() {
        let config = config::Metrics { every: config::Seconds(60), round: 1, token: None };
        let metrics = Metrics::new(&config);
        let before = metrics.tell(&status());
        assert_eq!(metrics.tell(&Status::default()), before);
        let metrics = Metrics::new(&config::Metrics { every: config::Seconds(0), ..config });
        metrics.tell(&status());
        assert_ne!(metrics.tell(&Status::default()), before);
    }
}
