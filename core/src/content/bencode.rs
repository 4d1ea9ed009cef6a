//! Bencoding (BEP 3), read strictly and without copying, written through a sink.
//!
//! Only the canonical form is read: no leading zeros, keys sorted bytewise and unique, nothing after the value. Two
//! readers of the same bytes can then never disagree about what they mean.

mod error;
mod writer;

pub use error::{BencodeError, BencodeFault};
pub use writer::Writer;

/// Lists and dictionaries inside each other at most: the deepest path allowed, and what surrounds it.
pub const MAX_NESTING: usize = crate::limits::MAX_DEPTH + 8;

/// Digits of the longest string length: one that cannot overflow 64 bits.
const MAX_LENGTH_DIGITS: usize = 19;

/// The next thing in the input.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Token<'a> {
    /// A whole number.
    Int(i64),
    /// A string that is a value.
    Bytes(&'a [u8]),
    /// A string that names the next value of the dictionary.
    Key(&'a [u8]),
    /// A list begins.
    List,
    /// A dictionary begins.
    Dict,
    /// The list or dictionary begun last ends.
    End,
}

/// Reads one value, token by token.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    input: &'a [u8],
    at: usize,
    done: bool,
    open: heapless::Vec<Open<'a>, MAX_NESTING>,
}

/// A list or dictionary that has not ended.
#[derive(Clone, Copy, Debug)]
enum Open<'a> {
    List,
    /// A dictionary that may go on with a key greater than the last.
    Dict(Option<&'a [u8]>),
    /// A dictionary whose key just read has no value yet.
    Entry(&'a [u8]),
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `input`, which must be one value and nothing else.
    pub const fn new(input: &'a [u8]) -> Self {
        Self { input, at: 0, done: false, open: heapless::Vec::new() }
    }

    /// Bytes read so far.
    pub const fn position(&self) -> usize {
        self.at
    }

    /// Lists and dictionaries that have not ended.
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// The next token; `None` once the value is complete and no byte follows it.
    pub fn next_token(&mut self) -> Result<Option<Token<'a>>, BencodeError> {
        if self.done {
            return if self.at == self.input.len() {
                Ok(None)
            } else {
                Err(self.fault(BencodeFault::Trailing))
            };
        }
        self.token().map(Some).map_err(|fault| self.fault(fault))
    }

    /// Reads the value that comes next and gives its exact bytes. `None` where a list or dictionary ends instead,
    /// or a key was due.
    pub fn value(&mut self) -> Result<Option<&'a [u8]>, BencodeError> {
        let start = self.at;
        let depth = self.open.len();
        loop {
            match self.next_token()? {
                None => return Ok(None),
                Some(Token::End) if self.open.len() < depth => return Ok(None),
                Some(Token::Key(_)) if self.open.len() == depth => return Ok(None),
                Some(_) if self.open.len() == depth => return Ok(self.input.get(start..self.at)),
                Some(_) => {}
            }
        }
    }

    const fn fault(&self, fault: BencodeFault) -> BencodeError {
        BencodeError { fault, at: self.at }
    }

    fn peek(&self) -> Result<u8, BencodeFault> {
        self.input.get(self.at).copied().ok_or(BencodeFault::Truncated)
    }

    fn step(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    fn token(&mut self) -> Result<Token<'a>, BencodeFault> {
        let first = self.peek()?;
        if first == b'e' {
            return self.end();
        }
        if let Some(Open::Dict(last)) = self.open.last().copied() {
            return self.key(first, last);
        }
        let token = match first {
            b'i' => Token::Int(self.int()?),
            b'l' => self.nest(Open::List, Token::List)?,
            b'd' => self.nest(Open::Dict(None), Token::Dict)?,
            b'0'..=b'9' => Token::Bytes(self.string()?),
            _ => return Err(BencodeFault::Unexpected),
        };
        if !matches!(token, Token::List | Token::Dict) {
            self.value_done();
        }
        Ok(token)
    }

    fn nest(&mut self, open: Open<'a>, token: Token<'a>) -> Result<Token<'a>, BencodeFault> {
        self.open.push(open).map_err(|_| BencodeFault::TooDeep)?;
        self.step();
        Ok(token)
    }

    fn end(&mut self) -> Result<Token<'a>, BencodeFault> {
        match self.open.last() {
            None => return Err(BencodeFault::Unexpected),
            Some(Open::Entry(_)) => return Err(BencodeFault::NoValue),
            Some(Open::List | Open::Dict(_)) => {}
        }
        self.open.pop();
        self.step();
        self.value_done();
        Ok(Token::End)
    }

    /// Notes that the value that was awaited is there.
    fn value_done(&mut self) {
        match self.open.last_mut() {
            None => self.done = true,
            Some(open) => {
                if let Open::Entry(key) = *open {
                    *open = Open::Dict(Some(key));
                }
            }
        }
    }

    fn key(&mut self, first: u8, last: Option<&'a [u8]>) -> Result<Token<'a>, BencodeFault> {
        if !first.is_ascii_digit() {
            return Err(BencodeFault::KeyNotString);
        }
        let start = self.at;
        let key = self.string()?;
        let wrong = match last {
            Some(last) if last == key => Some(BencodeFault::KeyTwice),
            Some(last) if last > key => Some(BencodeFault::KeysUnsorted),
            _ => None,
        };
        if let Some(fault) = wrong {
            self.at = start;
            return Err(fault);
        }
        if let Some(open) = self.open.last_mut() {
            *open = Open::Entry(key);
        }
        Ok(Token::Key(key))
    }

    fn string(&mut self) -> Result<&'a [u8], BencodeFault> {
        let start = self.at;
        let mut length = 0_usize;
        loop {
            match self.peek()? {
                digit @ b'0'..=b'9' => {
                    let digits = self.at.saturating_sub(start);
                    if digits > 0 && length == 0 {
                        return Err(BencodeFault::LengthLeadingZero);
                    }
                    if digits >= MAX_LENGTH_DIGITS {
                        return Err(BencodeFault::LengthTooLarge);
                    }
                    length = append(length, digit).ok_or(BencodeFault::LengthTooLarge)?;
                    self.step();
                }
                b':' => break,
                _ => return Err(BencodeFault::NoColon),
            }
        }
        let from = self.at.saturating_add(1);
        let to = from.checked_add(length).ok_or(BencodeFault::LengthTooLarge)?;
        let bytes = self.input.get(from..to).ok_or(BencodeFault::StringPastEnd)?;
        self.at = to;
        Ok(bytes)
    }

    fn int(&mut self) -> Result<i64, BencodeFault> {
        self.step();
        let negative = self.peek()? == b'-';
        if negative {
            self.step();
        }
        let start = self.at;
        let mut value = 0_i64;
        loop {
            let byte = self.peek()?;
            let digits = self.at.saturating_sub(start);
            match byte {
                b'0'..=b'9' if digits > 0 && value == 0 => return Err(BencodeFault::IntLeadingZero),
                b'0'..=b'9' => {
                    let digit = i64::from(byte.saturating_sub(b'0'));
                    let digit = if negative { digit.checked_neg() } else { Some(digit) };
                    value = value
                        .checked_mul(10)
                        .zip(digit)
                        .and_then(|(value, digit)| value.checked_add(digit))
                        .ok_or(BencodeFault::IntTooLarge)?;
                    self.step();
                }
                b'e' if digits == 0 => return Err(BencodeFault::IntEmpty),
                b'e' if negative && value == 0 => return Err(BencodeFault::IntNegativeZero),
                b'e' => break,
                _ => return Err(BencodeFault::IntNotDigit),
            }
        }
        self.step();
        Ok(value)
    }
}

