//! What can be wrong with bencoded bytes.

use core::fmt;

/// The input is not one canonical bencoded value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BencodeError {
    /// What is wrong.
    pub fault: BencodeFault,
    /// Bytes from the start of the input to where it shows.
    pub at: usize,
}

/// What is wrong with the bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BencodeFault {
    /// The input ends inside a value.
    Truncated,
    /// Bytes follow the value.
    Trailing,
    /// A byte that begins no value.
    Unexpected,
    /// Nested deeper than [`MAX_NESTING`](super::MAX_NESTING).
    TooDeep,
    /// `ie`, `i-e`.
    IntEmpty,
    /// `i01e`.
    IntLeadingZero,
    /// `i-0e`.
    IntNegativeZero,
    /// Something else than a digit in a number.
    IntNotDigit,
    /// A number past 64 signed bits.
    IntTooLarge,
    /// `01:x`.
    LengthLeadingZero,
    /// A string length that no machine can hold.
    LengthTooLarge,
    /// No colon after the length of a string.
    NoColon,
    /// A string longer than what is left of the input.
    StringPastEnd,
    /// A dictionary key that is no string.
    KeyNotString,
    /// Keys out of order.
    KeysUnsorted,
    /// The same key twice.
    KeyTwice,
    /// A dictionary that ends after a key.
    NoValue,
}

impl fmt::Display for BencodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not valid bencoding at byte {}: {}", self.at, self.fault)
    }
}

impl fmt::Display for BencodeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the data ends too early; get a complete copy",
            Self::Trailing => "more data follows the end",
            Self::Unexpected => "a number, string, list or dictionary should begin here",
            Self::TooDeep => "lists and dictionaries are nested too deep",
            Self::IntEmpty => "a number without digits",
            Self::IntLeadingZero => "a number with a leading zero",
            Self::IntNegativeZero => "a negative zero",
            Self::IntNotDigit => "a number may hold digits only",
            Self::IntTooLarge => "a number does not fit 64 bits",
            Self::LengthLeadingZero => "a string length with a leading zero",
            Self::LengthTooLarge => "a string length does not fit 64 bits",
            Self::NoColon => "a colon should follow the length of a string",
            Self::StringPastEnd => "a string is longer than the rest of the data; get a complete copy",
            Self::KeyNotString => "a dictionary key must be a string",
            Self::KeysUnsorted => "dictionary keys are not sorted",
            Self::KeyTwice => "a dictionary has the same key twice",
            Self::NoValue => "a dictionary key has no value",
        })
    }
}

impl core::error::Error for BencodeError {}
