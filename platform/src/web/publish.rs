//! From private to public and back. Before a share goes public its owner sees what its files tell about their maker.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use axum::Extension;
use axum::extract::{Path as Part, State};
use axum::http::{StatusCode, Uri};
use axum::response::{Html, IntoResponse, Redirect, Response};
use bulbil_core::limits::{MAX_TAGS, MAX_TEXT};
use maud::{Markup, html};

use super::browse;
use super::files;
use super::frame::{self, Frame};
use super::guard::Fields;
use super::layout::{badge, fault, field, heading, plural, table};
use super::looks::Silent;
use super::question::Question;
use super::shares;
use super::site::Shared;
use super::visitor::Visitor;
use crate::node::{About, NodeError, ShareRequest};
use crate::status::Share;
use crate::sys::mount;
use crate::traces::{self, Report, Trace};

/// `GET /shares/{info_hash}/publish`: what it would tell.
pub(super) async fn ask(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Part(info_hash): Part<String>,
    uri: Uri,
) -> Response {
    let (share, report) = match looked(&site, info_hash).await {
        Ok(Some(looked)) => looked,
        Ok(None) => return frame::missing(),
        Err(silent) => {
            let why = NodeError::Failed(format!("the files of this share cannot be looked at: {silent}"));
            return shares::answer(&site, &visitor, &uri, Err(why));
        }
    };
    let frame = Frame::of(&site, &visitor, &uri);
    Html(page(&share, &report, None, &frame).into_string()).into_response()
}

/// A share, and what its files tell.
async fn looked(site: &Shared, info_hash: String) -> Result<Option<(Share, Report)>, Silent> {
    let share = site.node.status().shares.iter().find(|share| share.info_hash == info_hash).cloned();
    let (Some(share), Ok(Some(sources))) = (share, site.node.sources(info_hash).await) else {
        return Ok(None);
    };
    let place = sources.first().cloned().unwrap_or_default();
    let report = site.looks.read(&place, move || traces::look(&sources)).await?;
    Ok(Some((share, report)))
}

/// The form once more, with what was typed.
async fn again(
    site: &Shared,
    visitor: &Visitor,
    uri: &Uri,
    info_hash: String,
    fields: &Fields,
    why: NodeError,
) -> Response {
    let frame = Frame::of(site, visitor, uri);
    let said =
        |share: Share| Share { tags: fields.get("tags").into(), text: fields.get("text").into(), ..share };
    let told = Some(why.to_string());
    let status = site.node.status();
    let public = status.shares.iter().find(|share| fields.ticked("again") && share.info_hash == info_hash);
    let page = match public {
        Some(share) => shares::share_page(&said(share.clone()), told.as_deref(), &frame),
        None => match looked(site, info_hash).await {
            Ok(Some((share, report))) => page(&said(share), &report, told.as_deref(), &frame),
            _ => return shares::answer(site, visitor, uri, Err(why)),
        },
    };
    (StatusCode::UNPROCESSABLE_ENTITY, Html(page.into_string())).into_response()
}

/// `POST /shares/{info_hash}/publish`
pub(super) async fn publish(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Extension(fields): Extension<Fields>,
    Part(info_hash): Part<String>,
    uri: Uri,
) -> Response {
    let said = if fields.ticked("again") { "saved" } else { "published" };
    match site.node.publish_about(info_hash.clone(), about(&fields)).await {
        Ok(share) => Redirect::to(&format!("/shares/{}?said={said}", share.info_hash)).into_response(),
        Err(why) => again(&site, &visitor, &uri, info_hash, &fields, why).await,
    }
}

fn about(fields: &Fields) -> About {
    About { tags: Some(fields.get("tags").to_owned()), text: Some(fields.get("text").to_owned()) }
}

/// `POST /shares/{info_hash}/unpublish`: asks first, because the link is gone for good.
pub(super) async fn unpublish(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Extension(fields): Extension<Fields>,
    Part(info_hash): Part<String>,
    uri: Uri,
) -> Response {
    if let Some(share) = shares::to_ask_about(&site, &fields, &info_hash) {
        let frame = Frame::of(&site, &visitor, &uri);
        return Html(retreat(&share, &frame).into_string()).into_response();
    }
    let done = site.node.unpublish(info_hash).await;
    let done = done.map(|share| format!("/shares/{}?said=unpublished", share.info_hash));
    shares::answer(&site, &visitor, &uri, done)
}

