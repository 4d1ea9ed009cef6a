//! Pages on made-up nodes.

mod account;
mod doors;
mod flood;
mod forms;
mod live;
mod made_up;
mod onion;
mod pages;

use super::*;
use crate::status::{FetchState, NetStatus};
use made_up::full;
use pages::pages;

/// The owner, signed in.
fn owner() -> Frame {
    Frame { token: Some("t0ken".into()), signed_in: true, has_password: true, pace: 5, ..Frame::default() }
}

#[test]
fn everything_in_the_status_is_on_the_page() {
    let page = body(&full(), &Frame::default()).into_string();
    for words in [
        "Connected",
        "3 of 4 reachable",
        "31.0 MiB of 96.0 MiB",
        "1 min 35 s behind",
        "Field recordings, winter 2025.flac",
        "value=\"42\"",
        "311 MiB of 734 MiB",
        "6 lanes",
        "no peer answers",
        "no room left",
        "Public domain books",
        "512 files",
        "a file was changed",
        "#7",
        "290 ms",
        "12/16 asked",
        "does not match its hash",
    ] {
        assert!(page.contains(words), "{words:?} is missing");
    }
}

#[test]
fn only_who_still_wants_something_is_paused() {
    let mut status = full();
    status.shares.clear();
    let paused = |status: &Status| body(status, &Frame::default()).into_string().matches(">paused<").count();
    status.peers.iter_mut().for_each(|peer| (peer.chokes_us, peer.choked) = (false, peer.id == 11));
    assert_eq!(paused(&status), 0, "a peer with everything");
    status.peers.iter_mut().for_each(|peer| peer.has_percent = 40);
    assert_eq!(paused(&status), 1);
    status.peers.iter_mut().for_each(|peer| (peer.chokes_us, peer.choked) = (peer.id == 9, false));
    assert_eq!(paused(&status), 1);
    for fetch in &mut status.fetches {
        fetch.state = FetchState::Done;
    }
    assert_eq!(paused(&status), 0, "we have everything");
}

#[test]
fn names_cannot_become_markup() {
    let page = body(&full(), &Frame::default()).into_string();
    assert!(page.contains("Atlas of &lt;river&gt; deltas") && !page.contains("<river>"));
}

#[test]
fn pages_need_no_script_and_no_inline_style_and_have_landmarks() {
    for (name, page) in pages() {
        let page = page.into_string();
        for forbidden in [
            "<script",
            "style=",
            " onclick",
            " onload",
            "javascript:",
            "http-equiv=\"refresh\"",
            "src=\"http",
        ] {
            assert!(
                !page.contains(forbidden) || (name == "live" && forbidden.contains("refresh")),
                "{name}: {forbidden}"
            );
        }
        // The first run and the sign-in lead nowhere else.
        let alone = ["first", "restore", "sign-in"].contains(&name);
        for landmark in ["<main", "<nav", "<header", "<footer", "lang=\"en\"", "class=\"skip\"", "<h1"] {
            let here = alone && ["<nav", "<footer", "class=\"skip\""].contains(&landmark);
            assert!(here || page.contains(landmark), "{name}: {landmark}");
        }
        assert_eq!(page.matches("<h1").count(), 1, "{name}");
    }
}

#[test]
fn every_form_carries_the_token_and_is_posted_here() {
    for (name, page) in pages() {
        let page = page.into_string();
        for form in page.split("<form").skip(1) {
            let form = form.split("</form>").next().unwrap();
            assert!(form.starts_with(" method=\"post\" action=\"/"), "{name}: {form}");
            assert!(form.contains("name=\"token\" value=\"t0ken\""), "{name}: {form}");
        }
    }
}

fn page_named(wanted: &str) -> String {
    pages().into_iter().find(|(name, _)| *name == wanted).unwrap().1.into_string()
}

#[test]
fn the_settings_tell_what_became_of_the_card() {
    let settings = page_named("settings");
    for words in [
        "Settings on the card",
        "<code>boord</code>",
        "no such key",
        "<code>user-data: users</code>",
        "<code>firstrun.sh</code>",
        "ignored",
    ] {
        assert!(settings.contains(words), "{words}");
    }
    let machine = page_named("machine");
    assert!(machine.contains("1 line of bulbil.toml could not be used"));
    assert!(machine.contains("Wi-Fi wlan0: not joined"), "that is in no file");
    assert_eq!(machine.matches("could not be used").count(), 1, "what is ignored does no harm");
}

#[test]
fn what_a_power_cut_costs_is_told_before_and_asked_about() {
    assert!(
        page_named("overview").contains("If the power went now, this would be gone: 3 shares, 2 letters")
    );
    assert!(!page_named("open").contains("If the power went"), "to the owner alone");
    let sure = page_named("power");
    assert!(sure.contains("gone for good: 3 shares, 2 letters") && sure.contains("name=\"sure\""));
    let first = page_named("first");
    assert!(first.contains("gone for good") && first.contains("not even you") && first.contains("In memory"));
}

