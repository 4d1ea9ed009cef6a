"""A program that knows nothing of proxies: the body of the answer, how much came, or the name of the error."""
import errno
import json
import socket
import sys

LIMIT = 100


def attempt(case, host, port, path="/hello"):
    stream = socket.create_connection((host, port), LIMIT)
    stream.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
    if case == "half-close":
        stream.shutdown(socket.SHUT_WR)
    answer = stream.makefile("rb")
    while answer.readline().strip():
        pass
    if case != "stream":
        return answer.read().decode()
    count = 0
    while part := answer.read(1 << 18):
        count += len(part)
    return str(count)


result = {}
for case, *target in json.loads(sys.argv[1]):
    try:
        result[case] = attempt(case, *target)
    except OSError as why:
        result[case] = errno.errorcode.get(why.errno, repr(why))
print(json.dumps(result))
