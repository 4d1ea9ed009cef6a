//! Our bytes against hickory's reading of them, and hickory's against ours.

use std::str::FromStr;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query as Question, ResponseCode};
use hickory_proto::rr::rdata::{A, SOA as Soa, TXT};
use hickory_proto::rr::{Name, RData, Record as Rr, RecordType};

use super::*;

fn name(text: &str) -> Name {
    Name::from_str(text).unwrap()
}

fn question(text: &str, kind: RecordType, edns: Option<u16>) -> Vec<u8> {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Question::query(name(text), kind));
    if let Some(size) = edns {
        message.set_edns({
            let mut edns = Edns::new();
            edns.set_max_payload(size);
            edns
        });
    }
    message.to_vec().unwrap()
}

/// What a resolver answers: `records` times 192.0.2.x, with EDNS.
fn answer(text: &str, records: u8) -> Vec<u8> {
    let mut message = Message::new(99, MessageType::Response, OpCode::Query);
    message.add_query(Question::query(name(text), RecordType::A));
    for last in 0..records {
        message.add_answer(Rr::from_rdata(name(text), 300, RData::A(A::new(192, 0, 2, last))));
    }
    message.set_edns(Edns::new());
    message.to_vec().unwrap()
}

fn read(bytes: &[u8]) -> Message {
    Message::from_vec(bytes).unwrap()
}

#[test]
fn questions_are_understood() {
    let query = Query::read(&question("www.Example.com.", RecordType::MX, Some(1400))).unwrap();
    assert_eq!((query.id, query.kind(), query.class(), query.most()), (7, 15, 1, 1400));
    assert!(query.ends_in("com") && !query.ends_in("example") && !query.ends_in("om"));
    assert_eq!(query.key(), Query::read(&question("WWW.example.com.", RecordType::MX, None)).unwrap().key());
    let forwarded = read(&query.forward());
    assert_eq!(forwarded.queries[0].name().to_ascii(), "www.example.com.");
    assert!(forwarded.metadata.recursion_desired && forwarded.edns.is_some());
    assert!(Query::read(&question("a.onion.", RecordType::A, None)).unwrap().ends_in("onion"));
    assert!(!Query::read(&question("onion.com.", RecordType::A, None)).unwrap().ends_in("onion"));
}

#[test]
fn types_are_no_letters() {
    let asks = |kind: u16| Query::read(&question("example.com.", RecordType::from(kind), None)).unwrap();
    // 65 is HTTPS and A, 97 is a.
    assert_ne!(asks(65).key(), asks(97).key());
    let mut answer = asks(97).fail(Code::NoError, None);
    assert!(asks(97).answered_by(&answer) && !asks(65).answered_by(&answer));
    answer[13..20].make_ascii_uppercase();
    assert!(asks(97).answered_by(&answer));
    let root = Query::of_root();
    assert_eq!((root.kind(), root.class(), root.name()), (2, 1, &[0][..]));
    assert_eq!(read(&root.forward()).queries[0].name().to_ascii(), ".");
}

#[test]
fn answers_pass_with_the_clients_own_header_and_aged() {
    let mut asked = question("example.com.", RecordType::A, None);
    asked[13..20].make_ascii_uppercase(); // hickory writes small letters only
    let query = Query::read(&asked).unwrap();
    let bytes = answer("example.com.", 3);
    assert!(query.answered_by(&bytes));
    let raw = query.reply(&bytes, 100, true).unwrap();
    assert_eq!(&raw[13..20], b"EXAMPLE");
    let reply = read(&raw);
    assert_eq!((reply.metadata.id, reply.answers.len(), reply.edns.is_none()), (7, 3, true));
    assert_eq!(reply.answers[2].ttl, 200);
    assert!(reply.metadata.recursion_available && reply.metadata.recursion_desired);
    let with = Query::read(&question("example.com.", RecordType::A, Some(1232))).unwrap();
    assert!(read(&with.reply(&bytes, 1000, true).unwrap()).edns.is_some());
    assert!(!query.answered_by(&answer("example.org.", 1)));
}

#[test]
fn long_answers_are_cut_over_udp_only() {
    let bytes = answer("example.com.", 100);
    for (edns, cut) in [(None, true), (Some(1232), true), (Some(4096), false), (Some(100), true)] {
        let query = Query::read(&question("example.com.", RecordType::A, edns)).unwrap();
        let reply = query.reply(&bytes, 0, true).unwrap();
        let message = read(&reply);
        assert_eq!((message.metadata.truncation, message.answers.is_empty()), (cut, cut), "{edns:?}");
        assert!(reply.len() <= usize::from(edns.unwrap_or(512).max(512)));
        assert_eq!(read(&query.reply(&bytes, 0, false).unwrap()).answers.len(), 100);
    }
}