fn append(length: usize, digit: u8) -> Option<usize> {
    length.checked_mul(10)?.checked_add(usize::from(digit.saturating_sub(b'0')))
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    fn read(input: &[u8]) -> Result<Vec<Token<'_>>, BencodeError> {
        let mut reader = Reader::new(input);
        let mut tokens = Vec::new();
        while let Some(token) = reader.next_token()? {
            tokens.push(token);
        }
        Ok(tokens)
    }

    #[test]
    fn canonical_values_are_read() {
        assert_eq!(read(b"i-42e"), Ok(std::vec![Token::Int(-42)]));
        assert_eq!(read(b"i-9223372036854775808e"), Ok(std::vec![Token::Int(i64::MIN)]));
        assert_eq!(read(b"0:"), Ok(std::vec![Token::Bytes(b"")]));
        let tokens = [
            Token::Dict,
            Token::Key(b"a"),
            Token::List,
            Token::Int(0),
            Token::Bytes(b"xy"),
            Token::End,
            Token::Key(b"b"),
            Token::Dict,
            Token::End,
            Token::End,
        ];
        assert_eq!(read(b"d1:ali0e2:xye1:bdee"), Ok(tokens.to_vec()));
    }

    #[test]
    fn each_fault_is_told_with_its_place() {
        use BencodeFault as F;
        let deep = [b'l'; MAX_NESTING + 1];
        let cases: &[(&[u8], BencodeFault, usize)] = &[
            (b"", F::Truncated, 0),
            (b"i1", F::Truncated, 2),
            (b"d1:a", F::Truncated, 4),
            (b"i1ei2e", F::Trailing, 3),
            (b"x", F::Unexpected, 0),
            (b"e", F::Unexpected, 0),
            (&deep, F::TooDeep, MAX_NESTING),
            (b"ie", F::IntEmpty, 1),
            (b"i-e", F::IntEmpty, 2),
            (b"i01e", F::IntLeadingZero, 2),
            (b"i00e", F::IntLeadingZero, 2),
            (b"i-0e", F::IntNegativeZero, 3),
            (b"i1x", F::IntNotDigit, 2),
            (b"i9223372036854775808e", F::IntTooLarge, 19),
            (b"01:x", F::LengthLeadingZero, 1),
            (b"99999999999999999999:x", F::LengthTooLarge, 19),
            (b"1x", F::NoColon, 1),
            (b"3:xy", F::StringPastEnd, 1),
            (b"di1ei1ee", F::KeyNotString, 1),
            (b"d1:bi1e1:ai1ee", F::KeysUnsorted, 7),
            (b"d1:ai1e1:ai1ee", F::KeyTwice, 7),
            (b"d1:ae", F::NoValue, 4),
        ];
        for (input, fault, at) in cases {
            assert_eq!(read(input), Err(BencodeError { fault: *fault, at: *at }), "{input:?}");
        }
    }

    #[test]
    fn a_value_is_its_exact_bytes() {
        let mut reader = Reader::new(b"d1:ad1:xli1eee1:b3:abce");
        assert_eq!(reader.next_token(), Ok(Some(Token::Dict)));
        assert_eq!(reader.next_token(), Ok(Some(Token::Key(b"a"))));
        assert_eq!(reader.value(), Ok(Some(&b"d1:xli1eee"[..])));
        assert_eq!(reader.next_token(), Ok(Some(Token::Key(b"b"))));
        assert_eq!(reader.value(), Ok(Some(&b"3:abc"[..])));
        assert_eq!(reader.value(), Ok(None));
    }

    #[test]
    fn what_is_written_is_read() {
        let mut out = Vec::new();
        let mut writer = Writer::new(|bytes: &[u8]| out.extend_from_slice(bytes));
        writer.dict();
        writer.bytes(b"");
        writer.int(0);
        writer.bytes(b"big");
        writer.int(u64::MAX / 2);
        writer.bytes(b"list");
        writer.list();
        writer.bytes(&[b'x'; 123]);
        writer.end();
        writer.end();
        let expected = [&b"d0:i0e3:bigi9223372036854775807e4:listl123:"[..], &[b'x'; 123], b"ee"].concat();
        assert_eq!(out, expected);
        assert_eq!(read(&out).map(|tokens| tokens.len()), Ok(10));
    }
}
