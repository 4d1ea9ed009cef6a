//! Where files may lie: disks to tick, memory, and any other folder.

use std::fs;
use std::path::{Path, PathBuf};

use maud::{Markup, html};

use super::guard::Fields;
use super::layout::field;
use super::looks::Looks;
use super::site::Site;
use crate::state::MAX_FOLDERS;
use crate::sys::disks::Disk;
use crate::sys::{mount, process};
use crate::words::size;

/// What may be chosen, and what is.
#[derive(Clone, Debug, Default)]
pub(super) struct Choice {
    pub(super) disks: Vec<Disk>,
    /// A folder in memory, and its free bytes.
    pub(super) memory: Option<(PathBuf, u64)>,
    pub(super) chosen: Vec<PathBuf>,
    /// Text that names no folder, to be mended.
    pub(super) draft: Option<String>,
    /// Set by the configuration, so not to be chosen.
    pub(super) fixed: bool,
}

impl Choice {
    /// Looks at the disks of this machine.
    pub(super) async fn look(site: &Site, chosen: &[PathBuf]) -> Self {
        let state = site.state.clone();
        let free = move || mount::is_memory(&state).unwrap_or(false).then(|| mount::free(&state).ok());
        let free = site.looks.glance(&site.state, free).await.ok().flatten().flatten();
        Self {
            disks: site.looks.disks().await,
            memory: free.map(|free| (site.downloads(), free)),
            chosen: chosen.to_vec(),
            draft: None,
            fixed: !site.allowed.is_empty(),
        }
    }

    /// The same with every disk that can be written chosen; memory where there is none.
    pub(super) fn proposed(mut self) -> Self {
        let writable = self.disks.iter().filter(|disk| disk.is_writable());
        self.chosen = writable.map(|disk| disk.at.clone()).collect();
        if self.chosen.is_empty() {
            self.chosen = self.memory.iter().map(|(folder, _)| folder.clone()).collect();
        }
        self
    }

    /// The same as a form said it, mistakes and all.
    pub(super) fn said(mut self, fields: &Fields) -> Self {
        self.chosen = fields.all("folder").map(PathBuf::from).collect();
        self.draft = Some(fields.get("folders").to_owned());
        self
    }

    /// The first disk that can be written.
    pub(super) fn disk(&self) -> Option<&Disk> {
        self.disks.iter().find(|disk| disk.is_writable())
    }

    fn others(&self) -> String {
        let ticked = |folder: &&PathBuf| {
            self.disks.iter().any(|disk| disk.at == **folder)
                || self.memory.as_ref().is_some_and(|(memory, _)| memory == *folder)
        };
        let others = self.chosen.iter().filter(|folder| !ticked(folder));
        let others = others.map(|folder| folder.display().to_string()).collect::<Vec<_>>().join("\n");
        self.draft.clone().unwrap_or(others)
    }
}

