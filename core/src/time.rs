//! Time as the core sees it: milliseconds since some moment the owner chose, which only move forward; and the date,
//! for what must mean the same to two nodes.

/// A moment, in milliseconds since the owner's epoch.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Millis(pub u64);

impl Millis {
    /// The moment `ms` later.
    #[must_use]
    pub const fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to here; 0 if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A date: seconds since 1970 (Unix), as well as the board knows it. It may jump.
#[derive(
    Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize,
)]
pub struct Date(pub u64);

impl Date {
    /// The date `s` seconds later.
    #[must_use]
    pub const fn plus(self, s: u64) -> Self {
        Self(self.0.saturating_add(s))
    }

    /// Seconds from `earlier` to here; 0 if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
