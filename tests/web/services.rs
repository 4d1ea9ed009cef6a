//! Services in front of other programs.

use bulbil_tests::browser::Browser;

use super::{Stage, must_show};

/// A key is shown once, with its code, and then never again.
pub(crate) fn give_out_a_key(stage: &Stage, browser: &Browser) {
    browser.press("Services").unwrap();
    must_show(browser, "shop");
    browser.fill("#client-0", "Bob").unwrap();
    browser.press("Give out a key").unwrap();
    must_show(browser, "The key of Bob");
    let key = browser.read(".link code.select").unwrap();
    assert!(key.contains(":descriptor:x25519:"), "{key}");
    let code =
        browser.run("const code = document.querySelector('.link img'); return [code.src, code.naturalWidth]");
    let code = code.unwrap();
    assert!(code[1].as_u64().unwrap() > 100, "{code}");
    stage.keep(browser, "client-key");
    browser.go(code[0].as_str().unwrap()).unwrap();
    must_show(browser, "Nothing here");
    stage.open(browser, "/services");
    must_show(browser, "Bob");
    assert!(!browser.source().unwrap().contains("descriptor:x25519"));
    stage.keep(browser, "services");
    browser.press("Open it to everybody").unwrap();
    must_show(browser, "All keys that were given out are forgotten");
    stage.keep(browser, "opening");
    browser.press("Leave it closed").unwrap();
    browser.press("Shut out").unwrap();
    must_show(browser, "Saved.");
}
