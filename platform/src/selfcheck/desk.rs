//! Self-checks of a node that runs, with its own Tor: one at a time, and none anew within a minute, however often somebody asks.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Process, Report, take_all};
use crate::config;
use crate::net::{Address, Circuit, Network};

/// A report is the answer to whoever asks for the same within this time: container engines ask every 30 s.
const FRESH: Duration = Duration::from_mins(1);

/// Circuit numbers of visits to ourselves: the swarms count theirs from 1 up.
const VISITS: u64 = u64::MAX;

/// Where they are asked for.
#[derive(Debug, Default)]
pub(crate) struct Desk(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    /// How many there were.
    count: u32,
    last: Option<(Instant, config::Selfcheck, Report)>,
}

impl Desk {
    /// The last report if it is fresh and was made by the same settings, else a new one; whoever asks meanwhile waits for it. `own`
    /// is ready with the node's address once that should be reachable; without one, that step is left out. `publishes`: the node
    /// calls programs of the local network.
    pub(crate) async fn report(
        &self,
        network: &Network,
        config: &config::Selfcheck,
        own: Option<impl Future<Output = Address>>,
        publishes: bool,
    ) -> Report {
        let mut book = self.0.lock().await;
        if let Some((at, settings, report)) = &book.last
            && at.elapsed() < FRESH
            && settings == config
        {
            return report.clone();
        }
        // Below the half that second tries count in.
        book.count = book.count.wrapping_add(1) & (u32::MAX >> 1);
        let circuit = Circuit { swarm: VISITS, lane: book.count };
        let visit = async {
            let Some(own) = own else {
                return Ok(Some(
                    "left out: this node has no address of its own (tracker.enabled)".to_owned(),
                ));
            };
            // Who is there says nothing to a caller that says nothing: that it was let in is what is to be known.
            let visited = network.connect(own.await, None, circuit).await;
            visited.map(|_| None).map_err(|why| why.to_string())
        };
        let report = take_all(network, config, Process::Node { backends: publishes }, visit).await;
        book.last = Some((Instant::now(), config.clone(), report.clone()));
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Seconds, Selfcheck};
    use crate::net::ServiceKey;
    use crate::net::memory::Memory;

    fn settings() -> Selfcheck {
        Selfcheck {
            resolve: String::new(),
            fetch: String::new(),
            timeout: Seconds(20),
            ..Selfcheck::default()
        }
    }

    /// Steps that went well, and not.
    fn names(report: &Report, ok: bool) -> Vec<&str> {
        let checks = report.checks.iter().filter(|check| check.ok == ok && check.name != "leaks");
        checks.map(|check| check.name.as_str()).collect()
    }

    #[tokio::test]
    async fn the_node_s_own_address_is_visited_and_nothing_published() {
        let memory = Memory::new();
        let network = Network::Memory(memory.clone());
        let key = ServiceKey::from_seed([7; 32]);
        let (desk, address) = (Desk::default(), key.address(80));
        let missing = desk.report(&network, &settings(), Some(async { address }), false).await;
        assert_eq!((names(&missing, true), names(&missing, false)), (vec!["bootstrap"], vec!["onion"]));
        let _service = network.serve(&key, 80, None).await.unwrap();
        let found = Desk::default().report(&network, &settings(), Some(async { address }), false).await;
        assert_eq!(names(&found, true), ["bootstrap", "onion"]);
        assert_eq!(memory.calls(), [1]);
        let nowhere = None::<std::future::Ready<Address>>;
        let mut without = Desk::default().report(&network, &settings(), nowhere, false).await;
        let onion = without.checks.remove(1);
        assert!(onion.ok && onion.why.is_some_and(|why| why.contains("left out")));
        assert_eq!(memory.calls(), [1]);
    }

    #[tokio::test]
    async fn many_who_ask_at_once_cost_one_check() {
        let memory = Memory::new();
        let network = Network::Memory(memory.clone());
        let key = ServiceKey::from_seed([7; 32]);
        let _service = network.serve(&key, 80, None).await.unwrap();
        let (desk, settings, address) = (Desk::default(), settings(), key.address(80));
        let ask = || desk.report(&network, &settings, Some(async { address }), false);
        let all = futures::future::join_all((0..8).map(|_| ask())).await;
        assert!(all.iter().all(|report| report == &all[0]));
        assert_eq!((ask().await, memory.calls()), (all[0].clone(), vec![1]));
        let other = Selfcheck { timeout: Seconds(21), ..settings.clone() };
        desk.report(&network, &other, Some(async { address }), false).await;
        assert_eq!(memory.calls(), [2], "other settings are another question");
        desk.0.lock().await.last.as_mut().unwrap().0 -= FRESH;
        desk.report(&network, &other, Some(async { address }), false).await;
        assert_eq!(memory.calls(), [3], "a minute later it is asked anew");
    }
}
