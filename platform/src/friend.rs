//! Friend codes: eight words that one owner reads to another. They name the place where both nodes meet, and prove that
//! whoever comes there knows them. What is said at the place is in [`bulbil_core::friend`].

mod pake;
mod spelling;

use std::fmt;
use std::str::FromStr;

use bip39::Language;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

pub(crate) use pake::Spake;

use crate::net::ServiceKey;

/// Words of a code, of 11 bits each: 80 bits of randomness and 8 of checksum.
///
/// Who guesses offline must make an onion address of each guess and ask Tor's directories for it. All the computers of the
/// Bitcoin network, if they could, would need days for half of 2^80 hashes; a code lives an hour.
pub const WORDS: usize = 8;

/// Bytes of randomness.
const RANDOM: usize = 10;

/// Bits of a word: the list has 2 048.
const BITS: usize = 11;

/// A code. Wiped when dropped, never printed by `Debug`.
#[derive(Clone, Eq, PartialEq, ZeroizeOnDrop)]
pub struct Code([u8; RANDOM]);

/// Why a text is no code. Meant for whoever typed it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadCode {
    /// Too few or too many words.
    #[error("a friend code has {WORDS} words, and here are {0}; ask your friend to read it again")]
    Count(usize),
    /// No such word, and nothing like it.
    #[error("word {at}, `{word}`, is not in the list; ask your friend to spell it")]
    Unknown {
        /// From 1.
        at: usize,
        /// As typed.
        word: String,
    },
    /// No such word, but one like it.
    #[error("word {at}, `{word}`, is not in the list; did you mean `{like}`?")]
    Typo {
        /// From 1.
        at: usize,
        /// As typed.
        word: String,
        /// The nearest of the list.
        like: &'static str,
    },
    /// All are in the list and do not belong together.
    #[error(
        "these words do not belong together: one was misheard, or two are swapped; ask your friend to read them again"
    )]
    Checksum,
}

impl Code {
    /// A new one from the system's randomness.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; RANDOM];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The words, to be read out: lower case, with blanks between them.
    pub fn words(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(WORDS * 9));
        let mut value = self.value();
        for at in (0..WORDS).rev() {
            let number = usize::try_from(value >> (at * BITS) & 0x7ff).unwrap_or(0);
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(Language::English.word_list().get(number).copied().unwrap_or_default());
        }
        value.zeroize();
        text
    }

    /// The service at which both meet.
    pub(crate) fn place(&self) -> ServiceKey {
        ServiceKey::from_seed(self.derive(b"bulbil friend place 1"))
    }

    /// What both prove to know there.
    pub(crate) fn password(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.derive(b"bulbil friend password 1"))
    }

    fn derive(&self, domain: &[u8]) -> [u8; 32] {
        Sha256::new()
            .chain_update(domain)
            .chain_update([0])
            .chain_update(self.words().as_bytes())
            .finalize()
            .into()
    }

    /// Randomness and checksum as one number of 88 bits.
    fn value(&self) -> u128 {
        let random = self.0.iter().fold(0, |sum: u128, byte| sum << 8 | u128::from(*byte));
        random << 8 | u128::from(checksum(&self.0))
    }
}

fn checksum(random: &[u8; RANDOM]) -> u8 {
    let digest = Sha256::new().chain_update(b"bulbil friend checksum 1").chain_update(random).finalize();
    digest.first().copied().unwrap_or_default()
}

impl FromStr for Code {
    type Err = BadCode;

    /// Takes any case, and anything but letters between the words.
    fn from_str(text: &str) -> Result<Self, BadCode> {
        let lower = Zeroizing::new(text.to_lowercase());
        let words: Vec<&str> =
            lower.split(|letter: char| !letter.is_alphabetic()).filter(|word| !word.is_empty()).collect();
        let mut value = 0;
        for (at, word) in (1..).zip(&words) {
            value = value << BITS & ((1 << (WORDS * BITS)) - 1) | u128::from(number(at, word)?);
        }
        if words.len() != WORDS {
            return Err(BadCode::Count(words.len()));
        }
        let mut random = [0; RANDOM];
        for (at, byte) in random.iter_mut().rev().enumerate() {
            *byte = u8::try_from(value >> ((at + 1) * 8) & 0xff).unwrap_or(0);
        }
        let code = Self(random);
        let whole = code.value() == value;
        value.zeroize();
        if whole { Ok(code) } else { Err(BadCode::Checksum) }
    }
}

