//! Other people's programs, one line each for what they were tried with.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};

use super::Stage;
use super::table::Lines;
use crate::alias::Alias;
use crate::baseline::Baseline;
use crate::foreign::Python;
use crate::foreign::lookups::{self, TOOLS, WAYS};
use crate::foreign::matrix::{self, Targets};
use crate::outside::{HELLO, Outside, Silent};
use crate::scratch::Scratch;

/// Questions on one connection before the first answer is read.
const PIPELINED: u32 = 500;

/// Of the long transfers of the memory parts, the clients' long streams have a third each.
const PART: u64 = 3;

/// SOCKS clients against everything that a target can be.
pub(super) fn socks(stage: &Stage, lines: &Lines) -> io::Result<()> {
    let python = Python::ensure()?;
    let beside =
        lines.or_fail("torsocks wants an address besides loopback", Alias::add(crate::alias::BESIDE));
    let address = beside.as_ref().map(Alias::address);
    let outside = Outside::start_at(address.as_slice())?;
    let (silent, silent_beside) = (Silent::start()?, address.map(Silent::start_at).transpose()?);
    let folder = Scratch::new("served")?;
    fs::write(folder.join("hello"), HELLO)?;
    let onion = Baseline::start(&stage.network, folder.path())?;
    let targets = Targets {
        proxy: stage.socks,
        outside: outside.port(),
        closed: TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port(),
        silent: silent.port(),
        silent_beside: silent_beside.as_ref().map_or(0, Silent::port),
        onion: onion.onion().to_owned(),
        beside: address,
        size: stage.size / PART,
    };
    for cell in matrix::play(&python, &targets)? {
        let line = format!("{}: {}", cell.client, cell.case);
        match cell.outcome {
            Ok(seconds) => lines.tell(&line, seconds, "s"),
            Err(said) => drop(lines.or_fail(&line, Err::<(), _>(io::Error::other(said)))),
        }
    }
    Ok(())
}

/// DNS clients against every type of record, and what else resolvers must bear.
pub(super) fn dns(stage: &Stage, lines: &Lines) -> io::Result<()> {
    let python = Python::ensure()?;
    for tool in TOOLS {
        for way in WAYS {
            let line = format!("{tool} over {way}: types answered right");
            if let Some(right) = lines.or_fail(&line, lookups::types(&python, stage.dns, tool, way)) {
                lines.tell(&line, f64::from(u32::try_from(right).unwrap_or(u32::MAX)), "");
            }
        }
    }
    let cut = lookups::dig(stage.dns, "dig", &["+notcp", "+ignore", "+bufsize=1232", "big.test", "TXT"])?;
    lines.judge(
        "an answer of 3 KB over UDP is cut",
        cut.contains(" tc ") && cut.contains("ANSWER: 0"),
        1232.0,
        "B",
    );
    let whole = lookups::dig(stage.dns, "dig", &["+short", "big.test", "TXT"])?.matches('x').count();
    lines.judge("and comes whole over TCP", whole == 3000, f64::from(u32::try_from(whole).unwrap_or(0)), "B");
    let onion = lookups::dig(stage.dns, "dig", &["leak.onion", "A"])?;
    lines.judge("an onion name is no name", onion.contains("NXDOMAIN"), 3.0, "");
    let answered = python.pipeline(stage.dns, PIPELINED)?.as_u64().unwrap_or(0);
    let count = f64::from(u32::try_from(answered).unwrap_or(0));
    lines.judge("500 pipelined questions: answered", answered == u64::from(PIPELINED), count, "");
    Ok(())
}
