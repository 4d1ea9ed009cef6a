//! Callers from the network, and tunnels that hold a place for nothing.

use super::*;

#[tokio::test]
async fn a_picture_of_a_foreign_page_fetches_nothing_over_the_lan() {
    let house = House::open("open = true", OK).await;
    let get = |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nHost: 192.168.1.9:3080\r\n{more}\r\n");
    let picture = "User-Agent: Mozilla/5.0 (X11)\r\nAccept: image/avif,*/*\r\nAccept-Language: de\r\n";
    for path in [PROXIED, "/ip", "/verify-tor"] {
        let said = house.say(&get(path, picture)).await;
        assert!(code(&said) == 403 && said.contains("X-Bulbil-Program: 1"), "{said}");
    }
    assert!(house.asked().is_empty());
    assert_eq!(code(&house.say(&get("/health", picture)).await), 200);
    for more in ["User-Agent: curl/8.14.1\r\n", &format!("{picture}X-Bulbil-Program: 1\r\n")] {
        assert_eq!(code(&house.say(&get(PROXIED, more)).await), 200);
    }
    assert!(
        house.asked().iter().all(|asked| !asked.to_lowercase().contains("bulbil")),
        "{:?}",
        house.asked()
    );
}

#[tokio::test]
async fn a_silent_tunnel_gives_its_place_back() {
    let house = House::open("tunnel_idle = 1\nmax_connections = 1", OK).await;
    let mut server = house.memory.listen_outside("mute.org".parse::<Host>().unwrap(), 443);
    let mut client = TcpStream::connect(house.address).await.unwrap();
    client.write_all(b"CONNECT mute.org:443 HTTP/1.1\r\nHost: mute.org:443\r\n\r\n").await.unwrap();
    let _far = server.accept().await.unwrap();
    let mut said = Vec::new();
    timeout(Duration::from_secs(10), client.read_to_end(&mut said)).await.unwrap().unwrap();
    assert!(said.starts_with(b"HTTP/1.1 200"));
    assert_eq!(house.view().errors.get("tunnel_idle"), Some(&1));
    assert_eq!(code(&house.get("/health", "").await), 200);
}
