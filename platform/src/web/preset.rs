//! A password that the configuration brings: a board without memory is its owner's from the first moment, and asks no stranger.

use super::{account, onion};
use crate::config::{FirstRun, Page};
use crate::state::{Audience, PageEntry};

/// What the page keeps from now on, if that changes: a password that was set on the page, and is kept, stays. `Err` says why there is none.
pub(crate) fn preset(entry: &PageEntry, page: &Page) -> Result<Option<PageEntry>, String> {
    let Some(hash) = page.password_hash.clone().filter(|_| entry.password.is_none()) else { return Ok(None) };
    // Where the local network was to set the password, it is to use it.
    let from_lan = page.first_run == FirstRun::Network && entry.audience == Audience::Machine;
    let audience = if from_lan { Audience::Password } else { entry.audience };
    let seal = account::seal().map_err(|(_, why)| why)?;
    let mut entry = PageEntry {
        password: Some(hash),
        audience,
        seal: Some(seal),
        onion: entry.onion || page.onion,
        ..entry.clone()
    };
    onion::Keys::fresh().map_err(|error| error.to_string())?.fill(&mut entry);
    Ok(Some(entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_of_the_configuration_counts_while_there_is_no_other() {
        let page = Page { password_hash: Some("hash".into()), ..Page::default() };
        let empty = PageEntry::default();
        assert_eq!(preset(&empty, &Page::default()), Ok(None));
        let entry = preset(&empty, &page).unwrap().unwrap();
        assert_eq!((entry.password.as_deref(), entry.audience), (Some("hash"), Audience::Machine));
        assert!(entry.seal.is_some() && entry.onion_seed.is_some() && !entry.onion);
        let kept = PageEntry { password: Some("kept".into()), ..PageEntry::default() };
        assert_eq!(preset(&kept, &page), Ok(None));
        let board = Page { first_run: FirstRun::Network, onion: true, ..page };
        let entry = preset(&empty, &board).unwrap().unwrap();
        assert_eq!((entry.audience, entry.onion), (Audience::Password, true));
        let figures = PageEntry { audience: Audience::Figures, ..PageEntry::default() };
        assert_eq!(preset(&figures, &board).unwrap().unwrap().audience, Audience::Figures);
    }
}
