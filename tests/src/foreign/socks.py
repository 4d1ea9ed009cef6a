"""Each client against each target: the body of the answer, or the reply code of the proxy in hexadecimal."""
import concurrent.futures
import json
import re
import socket
import sys

import socks
from python_socks import ProxyError
from python_socks.sync import Proxy

PROXY, TARGETS = int(sys.argv[1]), json.loads(sys.argv[2])
CLIENTS = sys.argv[3].split(",")
PATHS = {target[0]: target[3] for target in TARGETS if len(target) > 3}
LIMIT = 100


def talk(stream, case):
    stream.settimeout(LIMIT)
    stream.sendall(f"GET {PATHS.get(case, '/hello')} HTTP/1.0\r\n\r\n".encode())
    if case == "half-close":
        stream.shutdown(socket.SHUT_WR)
    answer = b""
    while part := stream.recv(65536):
        answer += part
        if b"\r\n\r\n" in answer:
            break
    body = answer.split(b"\r\n\r\n", 1)[-1]
    if case == "stream":
        count = len(body)
        while part := stream.recv(1 << 18):
            count += len(part)
        return str(count)
    while part := stream.recv(65536):
        body += part
    return body.decode()


def pysocks(host, port, case):
    stream = socks.socksocket()
    stream.set_proxy(socks.SOCKS5, "127.0.0.1", PROXY, True, "pysocks", "x")
    stream.settimeout(LIMIT)
    try:
        stream.connect((host, port))
        return talk(stream, case)
    except socks.ProxyError as why:
        return (re.search("0x[0-9a-f]+", str(why)) or [str(why)])[0]


def python_socks(host, port, case):
    try:
        stream = Proxy.from_url(f"socks5://python:x@127.0.0.1:{PROXY}", rdns=True).connect(host, port, timeout=LIMIT)
        return talk(stream, case)
    except ProxyError as why:
        return hex(why.error_code) if why.error_code is not None else str(why)


def plain(host, port, case):
    """Bytes by hand, which knows every code."""
    stream = socket.create_connection(("127.0.0.1", PROXY), LIMIT)
    name = host.encode()
    stream.sendall(b"\5\1\0")
    assert stream.recv(2) == b"\5\0"
    stream.sendall(b"\5\1\0\3" + bytes([len(name)]) + name + port.to_bytes(2, "big"))
    reply = b""
    while len(reply) < 10:
        part = stream.recv(10 - len(reply))
        if not part:
            return "closed"
        reply += part
    return hex(reply[1]) if reply[1] else talk(stream, case)


def attempt(client, case, host, port):
    try:
        return client(host, port, case)
    except Exception as why:
        return repr(why)


with concurrent.futures.ThreadPoolExecutor(64) as pool:
    jobs = {
        (client.__name__, case): pool.submit(attempt, client, case, host, port)
        for client in (pysocks, python_socks, plain)
        if client.__name__ in CLIENTS
        for case, host, port, *_ in TARGETS
    }
    result = {}
    for (client, case), job in jobs.items():
        result.setdefault(client, {})[case] = job.result()
print(json.dumps(result))
