use super::*;

const SITE: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";

/// What a caller may not be led to, in every notation that some parser somewhere takes.
pub(in crate::proxy::http) const REFUSED: &[&str] = &[
    // loopback, plain and disguised
    "http://127.0.0.1/",
    "http://127.0.0.1:80/",
    "http://127.1/",
    "http://127.0.1/",
    "http://127.255.255.254/",
    "http://2130706433/",
    "http://017700000001/",
    "http://0x7f000001/",
    "http://0x7F.0x0.0x0.0x1/",
    "http://0177.0.0.1/",
    "http://0177.0.0.01/",
    "http://00000177.0.0.1/",
    "http://0x7f.1/",
    "http://127.0x0.0.1/",
    "http://127.0.0.1./",
    "http://127.0.0.0/",
    "http://%31%32%37%2e%30%2e%30%2e%31/",
    "http://127%2E0%2E0%2E1/",
    "http://①②⑦.⓪.⓪.①/",
    "http://１２７.０.０.１/",
    "http://127。0。0。1/",
    "http://127.0.0.1%00.example.com/",
    "http://4294967295/",
    "http://4294967296/",
    "http://0/",
    "http://0.0.0.0/",
    "http://0.0.0.0:80/",
    "http://[::]/",
    "http://[0:0:0:0:0:0:0:0]/",
    "http://[::1]/",
    "http://[0000::1]:80/",
    "http://[::1%25lo]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b::127.0.0.1]/",
    "http://[64:ff9b:1::10.0.0.1]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:c0a8:0101::1]/",
    "http://[2001:0:7f00:1::]/",
    "http://[2001:db8::1]/",
    "http://[2a00:1450:4001:80e:0:5efe:127.0.0.1]/",
    "http://[fe80::1]/",
    "http://[fec0::1]/",
    "http://[fc00::1]/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://[ff02::1]/",
    "http://[100::1]/",
    // private networks
    "http://10.0.0.1/",
    "http://10.1/",
    "http://167772161/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.1.1/",
    "http://0xc0a80101/",
    "http://3232235777/",
    "http://100.64.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/",
    "http://0251.0376.0251.0376/",
    "http://169.254.169.254.nip.io/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://192.0.0.192/opc/v2/",
    "http://100.100.100.200/latest/meta-data/",
    "http://198.18.0.1/",
    "http://203.0.113.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    // names
    "http://localhost/",
    "http://LOCALHOST/",
    "http://localhost./",
    "http://localhost:3090/",
    "http://a.localhost/",
    "http://localhost.localdomain/",
    "http://ip6-localhost/",
    "http://ⓛocalhost/",
    "http://loc\u{ad}alhost/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://metadata/",
    "http://printer.local/",
    "http://router.lan/",
    "http://router.home.arpa/",
    "http://kubernetes.default.svc.cluster.local/",
    "http://intranet/",
    "http://127.0.0.1.nip.io/",
    "http://www.10.0.0.1.sslip.io/",
    "http://localtest.me/",
    "http://a.lvh.me/",
    "http://www.example.com.node.exit/",
    // userinfo
    "http://www.torproject.org@127.0.0.1/",
    "http://127.0.0.1@www.torproject.org/",
    "http://127.0.0.1#@www.torproject.org/",
    "http://www.torproject.org:80@127.0.0.1:80/",
    "http://user:password@www.torproject.org/",
    "http://@www.torproject.org/",
    "http://www.torproject.org%40127.0.0.1/",
    // letters that a parser may read otherwise
    "http://127.0.0.1\\@www.torproject.org/",
    "http://www.torproject.org\\@127.0.0.1/",
    "http:\\\\127.0.0.1/",
    "http:/127.0.0.1/",
    "http:127.0.0.1/",
    "http:///127.0.0.1/",
    "//127.0.0.1/",
    "http://www.torproject.org/\r\nHost: 127.0.0.1",
    "http://www.torproject.org/ HTTP/1.1\r\nX: y",
    "http://www.torproject.org\r\n/",
    "http://www.torproject.org\t/",
    "ht\ntp://127.0.0.1/",
    " http://127.0.0.1/",
    "http://www.torproject.org%0d%0a/",
    "http://www.torproject.org%00/",
    "http://www.torproject.org%2f@127.0.0.1/",
    "http://[::1/",
    "http://[127.0.0.1]/",
    "http://a..b/",
    "http:// /",
    "http://xn--/",
    "http://www.torproject.org:0/",
    "http://www.torproject.org:99999/",
    "http://www.torproject.org:-1/",
    "http://www.torproject.org:80:80/",
    // other schemes and protocols
    "file:///etc/passwd",
    "file://localhost/etc/passwd",
    "ftp://www.torproject.org/",
    "gopher://127.0.0.1:6379/_INFO",
    "dict://127.0.0.1:11211/stat",
    "ldap://127.0.0.1/",
    "jar:http://127.0.0.1!/",
    "data:text/html,x",
    "javascript:alert(1)",
    "ws://www.torproject.org/",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/info",
    "http://www.torproject.org:22/",
    "http://www.torproject.org:25/",
    "https://www.torproject.org:6667/",
    "http://short.onion/",
    "",
    "http",
    "http://",
];