/// `POST /shares/{info_hash}/clean`: makes a copy beside the original that tells less, and publishes that instead.
pub(super) async fn clean(
    State(site): State<Shared>,
    Extension(visitor): Extension<Visitor>,
    Extension(fields): Extension<Fields>,
    Part(info_hash): Part<String>,
    uri: Uri,
) -> Response {
    let about = match about(&fields).checked() {
        Ok(about) => about,
        Err(why) => return again(&site, &visitor, &uri, info_hash, &fields, why).await,
    };
    let share = site.node.status().shares.iter().find(|share| share.info_hash == info_hash).cloned();
    let (Some(share), Ok(Some(sources))) = (share, site.node.sources(info_hash).await) else {
        return frame::missing();
    };
    let Some(job) = site.jobs.begin(&format!("{}, cleaned", share.name)) else {
        let why = NodeError::Bad("too many shares are being read already; wait until some are done".into());
        return again(&site, &visitor, &uri, share.info_hash, &fields, why).await;
    };
    let (roots, working) = (files::roots(&site, &visitor), Shared::clone(&site));
    tokio::spawn(async move {
        let done = copy_and_publish(&working, share, about, sources, roots).await;
        working.jobs.end(job, done.err().as_deref());
    });
    Redirect::to("/shares?said=reading").into_response()
}

/// Copies, shares the copy in public, and withdraws the original.
async fn copy_and_publish(
    site: &Shared,
    share: Share,
    about: About,
    sources: Vec<PathBuf>,
    roots: Vec<PathBuf>,
) -> Result<(), String> {
    let copying = tokio::task::spawn_blocking(move || copy(&share, &sources, &roots).map(|to| (to, share)));
    let (path, share) = copying.await.map_err(|_| "the copy was broken off".to_owned())??;
    let request = ShareRequest {
        paths: vec![path],
        name: None,
        piece_length: None,
        public: true,
        browser: share.browser,
    };
    let copy = site.node.share(request).await.map_err(|why| why.to_string())?;
    site.node.publish_about(copy.info_hash, about).await.map_err(|why| why.to_string())?;
    site.node.unshare(share.info_hash).await.map_err(|why| why.to_string())
}

/// Makes `<name>, cleaned` beside the original: pictures without what they tell, everything else as a second name of the
/// same file, or as a copy where the disk knows no second names.
fn copy(share: &Share, sources: &[PathBuf], roots: &[PathBuf]) -> Result<PathBuf, String> {
    let (from, single) = origin(&share.name, sources).ok_or("the files of this share do not lie together")?;
    let parent = from.parent().ok_or("there is no folder above it")?;
    browse::allowed(roots, parent).ok_or(
        "the folder above it is not among the allowed ones, and the copy would lie there; allow it in Settings",
    )?;
    let target = parent.join(cleaned_name(&share.name, single));
    let told =
        |why: io::Error| format!("the copy could not be made: {why}; {} was left as it is", target.display());
    if target.exists() {
        return Err(format!("{} exists already; rename or remove it first", target.display()));
    }
    if single {
        copy_file(&from, &target).map_err(told)?;
    } else {
        fs::create_dir(&target).map_err(told)?;
        for source in sources {
            let inner =
                source.strip_prefix(&from).map_err(|_| "the files of this share do not lie together")?;
            let to = target.join(inner);
            to.parent().map_or(Ok(()), fs::create_dir_all).map_err(told)?;
            copy_file(source, &to).map_err(told)?;
        }
    }
    Ok(target)
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    if traces::clean(from, to)? || fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    if fs::metadata(from)?.len() > mount::free(to.parent().unwrap_or(to))? {
        return Err(io::Error::new(io::ErrorKind::StorageFull, "no room is left"));
    }
    fs::copy(from, to).map(drop)
}

/// The file or folder that was shared, and whether it is a file.
fn origin(name: &str, sources: &[PathBuf]) -> Option<(PathBuf, bool)> {
    let first = sources.first()?;
    if sources.len() == 1 && first.file_name().is_some_and(|file| file == name) && first.is_file() {
        return Some((first.clone(), true));
    }
    let mut above = first.ancestors().skip(1);
    let folder = above.find(|folder| folder.file_name().is_some_and(|file| file == name))?;
    sources.iter().all(|source| source.starts_with(folder)).then(|| (folder.to_owned(), false))
}