/// The folders of a form: those that are ticked, and those that are written, one a line. Makes the one in memory.
pub(super) async fn read(fields: &Fields, downloads: &Path, looks: &Looks) -> Result<Vec<PathBuf>, String> {
    let mut folders = Vec::new();
    let lines = fields.all("folder").chain(fields.get("folders").lines()).map(str::trim);
    for line in lines.filter(|line| !line.is_empty()) {
        let folder = PathBuf::from(line);
        let (path, downloads) = (folder.clone(), downloads.to_owned());
        let checked = looks.read(&folder, move || check(&path, &downloads)).await;
        checked.map_err(|silent| format!("\"{}\" cannot be looked at: {silent}", folder.display()))??;
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    if folders.len() > MAX_FOLDERS {
        return Err(format!("{MAX_FOLDERS} folders are the limit; name a folder above them"));
    }
    Ok(folders)
}

/// Whether it may be chosen. Looks at the disk, and makes the folder in memory.
fn check(folder: &Path, downloads: &Path) -> Result<(), String> {
    if folder == downloads {
        fs::create_dir_all(downloads).map_err(|why| format!("no folder can be made in memory: {why}"))?;
    }
    let line = folder.display();
    if !folder.is_absolute() {
        return Err(format!("\"{line}\" is no whole path; it starts with a slash, such as /srv/files"));
    }
    if folder == Path::new("/") {
        return Err("the whole system is too much; name the folders with the files to share".to_owned());
    }
    if !folder.is_dir() {
        return Err(format!("there is no folder \"{line}\", or the node may not see it; create it first"));
    }
    Ok(())
}

/// Boxes for the disks and for memory, and a field for all else.
pub(super) fn choice(choice: &Choice) -> Markup {
    html! {
        @if choice.fixed {
            p { "The configuration names the folders; they cannot be changed here." }
        } @else {
            p class="quiet" { "Only what lies in these can be shared, and fetched files go nowhere else. Shared files are read where they are." }
            @for (index, disk) in choice.disks.iter().enumerate() {
                (tick(&format!("disk-{index}"), &disk.at, choice, &html! { code { (disk.at.display()) } }, &html! {
                    @if !disk.silent { (size(disk.free)) " free of " (size(disk.size)) ", " }
                    (disk.kind)
                    (limits(disk))
                }))
            }
            @if let Some((folder, free)) = &choice.memory {
                (tick("memory", folder, choice, &html! { "In memory" }, &html! {
                    (size(*free)) " free. What is fetched into it is gone after a power cut."
                }))
            }
            (field("folders", "Other folders, one a line", "", &html! {
                textarea id="folders" name="folders" rows="2" spellcheck="false" { (choice.others()) }
            }))
        }
    }
}

/// Why a disk can only be shared from, if that is so, and what would change it.
pub(super) fn limits(disk: &Disk) -> Markup {
    html! {
        @if disk.silent { ", does not answer: it may be failing, or asleep" }
        @else if disk.read_only { ", read-only: to share from" }
        @else if disk.closed { ", not writable for the node: chown " (process::uid()) " its top folder, or share from it only" }
    }
}

fn tick(id: &str, folder: &Path, choice: &Choice, name: &Markup, hint: &Markup) -> Markup {
    let chosen = choice.chosen.iter().any(|chosen| chosen == folder);
    let folder = folder.display();
    html! {
        div class="choice" {
            input type="checkbox" name="folder" value=(folder) id={ "folder-" (id) } checked[chosen] aria-describedby={ "folder-" (id) "-hint" };
            div { label for={ "folder-" (id) } { (name) } small id={ "folder-" (id) "-hint" } { (hint) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::scratch::Scratch;

    #[tokio::test]
    async fn ticked_and_written_folders_come_together_once_each() {
        let scratch = Scratch::new("folders");
        let (downloads, here) = (scratch.path().join("downloads"), scratch.path().display().to_string());
        let fields = |ticked: &str, written: &str| {
            Fields::from_iter([("folder", ticked), ("folder", &here), ("folders", written)])
        };
        let memory = downloads.display().to_string();
        let looks = Looks::default();
        let read =
            async |ticked: &str, written: &str| read(&fields(ticked, written), &downloads, &looks).await;
        assert_eq!(read(&memory, &here).await, Ok(vec![downloads.clone(), scratch.path().to_owned()]));
        assert!(downloads.is_dir());
        for (written, words) in
            [("srv", "starts with a slash"), ("/", "too much"), ("/no/such", "create it first")]
        {
            assert!(read(&memory, written).await.unwrap_err().contains(words), "{written}");
        }
    }

    #[test]
    fn a_disk_that_cannot_be_written_is_not_proposed_and_says_what_to_do() {
        let disk = |at: &str, read_only, closed| Disk {
            at: at.into(),
            kind: "ext4".into(),
            size: 2,
            free: 1,
            read_only,
            closed,
            silent: at.ends_with('d'),
        };
        let disks = vec![
            disk("/disks/a", false, true),
            disk("/disks/b", true, false),
            disk("/disks/c", false, false),
            disk("/disks/d", false, false),
        ];
        let proposed = Choice { disks, ..Choice::default() }.proposed();
        assert_eq!(proposed.chosen, [PathBuf::from("/disks/c")]);
        assert_eq!(proposed.disk().map(|disk| disk.at.as_path()), Some(Path::new("/disks/c")));
        let shown = choice(&proposed).into_string();
        let advice = format!("not writable for the node: chown {} its top folder", process::uid());
        assert_eq!(shown.matches(&advice).count(), 1, "{shown}");
        assert_eq!(shown.matches("does not answer").count(), 1, "{shown}");
    }

    #[test]
    fn what_has_a_box_is_not_written_again() {
        let chosen = vec![PathBuf::from("/run/x/downloads"), "/srv".into()];
        let memory = Some(("/run/x/downloads".into(), 1 << 20));
        let shown = choice(&Choice { memory, chosen, ..Choice::default() }).into_string();
        assert!(shown.contains(">/srv</textarea>") && shown.contains("checked"), "{shown}");
    }
}
