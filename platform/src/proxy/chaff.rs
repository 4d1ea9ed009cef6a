//! Chaff: a few small requests of no use at irregular times, so that silence tells less about when somebody is at home.
//!
//! It imitates nobody and hides no destination. Each request has a circuit of its own. What it may cost a day is set, and
//! kept to: when the rest of the day's budget would not pay for another request, there is none until the next day.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::config;
use crate::exit::Exit;
use crate::http::{Config, TorHttpClient};

/// Bytes that a request costs beside its body: TLS with a chain of certificates, and two heads. Measured 5 to 7 KB with
/// the usual sites; the network's own overhead is not counted.
const FLAT: u64 = 8 * 1024;

/// Bytes of a body at most; a longer one is left unread.
const BODY: u64 = 64 * 1024;

/// Longest that one request may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// A budget is for so long.
const DAY: Duration = Duration::from_hours(24);

/// What is left of a day.
#[derive(Debug)]
struct Budget {
    daily: u64,
    left: u64,
    since: Instant,
}

impl Budget {
    fn new(daily: u64, now: Instant) -> Self {
        Self { daily, left: daily, since: now }
    }

    /// What another request may read, or nothing.
    fn allowance(&mut self, now: Instant) -> Option<u64> {
        if now.duration_since(self.since) >= DAY {
            *self = Self::new(self.daily, now);
        }
        self.left.checked_sub(FLAT).filter(|body| *body > 0).map(|body| body.min(BODY))
    }

    fn spend(&mut self, body: u64) {
        self.left = self.left.saturating_sub(FLAT.saturating_add(body));
    }
}

/// A pause drawn from an exponential distribution with this mean, between a tenth and six times of it: `dice` says which.
fn pause(mean: Duration, dice: u64) -> Duration {
    // In (0, 1]; 53 bits are what a double holds.
    #[allow(clippy::cast_precision_loss, reason = "53 bits fit")]
    let part = ((dice >> 11) as f64 + 1.0) / (1_u64 << 53) as f64;
    mean.mul_f64((-part.ln()).clamp(0.1, 6.0))
}

fn dice() -> u64 {
    let mut bytes = [0; 8];
    // Without randomness the pauses are all alike: no worse than none.
    let _ = getrandom::fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// Makes chaff until `stop` turns true.
pub(super) async fn run(exit: Exit, config: config::Chaff, mut stop: watch::Receiver<bool>) {
    let settings = Config {
        pool: 0,
        retries: 0,
        redirects: 0,
        timeout: PATIENCE,
        check_urls: Vec::new(),
        ..Config::default()
    };
    let network = exit.network().clone();
    let Ok(client) = TorHttpClient::over(exit, settings) else { return };
    let mean = Duration::from_secs(config.every.0);
    let mut budget = Budget::new(config.daily.0, Instant::now());
    let making = async {
        if network.ready().await.is_err() {
            return;
        }
        loop {
            tokio::time::sleep(pause(mean, dice())).await;
            let Some(allowance) = budget.allowance(Instant::now()) else { continue };
            let count = u64::try_from(config.urls.len()).unwrap_or(1).max(1);
            let drawn = usize::try_from(dice().checked_rem(count).unwrap_or(0)).unwrap_or(0);
            let Some(url) = config.urls.get(drawn) else { return };
            budget.spend(one(&client.isolated(), url, allowance).await);
        }
    };
    tokio::select! { () = making => {} _ = stop.wait_for(|stop| *stop) => {} }
}

/// One request. Says how many bytes of its body were read.
async fn one(client: &TorHttpClient, url: &str, allowance: u64) -> u64 {
    let mut read = 0_u64;
    if let Ok(mut answer) = client.get(url).await {
        while let Ok(Some(piece)) = answer.chunk().await {
            read = read.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            if read >= allowance {
                break;
            }
        }
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_irregular_and_bounded() {
        let mean = Duration::from_secs(100);
        assert_eq!(pause(mean, 0), mean * 6);
        assert_eq!(pause(mean, u64::MAX), mean / 10);
        let drawn: Vec<Duration> =
            (0..2_000_u64).map(|n| pause(mean, n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
        let average = drawn.iter().sum::<Duration>() / 2_000;
        assert!((80..120).contains(&average.as_secs()), "{average:?}");
        let unlike: std::collections::HashSet<u128> = drawn.iter().map(Duration::as_millis).collect();
        assert!(unlike.len() > 1_000);
    }

    #[test]
    fn a_day_costs_no_more_than_was_set() {
        let start = Instant::now();
        let daily = 200 * 1024;
        let mut budget = Budget::new(daily, start);
        let mut spent = 0;
        while let Some(body) = budget.allowance(start) {
            budget.spend(body);
            spent += body + FLAT;
        }
        assert!(spent <= daily && spent > daily - FLAT - 1, "{spent}");
        assert_eq!(budget.allowance(start + DAY - Duration::from_secs(1)), None);
        assert_eq!(budget.allowance(start + DAY), Some(BODY));
    }

    #[tokio::test]
    async fn requests_go_out_and_long_answers_are_left() {
        use crate::net::{Network, memory::Memory};
        use tokio::io::{AsyncReadExt, AsyncWriteExt};

        let memory = Memory::new();
        let mut server = memory.listen_outside("dull.org".parse().unwrap(), 80);
        let client = TorHttpClient::over(Exit::new(Network::Memory(memory)), Config::default()).unwrap();
        let served = tokio::spawn(async move {
            let mut stream = server.accept().await.unwrap();
            let mut request = [0; 16];
            stream.read_exact(&mut request).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n").await.unwrap();
            let sent = tokio::io::copy(&mut tokio::io::repeat(7).take(900_000), &mut stream).await;
            (request, sent.is_ok())
        });
        let read = one(&client, "http://dull.org/robots.txt", 1_000).await;
        drop(client);
        let (request, whole) = served.await.unwrap();
        assert!(request.starts_with(b"GET /robots.txt ") && (1_000..200_000).contains(&read), "{read}");
        assert!(!whole, "the rest was read too");
    }
}
