//! Figures of published services, which are told apart by their number in the configuration: a name may say too much.

use super::text::{Kind, Text};
use super::{MIB, count, down};
use crate::status::publish::{Backend, Published};

/// One figure of each service.
struct Figure {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    of: fn(&Published, u64) -> u64,
}

/// All of them. Counts are multiples of what the function is given.
const FIGURES: [Figure; 8] = [
    Figure {
        name: "bulbil_service_published",
        kind: Kind::Gauge,
        help: "Whether the network has taken the descriptor of a published service.",
        of: |it, _| u64::from(it.published),
    },
    Figure {
        name: "bulbil_service_reachable",
        kind: Kind::Gauge,
        help: "Whether we reached it ourselves when we last tried; 0 while nobody tried.",
        of: |it, _| u64::from(it.reachable == Some(true)),
    },
    Figure {
        name: "bulbil_service_backends",
        kind: Kind::Gauge,
        help: "Backends behind its ports.",
        of: |it, _| backends(it, |_| true),
    },
    Figure {
        name: "bulbil_service_backends_up",
        kind: Kind::Gauge,
        help: "Those that are given streams.",
        of: |it, _| backends(it, |backend| backend.up),
    },
    Figure {
        name: "bulbil_service_streams",
        kind: Kind::Gauge,
        help: "Streams open.",
        of: |it, round| down(it.streams.into(), round),
    },
    Figure {
        name: "bulbil_service_refused_total",
        kind: Kind::Counter,
        help: "Streams refused: too many, or no backend.",
        of: |it, round| down(it.refused, round),
    },
    Figure {
        name: "bulbil_service_received_bytes_total",
        kind: Kind::Counter,
        help: "Bytes from clients.",
        of: |it, _| down(it.received, MIB),
    },
    Figure {
        name: "bulbil_service_sent_bytes_total",
        kind: Kind::Counter,
        help: "Bytes to clients.",
        of: |it, _| down(it.sent, MIB),
    },
];

/// Writes them, counts as multiples of `round`.
pub(super) fn write(text: &mut Text, services: &[Published], round: u64) {
    for figure in FIGURES {
        text.family(figure.name, figure.kind, figure.help);
        for (at, service) in services.iter().enumerate() {
            let number = at.saturating_add(1).to_string();
            text.sample("", &[("service", &number)], (figure.of)(service, round));
        }
    }
}

fn backends(service: &Published, which: impl Fn(&Backend) -> bool) -> u64 {
    count(service.routes.iter().flat_map(|route| &route.backends).filter(|backend| which(backend)).count())
}
