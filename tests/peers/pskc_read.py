"""Reads a PSKC file on stdin with python-pskc: transport key (hex); prints `id serial algorithm secret-hex` a line."""
import sys
from pskc import PSKC
pskc = PSKC(sys.stdin.buffer)
pskc.encryption.key = bytes.fromhex(sys.argv[1])
for key in pskc.keys:
    assert key.check() in (True, None)
    print(key.id, key.serial, key.algorithm, key.secret.hex())
