//! What the strict reader takes, written again, must be the same bytes: there is one form of each value.
#![no_main]

use bulbil_core::content::bencode::{Reader, Token, Writer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut out = Vec::new();
    let mut writer = Writer::new(|bytes: &[u8]| out.extend_from_slice(bytes));
    let mut reader = Reader::new(data);
    loop {
        match reader.next_token() {
            Err(error) => {
                assert!(error.at <= data.len());
                return;
            }
            Ok(None) => break,
            Ok(Some(Token::Int(value))) => writer.raw(format!("i{value}e").as_bytes()),
            Ok(Some(Token::Bytes(bytes) | Token::Key(bytes))) => writer.bytes(bytes),
            Ok(Some(Token::List)) => writer.list(),
            Ok(Some(Token::Dict)) => writer.dict(),
            Ok(Some(Token::End)) => writer.end(),
        }
    }
    assert_eq!(out, data);
});
