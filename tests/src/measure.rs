//! What one transfer cost.

/// One file fetched once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measured {
    /// Bytes of content.
    pub bytes: u64,
    /// From the start of the fetching command to its end.
    pub seconds: f64,
    /// CPU seconds of everything on the serving side.
    pub serve_cpu_s: f64,
    /// CPU seconds of everything on the fetching side.
    pub fetch_cpu_s: f64,
    /// The part of all CPUs of this machine that was busy meanwhile, 0 to 1, with relays and other programs too.
    pub busy: f64,
    /// Whether the SHA-256 was the right one.
    pub verified: bool,
}

impl Measured {
    /// Throughput, in MiB a second.
    #[must_use]
    pub fn mib_s(&self) -> f64 {
        self.mib() / self.seconds.max(f64::EPSILON)
    }

    /// CPU seconds of the serving side for 100 MiB.
    #[must_use]
    pub fn serve_cpu_s_per_100mib(&self) -> f64 {
        self.serve_cpu_s * 100.0 / self.mib().max(f64::EPSILON)
    }

    /// CPU seconds of the fetching side for 100 MiB.
    #[must_use]
    pub fn fetch_cpu_s_per_100mib(&self) -> f64 {
        self.fetch_cpu_s * 100.0 / self.mib().max(f64::EPSILON)
    }

    /// Several transfers as if they were one: sums, and verified only if all are.
    #[must_use]
    pub fn together<'a>(all: impl IntoIterator<Item = &'a Self>) -> Self {
        let start = Self { verified: true, ..Self::default() };
        all.into_iter().fold(start, |sum, one| Self {
            bytes: sum.bytes + one.bytes,
            seconds: sum.seconds + one.seconds,
            serve_cpu_s: sum.serve_cpu_s + one.serve_cpu_s,
            fetch_cpu_s: sum.fetch_cpu_s + one.fetch_cpu_s,
            busy: (sum.busy * sum.seconds + one.busy * one.seconds)
                / (sum.seconds + one.seconds).max(f64::EPSILON),
            verified: sum.verified && one.verified,
        })
    }

    #[allow(clippy::cast_precision_loss)] // exact up to 8 PiB
    fn mib(&self) -> f64 {
        self.bytes as f64 / f64::from(1 << 20)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_follow_from_sums() {
        let one = Measured {
            bytes: 50 << 20,
            seconds: 10.0,
            serve_cpu_s: 1.0,
            fetch_cpu_s: 2.0,
            busy: 0.4,
            verified: true,
        };
        let two = Measured {
            bytes: 150 << 20,
            seconds: 30.0,
            serve_cpu_s: 3.0,
            fetch_cpu_s: 4.0,
            busy: 0.8,
            verified: false,
        };
        let both = Measured::together([&one, &two]);
        assert!((both.mib_s() - 5.0).abs() < 1e-9);
        assert!((both.serve_cpu_s_per_100mib() - 2.0).abs() < 1e-9);
        assert!((both.fetch_cpu_s_per_100mib() - 3.0).abs() < 1e-9);
        assert!((both.busy - 0.7).abs() < 1e-9);
        assert!(!both.verified && Measured::together([&one]).verified);
    }
}
