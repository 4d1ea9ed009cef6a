//! Every DNS client against every type of record.

use std::io;
use std::process::Command;

use serde_json::{Value, json};

use super::{LIMIT, Python, run};
use crate::names::TYPES;

/// Clients.
pub const TOOLS: [&str; 3] = ["dig", "kdig", "dnspython"];

/// Ways to ask.
pub const WAYS: [&str; 2] = ["UDP", "TCP"];

/// dnspython asks for each `[name, type]`.
const SCRIPT: &str = include_str!("types.py");

/// What `dig` or `kdig` prints.
pub fn dig(dns: u16, program: &str, words: &[&str]) -> io::Result<String> {
    let mut dig = Command::new(program);
    dig.args(["@127.0.0.1", "-p", &dns.to_string()]).args(words);
    Ok(run(&mut dig, LIMIT)?.out.trim().to_owned())
}

/// Asks for all [`TYPES`], each of a name that nobody else asks for, and returns how many were answered right: all, or the error names
/// the first that was not.
pub fn types(python: &Python, dns: u16, tool: &str, way: &str) -> io::Result<usize> {
    let name = |kind: &str| format!("{kind}-{way}-{tool}.test").to_lowercase();
    let mut heard = Value::Null;
    if tool == "dnspython" {
        let questions: Vec<Value> = TYPES.iter().map(|(kind, ..)| json!([name(kind), kind])).collect();
        let questions = Value::from(questions).to_string();
        heard = python.json(SCRIPT, &[&dns.to_string(), way, &questions], LIMIT)?;
    }
    for (kind, _, _, expected) in TYPES {
        let said = match heard.get(kind).and_then(Value::as_str) {
            Some(said) => said.to_owned(),
            None if tool == "dnspython" => String::new(),
            None => {
                let over = if way == "TCP" { "+tcp" } else { "+notcp" };
                dig(dns, tool, &["+short", "+timeout=20", over, &name(kind), kind])?
            }
        };
        if !said.replace(' ', "").eq_ignore_ascii_case(&expected.replace(' ', "")) {
            return Err(io::Error::other(format!(
                "{tool} over {way}, {kind}: {said:?} instead of {expected:?}"
            )));
        }
    }
    Ok(TYPES.len())
}