#[test]
fn failures_say_why() {
    let query = Query::read(&question("example.com.", RecordType::A, Some(1232))).unwrap();
    let bytes = query.fail(Code::Failure, Some(Detail::NetworkError));
    let message = read(&bytes);
    assert_eq!(message.metadata.response_code, ResponseCode::ServFail);
    assert!(bytes.ends_with(&[0, 15, 0, 2, 0, 23]) && message.edns.is_some());
    let plain = Query::read(&question("example.com.", RecordType::A, None)).unwrap();
    let message = read(&plain.fail(Code::NoName, None));
    assert_eq!((message.metadata.response_code, message.edns.is_none()), (ResponseCode::NXDomain, true));
}

#[test]
fn why_a_resolver_failed_is_passed_on() {
    let query = Query::read(&question("example.com.", RecordType::A, Some(1232))).unwrap();
    let plain = Query::read(&question("example.com.", RecordType::A, None)).unwrap();
    // Code 6, DNSSEC bogus, with a text; before it a cookie, which is nobody's business.
    let reason = [&[0, 15, 0, 7, 0, 6][..], b"bogus"].concat();
    let data = [&[0, 10, 0, 2, 1, 2][..], &reason].concat();
    for code in [2, 5] {
        let mut bytes = header(99, QR, Code::NoError, [1, 0, 0, 1]).to_vec();
        bytes[3] |= code;
        bytes.extend(&query.question);
        let (bare, mut told) = (bytes.len(), bytes.clone());
        option(&mut told, 0, false, &data);
        let reply = query.reply(&told, 0, true).unwrap();
        assert!(reply.ends_with(&reason) && !reply.windows(2).any(|two| two == [0, 10]), "{reply:?}");
        assert_eq!(read(&reply).additionals.len(), 0);
        assert!(read(&plain.reply(&told, 0, true).unwrap()).edns.is_none());
        // A resolver that says no more: neither can we.
        bytes[11] = 0;
        assert_eq!(bytes.len(), bare);
        assert!(query.reply(&bytes, 0, true).unwrap().ends_with(&[0, 15, 0, 2, 0, 0]));
    }
    let good = query.reply(&answer("example.com.", 1), 0, true).unwrap();
    assert!(!good.windows(2).any(|two| two == [0, 15]), "nothing failed");
}

#[test]
fn what_is_no_question_is_answered_so_or_not_at_all() {
    let good = question("example.com.", RecordType::A, None);
    let changed = |at: usize, to: u8| {
        let mut bytes = good.clone();
        bytes[at] = to;
        Query::read(&bytes)
    };
    assert_eq!(Query::read(&good[..3]), Err(None));
    assert_eq!(changed(2, 0x80), Err(None));
    let code = |answer: Result<Query, Option<Vec<u8>>>| answer.unwrap_err().unwrap()[3] & 0x0F;
    assert_eq!(code(changed(2, 0x10)), Code::NotImplemented as u8);
    assert_eq!(code(changed(5, 2)), Code::Format as u8);
    assert_eq!(code(changed(12, 0xC0)), Code::Format as u8);
    assert_eq!(code(Query::read(&good[..good.len() - 1])), Code::Format as u8);
    let mut version = question("example.com.", RecordType::A, Some(1232));
    let at = version.len() - 5;
    version[at] = 1;
    let answer = read(&Query::read(&version).unwrap_err().unwrap());
    // 16 means this here, and something else in a signature, which is what hickory calls it.
    assert_eq!(u16::from(answer.metadata.response_code), 16);
}

#[test]
fn every_cut_and_every_flipped_byte_is_survived() {
    let query = Query::read(&question("example.com.", RecordType::A, Some(512))).unwrap();
    for good in [question("example.com.", RecordType::A, Some(512)), answer("example.com.", 4)] {
        for at in 0..good.len() {
            for flip in [0x01, 0x80, 0xFF, 0xC0] {
                let mut bytes = good.clone();
                bytes[at] ^= flip;
                let _ = (Query::read(&bytes), lifetime(&bytes), query.reply(&bytes, 1, true));
            }
            let _ = (Query::read(&good[..at]), lifetime(&good[..at]), query.reply(&good[..at], 1, true));
        }
    }
}

/// Pieces of messages: pointers, types, lengths.
const PIECES: [&[u8]; 10] = [
    &[0xC0, 12],
    &[0xC0, 0],
    &[0],
    &[0, 1, 0, 1],
    &[0, 28, 0, 1],
    &[0, 65, 0, 1],
    &[0, 41, 4, 208, 0, 0, 0, 0, 0, 0],
    &[0xFF, 0xFF],
    &[3, b'c', b'o', b'm', 0],
    &[0, 4, 127, 0, 0, 1],
];