#[test]
fn private_targets_are_refused_in_every_notation() {
    assert!(REFUSED.len() >= 60);
    let let_in: Vec<_> = REFUSED.iter().filter(|text| of_url(text, false).is_ok()).collect();
    assert!(let_in.is_empty(), "{let_in:#?}");
    assert_eq!(of_url(&format!("http://a.org/{}", "x".repeat(MAX_URL)), false), Err(BadTarget::Long));
}

#[test]
fn public_targets_are_let_through() {
    let onion = format!("http://{SITE}/index.html");
    for text in [
        "https://www.torproject.org/",
        "HTTP://www.torproject.org",
        "http://www.torproject.org:8080/a?b=c&d=%20#e",
        "http://www.torproject.org/@user",
        "http://www.torproject.org/?to=me@here",
        "http://1.1.1.1/",
        "https://[2606:4700:4700::1111]/",
        "https://bücher.de/",
        "https://xn--bcher-kva.de/",
        "http://my-home.org/",
        "http://localhost.org/",
        onion.as_str(),
    ] {
        assert!(of_url(text, false).is_ok(), "{text}");
    }
}

#[test]
fn tunnels_are_checked_alike() {
    for text in [
        "127.0.0.1:443",
        "2130706433:443",
        "0x7f.1:443",
        "[::1]:443",
        "[::ffff:127.0.0.1]:443",
        "0.0.0.0:80",
        "localhost:443",
        "localhost.:443",
        "printer.local:443",
        "①②⑦.⓪.⓪.①:443",
        "a@www.torproject.org:443",
        "www.torproject.org",
        "www.torproject.org:",
        "www.torproject.org:0",
        "www.torproject.org:25",
        "www.torproject.org:+443",
        "www.torproject.org:99999",
        "www.torproject.org:443/",
        "http://www.torproject.org:443",
        ":443",
        "router:443",
        "[64:ff9b::7f00:1]:443",
        "10.0.0.1.nip.io:443",
        "www.torproject.org\r\n:443",
        "w ww.torproject.org:443",
    ] {
        assert!(of_authority(text, false).is_err(), "{text}");
    }
    let reached = of_authority("WWW.TorProject.org:22", false);
    assert_eq!(reached, Ok(("www.torproject.org".to_owned(), 22)));
    assert_eq!(of_authority("[2606:4700::1]:443", false), Ok(("[2606:4700::1]".to_owned(), 443)));
    assert!(of_authority(&format!("{SITE}:80"), false).is_ok());
}

#[test]
fn a_test_network_may_lead_to_loopback() {
    for text in [
        "http://127.0.0.1:8080/",
        "http://localhost:8080/",
        "http://[::1]:8080/",
        "http://www.local.test:8080/",
    ] {
        assert!(of_url(text, true).is_ok(), "{text}");
    }
    for text in
        ["http://0.0.0.0:8080/", "http://[::]:8080/", "file:///etc/passwd", "http://a@127.0.0.1:8080/"]
    {
        assert!(of_url(text, true).is_err(), "{text}");
    }
}
