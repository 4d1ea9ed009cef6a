//! What is said about a public share.

use super::*;
use crate::node::About;

fn about(tags: Option<&str>, text: Option<&str>) -> About {
    About { tags: tags.map(Into::into), text: text.map(Into::into) }
}

#[tokio::test]
async fn a_share_is_found_by_what_is_said_about_it() {
    play(async {
        let (network, after) = (Memory::new(), Memory::new());
        let [anna, bert] = ["anna", "bert"].map(|name| Player::start(&network, name));
        let share = anna.share("deltas.bin", false).await;
        let publish = |tags, text| anna.node.publish_about(share.info_hash.clone(), about(tags, text));
        let first = publish(Some("maps, rivers"), Some("Drawn in 1890.")).await.unwrap();
        assert_eq!((first.tags.as_str(), first.text.as_str()), ("maps,rivers", "Drawn in 1890."));
        bert.mirror(&anna, true).await;
        let hit = bert.search("MAPS 1890 deltas").await.remove(0);
        assert_eq!((hit.tags.as_str(), hit.text.as_str()), ("maps,rivers", "Drawn in 1890."));
        // Changed where it is, and pushed to who follows; the link stays.
        let second = publish(Some("charts"), None).await.unwrap();
        assert_eq!((&second.link, second.text.as_str()), (&first.link, "Drawn in 1890."));
        until_found(&bert, "charts 1890", 1).await;
        until_found(&bert, "maps", 0).await;
        assert_eq!(publish(None, None).await.unwrap(), second, "nothing new is said");
        let refused = publish(None, Some(&"x".repeat(401))).await.unwrap_err();
        assert!(matches!(&refused, NodeError::Bad(why) if why.contains("400 bytes")), "{refused}");
        assert_eq!(anna.node.status().shares.len(), 1, "and the share is where it was");
        anna.node.stop().await.unwrap();
        let Player { folder, task, .. } = anna;
        task.abort();
        let anna = Player::start_with(&after, folder, Config::default());
        let status = until(&anna.node, |status| !status.shares.is_empty()).await;
        assert_eq!(
            (status.shares[0].tags.as_str(), status.shares[0].text.as_str()),
            ("charts", "Drawn in 1890.")
        );
        assert_eq!(anna.search("charts").await.len(), 1);
        // Kept for the next time while it is private, and told to nobody.
        let private = anna.node.unpublish(share.info_hash.clone()).await.unwrap();
        assert_eq!((private.tags.as_str(), anna.search("charts").await.len()), ("charts", 0));
        let public = anna.node.publish_about(share.info_hash.clone(), about(Some(""), None)).await.unwrap();
        assert_eq!((public.tags.as_str(), public.text.as_str()), ("", "Drawn in 1890."));
    })
    .await;
}
