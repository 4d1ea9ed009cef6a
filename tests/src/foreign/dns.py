"""Asks all questions on one connection, then reads all answers, in whatever order."""
import json
import socket
import sys

import dns.message
import dns.rcode

PORT, QUESTIONS = int(sys.argv[1]), int(sys.argv[2])

stream = socket.create_connection(("127.0.0.1", PORT), 60)
asked = {}
sent = b""
for number in range(QUESTIONS):
    question = dns.message.make_query(f"host{number}.test", "A")
    question.id = number
    asked[number] = question
    wire = question.to_wire()
    sent += len(wire).to_bytes(2, "big") + wire
stream.sendall(sent)


def read(count):
    got = b""
    while len(got) < count:
        part = stream.recv(count - len(got))
        if not part:
            raise EOFError(f"{len(asked)} questions unanswered")
        got += part
    return got


right = 0
while asked:
    answer = dns.message.from_wire(read(int.from_bytes(read(2), "big")))
    question = asked.pop(answer.id)
    assert question.is_response(answer)
    right += answer.rcode() == dns.rcode.NOERROR and len(answer.answer) == 1
print(json.dumps(right))
