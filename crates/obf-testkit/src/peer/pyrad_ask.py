"""One Access-Request by pyrad. Standard input: JSON with host, port, secret, dictionary, attributes."""

import io
import json
import sys

from pyrad.client import Client, Timeout
from pyrad.dictionary import Dictionary

asked = json.load(sys.stdin)
client = Client(
    server=asked["host"],
    authport=asked["port"],
    secret=asked["secret"].encode(),
    dict=Dictionary(io.StringIO(asked["dictionary"])),
)
client.retries = 3
client.timeout = 2
client.enforce_ma = True

request = client.CreateAuthPacket()
for name, values in asked["attributes"].items():
    for value in values if isinstance(values, list) else [values]:
        if isinstance(value, str) and value.startswith("0x"):
            value = bytes.fromhex(value[2:])
        request.AddAttribute(name, value)
request.add_message_authenticator()

try:
    reply = client.SendPacket(request)
except Timeout:
    print(json.dumps({"code": None, "attributes": {}}))
    sys.exit()

shown = {}
for name in reply.keys():
    values = []
    for value in reply[name]:
        values.append("0x" + value.hex() if isinstance(value, bytes) else value)
    shown[str(name)] = values
print(json.dumps({"code": reply.code, "attributes": shown}))
