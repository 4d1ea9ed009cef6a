//! Where answers come from: rules, memory, resolvers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::cache::Cache;
use super::upstream::{Lost, Upstreams};
use super::wire::{Code, Detail, Query, leads_inward, lifetime};
use crate::config;
use crate::exit::{Exit, ReachError};
use crate::proxy::Meter;

/// The class of the internet.
const IN: u16 = 1;

/// Whole zones, which nobody hands out here (RFC 5936), and other types that are no questions for records (RFC 6895,
/// section 3.1), but for 255, which asks for all.
const META: std::ops::RangeInclusive<u16> = 249..=254;

/// How a question came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Way {
    /// Long answers are cut.
    Udp,
    /// They are not.
    Tcp,
}

/// Everything that answers. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(in crate::proxy) struct Answers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    cache: Mutex<Cache>,
    /// Whether answers may lead into the house.
    inward: bool,
    upstreams: Upstreams,
}

impl Answers {
    /// Opens nothing until somebody asks.
    pub(in crate::proxy) fn new(exit: Exit, config: &config::Dns) -> Self {
        let most = usize::try_from(config.cache.0).unwrap_or(usize::MAX);
        let cache = Mutex::new(Cache::new(most, Duration::from_secs(config.max_ttl.0)));
        let upstreams = Upstreams::new(exit, &config.upstreams);
        Self(Arc::new(Inner { cache, inward: config.private_answers, upstreams }))
    }

    /// Forgets all answers, and asks over new connections from now on. Says how many answers that were.
    pub(in crate::proxy) fn forget(&self) -> usize {
        self.0.upstreams.renew();
        self.cache().clear()
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.0.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer to these bytes, if they deserve one.
    pub(super) async fn answer(&self, bytes: &[u8], way: Way, meter: &Meter) -> Option<Vec<u8>> {
        let query = match Query::read(bytes) {
            Ok(query) => query,
            Err(answer) => {
                meter.error("protocol");
                return answer;
            }
        };
        if let Some(answer) = by_rule(&query, meter) {
            return Some(answer);
        }
        let (key, udp) = (query.key(), way == Way::Udp);
        let known = self.cache().get(&key, Instant::now());
        if let Some(answer) = known.and_then(|(bytes, age)| query.reply(&bytes, age, udp)) {
            return Some(answer);
        }
        let begun = Instant::now();
        match self.0.upstreams.ask(&query).await {
            Ok(bytes) => {
                meter.answered(begun.elapsed());
                // A page's name that leads to the house's router lets the page talk to it (DNS rebinding). "No such address" and no
                // failure: after that a client would ask its next resolver, which may not be ours.
                if !self.0.inward && leads_inward(&bytes) {
                    meter.error("private_answer");
                    return Some(query.fail(Code::NoError, Some(Detail::Blocked)));
                }
                let reply = query.reply(&bytes, 0, udp);
                if reply.is_some()
                    && let Some(seconds) = lifetime(&bytes)
                {
                    self.cache().put(key, bytes, seconds, Instant::now());
                }
                reply.or_else(|| Some(query.fail(Code::Failure, Some(Detail::NetworkError))))
            }
            Err(lost) => {
                meter.error(lost.word());
                Some(query.fail(Code::Failure, Some(detail(lost))))
            }
        }
    }
}

/// What is answered without asking anybody.
fn by_rule(query: &Query, meter: &Meter) -> Option<Vec<u8>> {
    if query.ends_in("onion") {
        // Nobody outside may hear of it (RFC 7686, section 2).
        meter.error("onion_name");
        return Some(query.fail(Code::NoName, None));
    }
    if query.class() != IN {
        meter.error("refused_class");
        return Some(query.fail(Code::Refused, Some(Detail::NotSupported)));
    }
    if META.contains(&query.kind()) {
        meter.error("refused_type");
        return Some(query.fail(Code::NotImplemented, Some(Detail::NotSupported)));
    }
    None
}

const fn detail(lost: Lost) -> Detail {
    match lost {
        Lost::Reach(ReachError::NotReady | ReachError::Shutdown) => Detail::NotReady,
        Lost::Silent | Lost::Reach(ReachError::Timeout | ReachError::OnionTimeout) => {
            Detail::NoReachableAuthority
        }
        Lost::Reach(_) | Lost::Broken | Lost::Full => Detail::NetworkError,
    }
}
