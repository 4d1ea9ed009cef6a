//! What is refused.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use bulbil_tests::browser::{Browser, Look};
use bulbil_tests::wait::eventually;

use super::everybody::must_suit;
use super::{SOON, Stage, must_show};

pub(crate) fn refusals(stage: &Stage, browser: &Browser) {
    let port = stage.port();
    let map = "--host-resolver-rules=MAP evil.example 127.0.0.1".to_owned();
    let stranger = Browser::start(&Look { more: vec![map], ..Look::default() }).unwrap();
    stranger.go(&format!("http://evil.example:{port}/")).unwrap();
    assert!(stranger.source().unwrap().contains("open this page by its own address"));
    // A page on another port of this machine sends a form in the name of who is signed in.
    let before = stage.board.status().unwrap();
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", trap.local_addr().unwrap());
    let form = format!(
        "<form method=post action={}><input name=audience value=password></form><script>document.forms[0].submit()</script>",
        stage.at("/settings/access")
    );
    let server = std::thread::spawn(move || serve_once(&trap, &form));
    browser.go(&address).unwrap();
    server.join().unwrap();
    eventually(SOON, "the answer", || browser.url().is_ok_and(|url| url.contains("/settings/access")))
        .unwrap();
    assert!(browser.source().unwrap().contains("another page sent this"), "{}", browser.source().unwrap());
    // The right page, with another token.
    stage.open(browser, "/settings");
    browser.run("for (const token of document.querySelectorAll('[name=token]')) token.value = 'x'").unwrap();
    browser.press("Save").unwrap();
    must_show(browser, "This form is out of date");
    must_suit(browser, "a form that is out of date");
    for (header, status) in [("Host: evil.example", "421"), ("Host: 127.0.0.1:1", "421")] {
        assert!(raw(port, header).starts_with(&format!("HTTP/1.1 {status}")), "{header}");
    }
    assert_eq!(stage.board.status().unwrap()["shares"], before["shares"]);
}

fn serve_once(listener: &TcpListener, page: &str) {
    let (mut stream, _) = listener.accept().unwrap();
    let mut head = [0; 4096];
    _ = stream.read(&mut head).unwrap();
    let length = page.len();
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n{page}")
        .unwrap();
}

fn raw(port: u16, header: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    write!(stream, "GET / HTTP/1.1\r\n{header}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
