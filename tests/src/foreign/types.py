"""Asks for each [name, type] over UDP or TCP, as programs do that use dnspython: the text of the only record."""
import json
import sys

import dns.message
import dns.query

PORT, WAY, QUESTIONS = int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
LIMIT = 30

result = {}
for name, kind in QUESTIONS:
    question = dns.message.make_query(name, kind)
    ask = dns.query.tcp if WAY == "TCP" else dns.query.udp
    answer = ask(question, "127.0.0.1", timeout=LIMIT, port=PORT)
    result[kind] = " ".join(record.to_text() for rrset in answer.answer for record in rrset)
print(json.dumps(result))
