//! Bencoded output. The caller keeps keys in order; the readers of this crate refuse anything else.

/// Writes bencoding, piece by piece, to whatever takes bytes.
#[derive(Debug)]
pub struct Writer<F> {
    sink: F,
}

impl<F: FnMut(&[u8])> Writer<F> {
    /// Writes to `sink`, which is called with a few bytes at a time.
    pub const fn new(sink: F) -> Self {
        Self { sink }
    }

    /// A string, or a key.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.raw(b":");
        self.raw(bytes);
    }

    /// A number that is not negative.
    pub fn int(&mut self, value: u64) {
        self.raw(b"i");
        self.number(value);
        self.raw(b"e");
    }

    /// Begins a dictionary.
    pub fn dict(&mut self) {
        self.raw(b"d");
    }

    /// Begins a list.
    pub fn list(&mut self) {
        self.raw(b"l");
    }

    /// Ends the dictionary or list begun last.
    pub fn end(&mut self) {
        self.raw(b"e");
    }

    /// A value that is bencoded already.
    pub fn raw(&mut self, bytes: &[u8]) {
        (self.sink)(bytes);
    }

    fn number(&mut self, mut value: u64) {
        let mut digits = [0_u8; 20];
        let mut used = 0_usize;
        for place in digits.iter_mut().rev() {
            *place = b'0'.saturating_add(u8::try_from(value % 10).unwrap_or(0));
            used = used.saturating_add(1);
            value /= 10;
            if value == 0 {
                break;
            }
        }
        let from = digits.len().saturating_sub(used);
        self.raw(digits.get(from..).unwrap_or(&[]));
    }
}