/// DESIGN 3: no onion address, token, file name or path in an address; nothing from elsewhere.
#[test]
fn addresses_are_ours_and_tell_nothing() {
    for (name, page) in pages() {
        let page = page.into_string();
        for attribute in ["href=\"", "src=\"", "action=\""] {
            for address in page.split(attribute).skip(1).map(|rest| rest.split('"').next().unwrap()) {
                let inside =
                    address.starts_with('/') && !address.starts_with("//") || address.starts_with('#');
                assert!(inside, "{name}: {address}");
                for telling in [".onion", "/srv", "/mnt", "Film", "t0ken", "Anna", "Bob"] {
                    assert!(!address.contains(telling), "{name}: {address}");
                }
                let query = address.split_once('?').map_or("", |(_, query)| query);
                assert!(["", "live=1"].contains(&query), "{name}: {address}");
            }
        }
    }
}

#[test]
fn every_field_has_a_label() {
    for (name, page) in pages() {
        let page = page.into_string();
        for tag in page
            .split('<')
            .filter(|tag| ["input", "select", "textarea"].iter().any(|kind| tag.starts_with(kind)))
        {
            let id = tag.split("id=\"").nth(1).map(|rest| rest.split('"').next().unwrap());
            let labelled = id.is_some_and(|id| page.contains(&format!("for=\"{id}\"")));
            assert!(tag.contains("type=\"hidden\"") || labelled, "{name}: {tag}");
        }
    }
}

#[test]
fn who_may_only_look_is_offered_nothing_to_do() {
    let page = overview(&full(), &Frame::default()).into_string();
    assert!(!page.contains("<form") && page.contains("Set a password"));
}

#[test]
fn figures_hold_no_names_and_no_links() {
    let frame = Frame { has_password: true, figures_only: true, ..Frame::default() };
    let page = overview(&full(), &frame).into_string();
    assert!(page.contains("31.0 MiB of 96.0 MiB") && page.contains("Sign in"));
    for name in ["Field recordings", "Public domain books", ".onion", "/srv", "<nav", made_up::FILM] {
        assert!(!page.contains(name), "{name}");
    }
}

#[test]
fn an_idle_node_says_what_to_do() {
    let page = body(&Status::default(), &Frame::default()).into_string();
    assert!(page.contains("Connecting to Tor") && page.contains("bulbil share PATH"));
}

#[test]
fn a_stuck_network_says_why() {
    let net = NetStatus { blocked: Some("the clock is wrong by a year".into()), ..NetStatus::default() };
    let page = body(&Status { net, ..Status::default() }, &Frame::default()).into_string();
    assert!(page.contains("Tor is stuck") && page.contains("the clock is wrong by a year"));
}

/// Writes every page into the folder named by `BULBIL_PAGES`, to be looked at.
#[test]
fn pages_can_be_written_out() {
    let folder = std::env::var_os("BULBIL_PAGES").map_or_else(std::env::temp_dir, Into::into);
    for (name, page) in pages() {
        let page = page.into_string().replace("/style.css", "style.css");
        let file = folder.join(format!("bulbil-page-{name}-{}.html", std::process::id()));
        std::fs::write(&file, &page).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), page);
        if std::env::var_os("BULBIL_PAGES").is_none() {
            std::fs::remove_file(file).unwrap();
        }
    }
}

#[test]
fn a_board_names_the_way_back_that_it_has() {
    let shown = |board| super::account::form("t0ken", board, None).into_string();
    assert!(shown(true).contains("reset = true") && !shown(true).contains("bulbil page reset"));
    assert!(shown(false).contains("bulbil page reset"));
    let open = first::Draft { open: true, ..first::Draft::default() };
    assert!(first::form("t0ken", &open, None).into_string().contains("opens this page first makes the node"));
    let draft = first::Draft { reset: true, ..first::Draft::default() };
    assert!(first::form("t0ken", &draft, None).into_string().contains("forgotten at each start"));
    let signed_in = overview(&full(), &Frame { reset: true, ..owner() }).into_string();
    assert!(signed_in.contains("forgotten at each start"));
}

#[test]
fn who_needs_the_local_network_cannot_shut_it_out() {
    use crate::state::Audience;
    let said = |word, needs_lan| {
        let fields = std::iter::once(("audience", word)).collect();
        first::audience(&fields, needs_lan)
    };
    assert_eq!([said("machine", true), said("", true)], [Audience::Password; 2]);
    assert_eq!([said("machine", false), said("figures", true)], [Audience::Machine, Audience::Figures]);
    let shown = |needs_lan| first::audience_choice(Audience::Password, needs_lan).into_string();
    assert!(shown(false).contains("Only this machine") && !shown(true).contains("Only this machine"));
}

#[test]
fn a_list_stays_a_table_however_its_rows_are_laid_out() {
    let cell = |word: &str| html! { (word) };
    let shown = layout::list("L", false, ["a", "b", "c"], [[cell("x"), cell("y"), cell("z")]]).into_string();
    for (role, times) in
        [("table", 1), ("rowgroup", 2), ("row", 2), ("columnheader", 3), ("rowheader", 1), ("cell", 2)]
    {
        assert_eq!(shown.matches(&format!("role=\"{role}\"")).count(), times, "{role}: {shown}");
    }
}