fn number(at: usize, word: &str) -> Result<u16, BadCode> {
    Language::English.find_word(word).ok_or_else(|| {
        let shown = word.chars().take(spelling::LONGEST).collect();
        match spelling::nearest(word, Language::English.word_list()) {
            Some(like) => BadCode::Typo { at, word: shown, like },
            None => BadCode::Unknown { at, word: shown },
        }
    })
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(seed: u8) -> Code {
        Code(std::array::from_fn(|at| seed.wrapping_mul(31).wrapping_add(u8::try_from(at * 17).unwrap())))
    }

    #[test]
    fn a_code_keeps_its_words_its_place_and_its_password() {
        let zero = Code([0; RANDOM]);
        assert_eq!(**zero.words(), *"abandon abandon abandon abandon abandon abandon abandon blood");
        let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
        assert_eq!(
            hex(zero.place().seed()),
            "228ac80a185b1373646d802a47cc15a2761b0170a6460920781c15776424366d"
        );
        assert_eq!(
            hex(&*zero.password()),
            "85764b93f14ebbd83d5f2c627a7359022cc0685626e0b4110c2441cb4b3dd469"
        );
    }

    #[test]
    fn every_code_survives_the_round_trip() {
        for seed in 0..=255 {
            let (code, words) = (code(seed), code(seed).words());
            assert_eq!(words.split(' ').count(), WORDS);
            assert_eq!(words.parse(), Ok(code.clone()));
            let loud = format!(" {}.\n", words.to_uppercase().replace(' ', ", "));
            assert_eq!(loud.parse(), Ok(code));
        }
        assert_ne!(Code::random().unwrap(), Code::random().unwrap());
    }

    #[test]
    fn a_typing_error_is_named() {
        let words = code(9).words();
        let typed = |at: usize, word: &str| {
            let mut all: Vec<&str> = words.split(' ').collect();
            all[at - 1] = word;
            all.join(" ").parse::<Code>().unwrap_err()
        };
        let shown = typed(3, "appel").to_string();
        assert_eq!(shown, "word 3, `appel`, is not in the list; did you mean `apple`?");
        assert_eq!(typed(8, "Zoologically"), BadCode::Unknown { at: 8, word: "zoologically".into() });
        assert_eq!(words[..words.rfind(' ').unwrap()].parse::<Code>(), Err(BadCode::Count(7)));
        assert_eq!(format!("{} apple", *words).parse::<Code>(), Err(BadCode::Count(9)));
        assert_eq!("".parse::<Code>(), Err(BadCode::Count(0)));
    }

    #[test]
    fn wrong_words_of_the_list_are_nearly_always_noticed() {
        let words = code(9).words();
        let all: Vec<&str> = words.split(' ').collect();
        let mut passed = 0;
        for at in 0..WORDS {
            for other in Language::English.word_list() {
                let mut changed = all.clone();
                changed[at] = other;
                let fine = changed.join(" ").parse::<Code>().is_ok();
                passed += usize::from(fine && *other != all[at]);
            }
        }
        // One in 256 by the checksum, so 64 of 16 376.
        assert!((30..110).contains(&passed), "{passed}");
        let mut swapped = all.clone();
        swapped.swap(1, 2);
        assert_eq!(swapped.join(" ").parse::<Code>(), Err(BadCode::Checksum));
    }

    #[test]
    fn debug_tells_nothing() {
        assert_eq!(format!("{:?}", code(1)), "Code(hidden)");
    }
}
