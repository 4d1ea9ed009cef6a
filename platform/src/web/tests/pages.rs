//! Every page there is, with something in every corner.

use maud::Markup;

use super::super::*;
use super::made_up::{self, full};
use super::owner;
use crate::node::{History, Point};
use crate::status::{NetStatus, Share};
use crate::sys::disks::Disk;
use crate::traces;
use jobs::Job;

type Named = (&'static str, Markup);

/// All of them, by name.
pub(super) fn pages() -> Vec<Named> {
    [overviews(), content(), people(), network(), node(), beginnings()].into_iter().flatten().collect()
}

fn overviews() -> Vec<Named> {
    let (status, frame) = (full(), owner());
    vec![
        ("overview", overview(&status, &frame)),
        ("live", overview(&status, &Frame { live: Some(5), said: Some("Saved."), ..owner() })),
        ("open", overview(&status, &Frame { pace: 5, ..Frame::default() })),
        ("starting", overview(&starting(), &frame)),
    ]
}

fn content() -> Vec<Named> {
    let (status, frame) = (full(), owner());
    let job = |fault: Option<&str>| Job { id: 1, name: "Film".into(), fault: fault.map(str::to_owned) };
    let root = files::Root {
        number: 7,
        path: "/srv/incoming".into(),
        memory: false,
        room: files::Room::Free(9 << 30),
    };
    let draft = fetches::Draft { link: "http://".into(), folder: "/mnt/usb".into() };
    let clean = traces::Report { looked: 3, ..Default::default() };
    let public = Share { public: true, text: "A line.".into(), ..status.shares[0].clone() };
    let form = fetches::form_page(std::slice::from_ref(&root), &draft, Some("that is no link"), &frame);
    let memory = files::Root { memory: true, ..Default::default() };
    vec![
        ("shares", shares::page(&status, &[job(None), job(Some("no room"))], Some("wrong"), &frame)),
        ("share", shares::share_page(&status.shares[0], None, &frame)),
        ("share-public", shares::share_page(&public, Some("no"), &frame)),
        ("offer", offer::page(std::path::Path::new("/srv/incoming/Film"), &frame)),
        ("fetches", fetches::page(&status, None, &frame)),
        ("fetch", form),
        ("files", files::page(&[root, memory], &disks(), false, &frame)),
        ("publish", publish::page(&status.shares[0], &report(), Some("no"), &frame)),
        ("publish-clean", publish::page(&status.shares[0], &clean, None, &frame)),
        ("search", search::page(&status, None, "", Some("search for one or more words"), &frame)),
        ("found", search::page(&status, Some(&made_up::search()), "river", None, &frame)),
    ]
}

fn people() -> Vec<Named> {
    let (status, frame) = (full(), owner());
    let draft = trust::Draft::default();
    let wrong = trust::Draft { fault: Some("no".into()), ..draft.clone() };
    vec![
        ("trust", trust::page(&status, Some(made_up::cost()), &draft, &frame)),
        ("trust-none", trust::page(&starting(), None, &wrong, &frame)),
        ("messages", messages::page(&status, &made_up::letters(), &frame)),
        ("messages-none", messages::page(&starting(), &messages::Letters::default(), &frame)),
        ("peers", peers::page(&status, &frame)),
    ]
}

fn network() -> Vec<Named> {
    let (status, frame) = (full(), owner());
    let face = onion::Face {
        host: format!("{}.onion", "a".repeat(56)),
        key: "K".repeat(52),
        reachable: true,
        visit: Some(onion::Visit::Silent),
        fault: Some("it fell over".into()),
    };
    let bridges =
        bridges::Bridges { lines: "192.0.2.7:443 0123".into(), used: 1, fault: Some("bridge 1".into()) };
    let given = services::Given { new: made_up::key(), code: Some("code".into()) };
    vec![
        ("proxies", proxies::page(&status, &frame)),
        ("services", services::page(&status, Some(&given), Some("no"), &services::Draft::default(), &frame)),
        ("tor", tor::page(&status, Some(&face), &bridges, None, &frame)),
        ("tor-off", tor::page(&status, None, &bridges::Bridges::default(), Some("wrong"), &frame)),
    ]
}

fn node() -> Vec<Named> {
    let (status, frame) = (full(), owner());
    let point = |down| Point { down, up: down / 2, memory: 30 << 20, celsius: Some(47) };
    let hour = (0..90).map(|step| point((step * 37 % 50) * 20_000)).collect();
    let history = History { hour, day: (0..40).map(|step| point(step * 9_000)).collect() };
    let line = crate::logger::Line { after_s: 3, level: "warn ".into(), text: "bulbil: a thing".into() };
    let settings = settings::View {
        folders: choice(),
        notes: status.board.as_ref().map(|board| board.notes.clone()),
        config: "memory = \"96 MiB\"".into(),
        fault: Some("no".into()),
        ..Default::default()
    };
    vec![
        ("machine", machine::page(&status, true, &frame)),
        ("withdrawal", shares::withdrawal(&status.shares[0], &frame)),
        ("retreat", publish::retreat(&status.shares[0], &frame)),
        ("opening", services::opening("shop", &frame)),
        ("blocking", trust::blocking(&status, &status.trust.nodes[0].address, &frame)),
        ("farewell", tor::farewell(Some(&onion::Keys::fresh().unwrap()), true, &frame)),
        ("farewell-off", tor::farewell(None, false, &frame)),
        ("stopping", keep::stopping(&status.keep, &frame)),
        ("power", machine::sure(crate::power::Power::Off, &status, &frame)),
        ("statistics", statistics::page(&history, &frame)),
        ("log", journal::page(&[line], &frame)),
        ("settings", settings::page(&settings, &frame)),
    ]
}

/// Pages that lead nowhere else.
fn beginnings() -> Vec<Named> {
    let file = "/mnt/usb/bulbil.keep";
    let draft = first::Draft {
        folders: choice(),
        keep: keep::Draft { file: file.into(), wanted: true, automatic: false },
        ..Default::default()
    };
    vec![
        ("sign-in", frame::alone("Sign in", &account::form("t0ken", true, Some("no")))),
        ("restore", frame::alone("Bring back", &restore::form("t0ken", file, Some("no")))),
        ("first", frame::alone("Welcome", &first::form("t0ken", &draft, Some("no")))),
    ]
}

fn disks() -> Vec<Disk> {
    let disk = |at: &str, read_only| Disk {
        at: at.into(),
        kind: "ext4".into(),
        size: 64 << 30,
        free: 31 << 30,
        read_only,
        closed: at.starts_with("/disks"),
        silent: at.ends_with("c1"),
    };
    vec![
        disk("/mnt/usb", false),
        disk("/media/music", true),
        disk("/disks/sdb1", false),
        disk("/disks/sdc1", false),
    ]
}

fn choice() -> folders::Choice {
    folders::Choice {
        disks: disks(),
        memory: Some(("/run/bulbil/downloads".into(), 40 << 20)),
        chosen: vec!["/mnt/usb".into(), "/srv/incoming".into()],
        ..Default::default()
    }
}

fn report() -> traces::Report {
    let finding = |name: &str, cleanable| traces::Finding {
        path: format!("/srv/{name}").into(),
        traces: [traces::Trace::Location, traces::Trace::Author].into(),
        cleanable,
    };
    traces::Report {
        unknown: 2,
        findings: vec![finding("a.jpg", true), finding("b.pdf", false)],
        more: 3,
        looked: 12,
        unseen: 2,
        partly: 1,
    }
}

/// A node that is not there yet.
fn starting() -> Status {
    let net = NetStatus { percent: 45, doing: "Loading the list of relays".into(), ..NetStatus::default() };
    Status { net, version: "0.1.0".into(), ..Status::default() }
}
