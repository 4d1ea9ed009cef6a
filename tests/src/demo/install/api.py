"""A web API as people put behind an onion service: answers JSON, takes JSON, and asks the world through TOR_PROXY_URL."""

import json
import os
import socket
import sys
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def through_tor(url):
    """The body at `url`, by SOCKS5 with the name left to the proxy (RFC 1928)."""
    proxy = urllib.parse.urlsplit(os.environ["TOR_PROXY_URL"])
    target = urllib.parse.urlsplit(url)
    name = target.hostname.encode()
    with socket.create_connection((proxy.hostname, proxy.port), 30) as stream:
        reader = stream.makefile("rb")
        stream.sendall(b"\x05\x01\x00")
        if reader.read(2) != b"\x05\x00":
            raise OSError("the proxy wants a password")
        stream.sendall(b"\x05\x01\x00\x03" + bytes([len(name)]) + name + target.port.to_bytes(2, "big"))
        reply = reader.read(10)
        if reply[1] != 0:
            raise OSError(f"the proxy says {reply[1]}")
        stream.sendall(f"GET {target.path} HTTP/1.0\r\nHost: {target.netloc}\r\n\r\n".encode())
        return reader.read().split(b"\r\n\r\n", 1)[1].decode()


class Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        path, _, query = self.path.partition("?")
        if path == "/v1/info":
            self.answer(200, {"name": "an api behind an onion", "host": self.headers["Host"]})
        elif path == "/v1/outside":
            try:
                self.answer(200, {"outside": through_tor(urllib.parse.parse_qs(query)["url"][0])})
            except (OSError, KeyError, IndexError) as error:
                self.answer(502, {"error": str(error)})
        else:
            self.answer(404, {"error": "no such path"})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(201, {"echo": body})


for port in sys.argv[2:]:
    threading.Thread(target=ThreadingHTTPServer(("", int(port)), Api).serve_forever).start()
ThreadingHTTPServer(("", int(sys.argv[1])), Api).serve_forever()