#[test]
fn mangled_questions_mean_the_same_to_hickory_or_nothing() {
    let good = [
        question("www.Example.com.", RecordType::A, None),
        question("a.b.c.example.com.", RecordType::HTTPS, Some(1232)),
    ];
    let (mut mangler, mut understood) = (crate::mangle::Mangler::new(3), 0);
    for turn in 0..20_000 {
        let bytes = mangler.mangle(&good[turn % 2], &PIECES);
        let query = match Query::read(&bytes) {
            Ok(query) => query,
            Err(Some(answer)) => {
                assert!(answer.starts_with(&bytes[..2]) && answer[2] & 0x80 != 0, "{bytes:?}");
                continue;
            }
            Err(None) => continue,
        };
        let Ok(message) = Message::from_vec(&bytes) else { continue };
        let [asked] = &message.queries[..] else { panic!("{bytes:?}") };
        assert_eq!((query.kind(), query.class()), (asked.query_type().into(), asked.query_class().into()));
        let sent = read(&query.forward());
        assert_eq!((&sent.queries[0], sent.queries.len()), (asked, 1), "{bytes:?}");
        let failed = read(&query.fail(Code::Failure, None));
        assert_eq!((failed.metadata.id, &failed.queries[0]), (message.metadata.id, asked));
        understood += 1;
    }
    assert!((200..18_000).contains(&understood), "some are still good, and some are not: {understood}");
}

#[test]
fn mangled_answers_mean_the_same_to_hickory_or_nothing() {
    let query = Query::read(&question("example.com.", RecordType::A, Some(512))).unwrap();
    let mut mixed = read(&answer("example.com.", 2));
    mixed.add_answer(Rr::from_rdata(name("example.com."), 60, RData::TXT(TXT::new(vec!["x".into()]))));
    let soa = Soa::new(name("ns.example.com."), name("me.example.com."), 1, 2, 3, 4, 60);
    mixed.add_authority(Rr::from_rdata(name("example.com."), 60, RData::SOA(soa)));
    let mut good = [answer("example.com.", 4), mixed.to_vec().unwrap()];
    // 192.0 looks like a pointer.
    for bytes in &mut good {
        while let Some(at) = bytes.windows(3).position(|three| three == [192, 0, 2]) {
            bytes[at..at + 3].copy_from_slice(&[198, 51, 100]);
        }
    }
    let (mut mangler, mut understood, mut inward) = (crate::mangle::Mangler::new(4), 0, 0);
    for turn in 0..20_000 {
        let bytes = mangler.mangle(&good[turn % 2], &PIECES);
        let _ = lifetime(&bytes);
        // Names that begin in the header mean nothing, and ours is another one.
        let odd = bytes.windows(2).any(|two| two[0] == 0xC0 && usize::from(two[1]) < HEADER);
        if odd || !query.answered_by(&bytes) {
            continue;
        }
        let (Some(reply), Ok(message)) = (query.reply(&bytes, 0, false), Message::from_vec(&bytes)) else {
            continue;
        };
        assert!(query.reply(&bytes, 0, true).unwrap().len() <= 512);
        let records = |message: &Message| {
            let all = [&message.answers, &message.authorities, &message.additionals];
            all.map(Clone::clone)
        };
        let said = Message::from_vec(&reply).unwrap_or_else(|why| panic!("{why}: {bytes:?}"));
        assert_eq!(records(&said), records(&message), "{bytes:?}");
        let leads = records(&message).iter().flatten().any(|record| match &record.data {
            RData::A(A(ip)) => address::is_inward((*ip).into()),
            RData::AAAA(ip) => address::is_inward(ip.0.into()),
            _ => false,
        });
        assert!(!leads || leads_inward(&bytes), "{bytes:?}");
        inward += usize::from(leads);
        understood += 1;
    }
    assert!(
        understood > 200 && inward > 0,
        "some are still good, and some lead inward: {understood} {inward}"
    );
}

#[test]
fn lifetimes_are_the_shortest_and_no_is_remembered_for_a_while() {
    assert_eq!(lifetime(&answer("example.com.", 2)), Some(300));
    let mut none = read(&answer("example.com.", 0));
    assert_eq!(lifetime(&none.to_vec().unwrap()), None);
    let soa = Soa::new(name("ns.example.com."), name("me.example.com."), 1, 2, 3, 4, 60);
    none.add_authority(Rr::from_rdata(name("example.com."), 3600, RData::SOA(soa)));
    none.metadata.response_code = ResponseCode::NXDomain;
    assert_eq!(lifetime(&none.to_vec().unwrap()), Some(60));
    none.metadata.response_code = ResponseCode::ServFail;
    assert_eq!(lifetime(&none.to_vec().unwrap()), None);
    let mut text = read(&answer("example.com.", 1));
    text.add_answer(Rr::from_rdata(name("example.com."), 5, RData::TXT(TXT::new(vec!["x".into()]))));
    assert_eq!(lifetime(&text.to_vec().unwrap()), Some(5));
}
