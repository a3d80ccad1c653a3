"""Writes a PSKC file with python-pskc: mode, transport key (hex), then `id serial secret-hex algorithm` a line on stdin."""
import sys
from pskc import PSKC
mode, key = sys.argv[1], bytes.fromhex(sys.argv[2])
pskc = PSKC()
pskc.encryption.setup_preshared_key(key=key, key_name='maker-2026', algorithm=mode, fields=['secret'])
if len(sys.argv) > 3:
    pskc.mac.setup(algorithm=sys.argv[3])
for line in sys.stdin:
    id, serial, secret, algorithm = line.split()
    added = pskc.add_key(id=id, serial=serial, secret=bytes.fromhex(secret))
    added._algorithm = added.algorithm = algorithm
sys.stdout.flush()
pskc.write(sys.stdout.buffer)
