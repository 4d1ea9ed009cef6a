//! How the node is, at a glance.

use maud::{Markup, html};

use super::layout::{badge, bar};
use crate::status::{NetStatus, Status};
use crate::words::{percent, rate, size, span};

/// Seconds of clock error that are shown: Tor itself tolerates minutes.
const SKEW_WORTH_SHOWING_S: u64 = 60;

/// Network, memory, traffic: figures without names.
pub(super) fn section(status: &Status, aside: &Markup) -> Markup {
    html! {
        section class="overview" aria-labelledby="overview-title" {
            div class="heading" { h1 id="overview-title" { (headline(&status.net)) } div class="aside" { (aside) } }
            (net(&status.net))
            (shortage(status))
            dl class="figures" {
                div { dt { "Down" } dd { (rate(status.fetches.iter().map(|fetch| fetch.rate).sum())) } }
                div { dt { "Served" } dd { (size(served(status))) } }
                div { dt { "Onion services" } dd { (services(&status.net)) } }
                div { dt { "Memory" } dd { (memory(status)) } }
                div { dt { "Running for" } dd { (span(status.uptime_s)) } }
            }
        }
    }
}

pub(super) fn headline(net: &NetStatus) -> &'static str {
    match (&net.blocked, net.ready) {
        (Some(_), _) => "Tor is stuck",
        (None, true) => "Connected",
        (None, false) => "Connecting to Tor",
    }
}

pub(super) fn net(net: &NetStatus) -> Markup {
    let skew = net.clock_skew_s.filter(|skew| skew.unsigned_abs() >= SKEW_WORTH_SHOWING_S);
    html! {
        @if !net.ready {
            div class="boot" {
                (bar("Connecting to Tor", u64::from(net.percent)))
                span class="number" { (net.percent) " %" }
            }
        }
        @if let Some(why) = &net.blocked {
            p class="notice bad" role="alert" { (why) }
        } @else if !net.doing.is_empty() {
            p class="doing" { (net.doing) }
        }
        @if let Some(skew) = skew {
            p class="notice warn" {
                "The clock of this machine is " (span(skew.unsigned_abs()))
                (if skew > 0 { " ahead" } else { " behind" }) ". Set it right, or Tor may not work."
            }
        }
    }
}

fn served(status: &Status) -> u64 {
    let shares = status.shares.iter().map(|share| share.uploaded);
    shares.chain(status.fetches.iter().map(|fetch| fetch.uploaded)).fold(0, u64::saturating_add)
}

pub(super) fn services(net: &NetStatus) -> Markup {
    html! {
        @if net.services == 0 { "none" }
        @else if net.services == net.services_reachable { (net.services) " " (badge("good", "reachable")) }
        @else { (net.services_reachable) " of " (net.services) " reachable" }
    }
}

/// What to do when memory is short.
fn shortage(status: &Status) -> Markup {
    let seen = status.shortage;
    html! {
        @if seen.now {
            p class="notice warn" {
                "Memory is short: idle circuits are closed (" (seen.lanes) " so far) and callers sent away ("
                (seen.callers) " so far) until less than 90 % is in use; give the node more with "
                code { "memory" } " in its configuration, or withdraw what is shared and stop what is fetched."
            }
        }
    }
}

fn memory(status: &Status) -> Markup {
    let memory = status.memory;
    html! {
        span class="whole" { (size(memory.rss)) " of " (size(memory.limit)) }
        (bar("Memory in use", percent(memory.rss, memory.limit.max(1))))
        small { "at most " (size(memory.rss_peak)) " so far" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::shortage::Shortage;

    #[test]
    fn the_owner_is_told_when_memory_is_short_and_what_to_do() {
        let mut status = Status::default();
        assert!(!section(&status, &html! {}).into_string().contains("Memory is short"));
        status.shortage = Shortage { now: true, lanes: 7, callers: 12 };
        let page = section(&status, &html! {}).into_string();
        for words in ["Memory is short", "(7 so far)", "(12 so far)", "<code>memory</code>"] {
            assert!(page.contains(words), "{words}: {page}");
        }
    }
}