fn cleaned_name(name: &str, single: bool) -> String {
    match name.rsplit_once('.').filter(|(stem, _)| single && !stem.is_empty()) {
        Some((stem, ending)) => format!("{stem}, cleaned.{ending}"),
        None => format!("{name}, cleaned"),
    }
}

/// What it would tell, as a pure function of what was found.
pub(super) fn page(share: &Share, report: &Report, why: Option<&str>, frame: &Frame) -> Markup {
    let path = format!("/shares/{}", share.info_hash);
    let cleanable = report.findings.iter().any(|finding| finding.cleanable);
    frame.page("Publish", "/shares", &html! {
        (heading(&format!("Publish {}", share.name), &html! { a href=(path) { "Back to the share" } }))
        (fault(why))
        p { "Everybody who finds this node's catalogue may then see the name and fetch the files. What was fetched cannot be taken back." }
        @if report.findings.is_empty() {
            @if report.understood() > 0 { p class="notice good" {
                "Nothing was found in " (plural(report.understood() as u64, "file", "files")) " that names a person, a place or a device."
            } }
        } @else {
            p class="notice warn" role="alert" {
                (plural((report.findings.len() + report.more) as u64, "file tells", "files tell"))
                " something about who made it or where."
            }
            (findings(report))
        }
        @if report.unknown > 0 { p class="notice warn" role="alert" {
            (plural(report.unknown as u64, "file of a kind that is", "files of kinds that are")) " not understood here; look at "
            (if report.unknown == 1 { "it" } else { "them" }) " yourself."
        } }
        @if report.partly > 0 { p class="notice warn" role="alert" {
            (plural(report.partly as u64, "file", "files")) " could not be looked through wholly: parts are packed, locked or too long. Look at "
            (if report.partly == 1 { "it" } else { "them" }) " yourself."
        } }
        @if report.unseen > 0 { p class="quiet" { (plural(report.unseen as u64, "file was", "files were")) " not looked at." } }
        p class="quiet" { "Pictures, sounds, films, PDF and office files were searched for the usual remarks. What can be seen or read in them is for you to judge." }
        (frame.form(&format!("{path}/publish"), "card", &html! {
            (about_fields(share))
            div class="actions" {
                @if cleanable { button type="submit" formaction={ (path) "/clean" } class="main" { "Publish a cleaned copy" } }
                button type="submit" class=[(!cleanable).then_some("main")] { "Publish as it is" }
            }
        }))
        @if cleanable {
            p { small {
                "The copy lies beside the original, under the name “" (cleaned_name(&share.name, share.files == 1)) "”. Your own files stay as they are. "
                "Files that cannot be cleaned go into it unchanged."
            } }
        }
    })
}

/// What is said about a share in public besides its name.
fn about_fields(share: &Share) -> Markup {
    html! {
        (field("tags", "Tags", "Separated by commas. With the words of the name and the line below, people find it by these.", &html! {
            input id="tags" name="tags" value=(share.tags) maxlength=(MAX_TAGS) aria-describedby="tags-hint";
        }))
        (field("text", "One line about it", "", &html! { input id="text" name="text" value=(share.text) maxlength=(MAX_TEXT); }))
    }
}

/// What is said about a public share, to be changed.
pub(super) fn said(share: &Share, frame: &Frame) -> Markup {
    html! {
        section aria-labelledby="about-title" {
            h2 id="about-title" { "What is said about it" }
            (frame.form(&format!("/shares/{}/publish", share.info_hash), "card", &html! {
                (about_fields(share))
                p { button type="submit" name="again" value="yes" { "Save" } }
            }))
        }
    }
}

/// The question before a share is private again.
pub(super) fn retreat(share: &Share, frame: &Frame) -> Markup {
    let path = format!("/shares/{}", share.info_hash);
    let question = Question {
        title: "Make it private again?",
        here: "/shares",
        action: &format!("{path}/unpublish"),
        fields: &[],
        yes: "Make it private now",
        no: ("Leave it public", &path),
    };
    let cost = html! {
        p { b { (share.name) } " leaves the public catalogue and gets a new link, which only those have to whom you give it." }
        p class="notice warn" role="alert" { "Its public link is dead for good. What was fetched by it cannot be taken back." }
    };
    question.page(&cost, frame)
}

fn findings(report: &Report) -> Markup {
    html! {
        (table("What the files tell", &html! {
            thead { tr { th scope="col" { "File" } th scope="col" { "Tells" } th scope="col" { "Can be cleaned" } } }
            tbody { @for finding in &report.findings { tr {
                th scope="row" { (finding.path.file_name().unwrap_or_default().to_string_lossy()) }
                td { (words(&finding.traces)) }
                td { @if finding.cleanable { (badge("good", "yes")) } @else { (badge("warn", "no")) } }
            } } }
        }))
        @if report.more > 0 { p class="quiet" { "And " (report.more) " more." } }
    }
}

fn words<'a>(traces: impl IntoIterator<Item = &'a Trace>) -> String {
    traces.into_iter().map(|trace| trace.words()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::scratch::Scratch;

    const PICTURE: &[u8] = b"\xff\xd8\xff\xfe\0\x07alice\xff\xda\0\x02picture\xff\xd9";

    fn share(name: &str) -> Share {
        Share { name: name.into(), ..Share::default() }
    }

    #[test]
    fn a_cleaned_copy_lies_beside_the_original_and_leaves_it_alone() {
        let scratch = Scratch::new("publish");
        let album = scratch.path().join("album");
        fs::create_dir_all(album.join("deep")).unwrap();
        let sources = [album.join("deep/picture.jpg"), album.join("text.txt")];
        fs::write(&sources[0], PICTURE).unwrap();
        fs::write(&sources[1], "words").unwrap();
        let roots = [scratch.path().to_owned()];
        let copied = copy(&share("album"), &sources, &roots).unwrap();
        assert_eq!(copied, scratch.path().join("album, cleaned"));
        let picture = fs::read(copied.join("deep/picture.jpg")).unwrap();
        assert!(
            !picture.windows(5).any(|window| window == b"alice") && picture.ends_with(b"picture\xff\xd9")
        );
        assert_eq!(fs::read(copied.join("text.txt")).unwrap(), b"words");
        assert_eq!(fs::read(&sources[0]).unwrap(), PICTURE);
        assert!(copy(&share("album"), &sources, &roots).unwrap_err().contains("exists already"));
        let single = copy(&share("picture.jpg"), &sources[..1], &roots).unwrap();
        assert_eq!(single, album.join("deep/picture, cleaned.jpg"));
        assert!(copy(&share("album"), &sources, &[album]).unwrap_err().contains("allow it in Settings"));
    }

    #[test]
    fn files_that_are_not_understood_are_not_called_clean() {
        let shown = |looked, unknown| {
            let report = Report { looked, unknown, ..Report::default() };
            page(&share("album"), &report, None, &Frame::default()).into_string()
        };
        let two = shown(2, 2);
        assert!(two.contains("2 files of kinds that are not understood here; look at them yourself"));
        assert!(!two.contains("Nothing was found"), "{two}");
        let some = shown(3, 1);
        assert!(some.contains("Nothing was found in 2 files") && some.contains("1 file of a kind"), "{some}");
        let packed = Report { looked: 1, partly: 1, ..Report::default() };
        let packed = page(&share("album"), &packed, None, &Frame::default()).into_string();
        assert!(packed.contains("1 file could not be looked through wholly"), "{packed}");
        assert!(!packed.contains("Nothing was found"), "{packed}");
    }

    #[test]
    fn what_was_shared_is_found_again() {
        let paths = ["/a/b/b/c", "/a/b/d"].map(PathBuf::from);
        assert_eq!(origin("b", &paths), None, "the nearest b holds only one of them");
        assert_eq!(origin("a", &paths), Some(("/a".into(), false)));
        assert_eq!(origin("x", &paths), None);
        assert_eq!(
            [cleaned_name("a.b.jpg", true), cleaned_name("a.b", false), cleaned_name(".x", true)],
            ["a.b, cleaned.jpg", "a.b, cleaned", ".x, cleaned"]
        );
    }
}
