#!/usr/bin/env python3
"""Recomputes every worked example of docs/wires.md with the standard library alone, and compares its tables with
docs/dictionary.obf. It shares nothing with the Rust code. Exit 0 if every example holds; it prints each that does not.
Another page can be named as argument.

An example is a fenced block whose first line is ```example NAME. Lines are `key = value`; a value is a JSON string
(text), `#` and a number, a name of docs/dictionary.obf, or hex octets, continued on indented lines. Lines that begin
with `->` are results."""

import base64
import hashlib
import hmac
import json
import pathlib
import re
import struct
import sys

HERE = pathlib.Path(__file__).resolve().parent


def hmac_sha256(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


# --- AES-128 and Milenage (FIPS 197, TS 35.206) ---------------------------------------------------------------------

def aes_tables():
    sbox, p, q = [0] * 256, 1, 1
    while True:
        p = p ^ ((p << 1) & 0xFF) ^ (0x1B if p & 0x80 else 0)
        q ^= q << 1
        q ^= q << 2
        q ^= q << 4
        q &= 0xFF
        if q & 0x80:
            q ^= 0x09
        rotations = [((q << n) | (q >> (8 - n))) & 0xFF for n in range(5)]
        value = 0x63
        for rotation in rotations:
            value ^= rotation
        sbox[p] = value
        if p == 1:
            break
    sbox[0] = 0x63
    return sbox


SBOX = aes_tables()


def double(x):
    return ((x << 1) ^ (0x11B if x & 0x80 else 0)) & 0xFF


def aes128(key, block):
    words = [list(key[i:i + 4]) for i in range(0, 16, 4)]
    rcon = 1
    for i in range(4, 44):
        word = list(words[i - 1])
        if i % 4 == 0:
            word = [SBOX[b] for b in word[1:] + word[:1]]
            word[0] ^= rcon
            rcon = double(rcon)
        words.append([a ^ b for a, b in zip(words[i - 4], word)])
    keys = [sum(words[4 * r:4 * r + 4], []) for r in range(11)]
    state = [a ^ b for a, b in zip(block, keys[0])]
    for round_number in range(1, 11):
        state = [SBOX[b] for b in state]
        state = [state[(i + 4 * (i % 4)) % 16] for i in range(16)]
        if round_number < 10:
            mixed = []
            for c in range(0, 16, 4):
                col = state[c:c + 4]
                for i in range(4):
                    a, b, d, e = (col[(i + n) % 4] for n in range(4))
                    mixed.append(double(a) ^ double(b) ^ b ^ d ^ e)
            state = mixed
        state = [a ^ b for a, b in zip(state, keys[round_number])]
    return bytes(state)


def milenage(k, opc, rand, sqn, amf):
    temp = aes128(k, xor(rand, opc))

    def out(block, rotation, constant):
        turned = block[rotation // 8:] + block[:rotation // 8]
        turned = turned[:15] + bytes([turned[15] ^ constant])
        return xor(aes128(k, turned), opc)

    in1 = (sqn + amf) * 2
    turned = xor(in1, opc)
    turned = turned[8:] + turned[:8]
    out1 = xor(aes128(k, xor(temp, turned)), opc)
    base = xor(temp, opc)
    out2, out3, out4, out5 = out(base, 0, 1), out(base, 32, 2), out(base, 64, 4), out(base, 96, 8)
    return {"mac_a": out1[:8], "mac_s": out1[8:], "res": out2[8:], "ak": out2[:6], "ck": out3, "ik": out4, "ak_star": out5[:6]}


# --- XChaCha20-Poly1305 (RFC 8439, draft-irtf-cfrg-xchacha) ----------------------------------------------------------

def chacha_rounds(state):
    def quarter(a, b, c, d):
        for x, y, z, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            state[x] = (state[x] + state[y]) & 0xFFFFFFFF
            mixed = state[z] ^ state[x]
            state[z] = ((mixed << turn) | (mixed >> (32 - turn))) & 0xFFFFFFFF

    for _ in range(10):
        for column in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)):
            quarter(*column)
        for diagonal in ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
            quarter(*diagonal)
    return state


CONSTANTS = list(struct.unpack("<4I", b"expand 32-byte k"))


def chacha20_block(key, counter, nonce):
    start = CONSTANTS + list(struct.unpack("<8I", key)) + [counter] + list(struct.unpack("<3I", nonce))
    end = chacha_rounds(list(start))
    return struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(start, end)))


def xchacha20_poly1305(key, nonce, associated, content):
    state = chacha_rounds(CONSTANTS + list(struct.unpack("<8I", key)) + list(struct.unpack("<4I", nonce[:16])))
    subkey = struct.pack("<8I", *(state[:4] + state[12:]))
    nonce = bytes(4) + nonce[16:]
    sealed = b"".join(
        xor(content[at:at + 64], chacha20_block(subkey, 1 + at // 64, nonce)) for at in range(0, len(content), 64))

    def padded(data):
        return data + bytes(-len(data) % 16)

    mac_key = chacha20_block(subkey, 0, nonce)
    r = int.from_bytes(mac_key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    s = int.from_bytes(mac_key[16:32], "little")
    data = padded(associated) + padded(sealed) + struct.pack("<QQ", len(associated), len(sealed))
    tag = 0
    for at in range(0, len(data), 16):
        tag = (tag + int.from_bytes(data[at:at + 16] + b"\x01", "little")) * r % ((1 << 130) - 5)
    return sealed + ((tag + s) % (1 << 128)).to_bytes(16, "little")


# --- Tokens and keys ---------------------------------------------------------------------------------------------------

def kdf(ks, function_code, parameters):
    s = function_code
    for parameter in parameters:
        s += parameter + struct.pack(">H", len(parameter))
    return hmac_sha256(ks, s)


def naf_id(e):
    return e["app"].encode() + e["ua"]


KINDS = {"imsi": 1, "impi": 2, "iccid": 3, "eid": 4, "imei": 5, "deveui": 6}


def example_token_id(e):
    token = base64.b64encode(e["rand"]).decode() + "@" + e["rs"] + "." + e["as-domain"]
    return {"id": token, "psk-identity": "3GPP-bootstrapping;" + token}


def example_gba_me(e):
    return {"key": kdf(e["ck"] + e["ik"], b"\x01", [b"gba-me", e["rand"], e["impi"].encode(), naf_id(e)])}


def example_obf_1(e):
    kind, value = e["identity"].split(":", 1)
    return {"key": kdf(e["ck"] + e["ik"], b"\xff\xf0", [
        b"obf-1", e["rand"], bytes([KINDS[kind]]) + value.encode(), naf_id(e), bytes([e["technology"]]),
        e["as-domain"].encode(), struct.pack(">Q", e["counter"]), bytes([e["mode"], e["algorithm"]])])}


def example_milenage(e):
    m = milenage(e["k"], e["opc"], e["rand"], e["sqn"], e["amf"])
    return {"autn": xor(e["sqn"], m["ak"]) + e["amf"] + m["mac_a"], "xres": m["res"], "ck": m["ck"], "ik": m["ik"]}


def example_auts(e):
    m = milenage(e["k"], e["opc"], e["rand"], e["sqn-ms"], bytes(2))
    return {"auts": xor(e["sqn-ms"], m["ak_star"]) + m["mac_s"]}


def example_sqn(e):
    ind = (e["as-node"] * e["rs-nodes"] + e["rs-node"]) % 32
    return {"ind": ind, "sqn": (e["seq"] << 5 | ind).to_bytes(6, "big")}


def example_envelope(e):
    sealed = xchacha20_poly1305(e["key"], e["nonce"], e["associated-data"].encode(), e["content"].encode())
    return {"envelope": struct.pack(">I", e["key-id"]) + e["nonce"] + sealed}


# --- RPB: Digest AKA (RFC 7616, 3310, 4169) -------------------------------------------------------------------------

def example_digest(e):
    nonce = base64.b64encode(e["rand"] + e["autn"]).decode()
    digest = {"AKAv1-MD5": hashlib.md5, "AKAv2-SHA-256": hashlib.sha256}[e["algorithm"]]

    def h(*parts):
        return digest(b":".join(parts)).hexdigest().encode()

    if "auts" in e:
        password = b""
    elif e["algorithm"].startswith("AKAv1"):
        password = e["res"]
    else:
        password = base64.b64encode(hmac.new(e["res"] + e["ik"] + e["ck"], b"http-digest-akav2-password", digest).digest())
    ha1 = h(e["username"].encode(), e["realm"].encode(), password)

    def proof(method, body):
        ha2 = h(method, e["uri"].encode(), h(body))
        return h(ha1, nonce.encode(), b"00000001", e["cnonce"].encode(), b"auth-int", ha2).decode()

    out = {"nonce": nonce, "response": proof(b"GET", b"")}
    if "auts" in e:
        out["auts-text"] = base64.b64encode(e["auts"]).decode()
    if "body" in e:
        out["rspauth"] = proof(b"", e["body"].encode())
    return out


# --- RADIUS (RFC 2865, 2548, 3579, 5176) -----------------------------------------------------------------------------

STANDARD = {"User-Name": (1, "string"), "Reply-Message": (18, "string"), "Session-Timeout": (27, "integer"),
            "NAS-Identifier": (32, "string"), "Event-Timestamp": (55, "integer"), "Error-Cause": (101, "integer")}
MPPE = {"MS-MPPE-Send-Key": 16, "MS-MPPE-Recv-Key": 17}


def dictionary():
    vendor, attributes, values = None, {}, {}
    for line in (HERE / "dictionary.obf").read_text().splitlines():
        words = line.split("#")[0].split()
        if words[:1] == ["VENDOR"]:
            vendor = int(words[2])
        elif words[:1] == ["ATTRIBUTE"]:
            attributes[words[1]] = (int(words[2]), words[3])
        elif words[:1] == ["VALUE"]:
            values[words[1], words[2]] = int(words[3])
    return vendor, attributes, values


VENDOR, ATTRIBUTES, VALUES = dictionary()


def octets_of(name, kind, value):
    if isinstance(value, str):
        return struct.pack(">I", VALUES[name, value]) if (name, value) in VALUES else value.encode()
    if isinstance(value, int):
        return struct.pack(">Q" if kind == "integer64" else ">I", value)
    return value


def vsa(vendor, number, value):
    return bytes([26, len(value) + 8]) + struct.pack(">I", vendor) + bytes([number, len(value) + 2]) + value


def attribute(name, value, secret, authenticator):
    if name in MPPE:
        plain, salt = value
        padded = bytes([len(plain)]) + plain
        padded += bytes(-len(padded) % 16)
        previous, hidden = authenticator + salt, b""
        for at in range(0, len(padded), 16):
            previous = xor(padded[at:at + 16], hashlib.md5(secret + previous).digest())
            hidden += previous
        return vsa(311, MPPE[name], salt + hidden)
    if name in STANDARD:
        number, kind = STANDARD[name]
        value = octets_of(name, kind, value)
        return bytes([number, len(value) + 2]) + value
    number, kind = ATTRIBUTES[name]
    return vsa(VENDOR, number, octets_of(name, kind, value))


def example_radius(e):
    secret, code = e["secret"].encode(), e["code"]
    hashed_request = code in (40, 43)  # Disconnect-Request, CoA-Request (RFC 5176 2.3)
    known = bytes(16) if hashed_request else e["authenticator"]
    body = b"".join(attribute(name, value, secret, known) for name, value in e["attributes"])
    length = 20 + 18 + len(body)
    head = struct.pack(">BBH", code, e["identifier"], length)
    unsigned = head + known + bytes([80, 18]) + bytes(16) + body
    signed = bytes([80, 18]) + hmac.new(secret, unsigned, hashlib.md5).digest() + body
    is_request = code in (1, 12)
    final = known if is_request else hashlib.md5(head + known + signed + secret).digest()
    return {"packet": head + final + signed}


# --- The document --------------------------------------------------------------------------------------------------------

COMPUTE = {"token-id": example_token_id, "gba-me": example_gba_me, "obf-1": example_obf_1, "milenage": example_milenage,
           "auts": example_auts, "sqn": example_sqn, "envelope": example_envelope, "digest": example_digest,
           "radius": example_radius}


def value_of(text):
    text = text.strip()
    if text.startswith('"'):
        return json.loads(text)
    if text.startswith("#"):
        return int(text[1:])
    if " salt " in text:
        return tuple(bytes.fromhex(part) for part in text.split(" salt "))
    if any(text == name for _, name in VALUES):
        return text
    return bytes.fromhex(text)


def parse(block):
    given, results, attributes = {}, {}, []
    for line in re.sub(r"\n\s+", "", block).splitlines():
        target = results if line.startswith("-> ") else given
        key, value = re.split(r"\s*=\s*", line.removeprefix("-> "), maxsplit=1)
        value = value_of(value)
        if target is given and key[0].isupper():
            attributes.append((key, value))
        else:
            target[key] = value
    given["attributes"] = attributes
    return given, results


def shown(value):
    return value.hex() if isinstance(value, bytes) else repr(value)


def examples(text):
    for found in re.finditer(r"^```example (\S+)([^\n]*)\n(.*?)^```$", text, re.M | re.S):
        yield found.group(1), found.group(2).strip(), found.group(3)


def check_examples(text):
    seen, faults = set(), []
    for name, label, block in examples(text):
        given, expected = parse(block)
        computed = COMPUTE[name](given)
        seen.add(name)
        if not expected:
            faults.append(f"{name} {label}: states no result")
        for key, value in expected.items():
            if computed.get(key) != value:
                faults.append(f"{name} {label}: {key} is stated as {shown(value)}, computed {shown(computed.get(key))}")
    return faults + [f"no example of {name}" for name in sorted(set(COMPUTE) - seen)]


def check_attributes(text):
    """The table of attributes names each with its number and type as the dictionary does."""
    rows = re.findall(r"^\| (\d+) \| (OBF-[A-Za-z0-9-]+) \| (\S+) \|", text, re.M)
    stated = {name: (int(number), kind) for number, name, kind in rows}
    return [f"{name}: the table says {stated.get(name)}, the dictionary {ATTRIBUTES.get(name)}"
            for name in sorted(set(stated) | set(ATTRIBUTES)) if stated.get(name) != ATTRIBUTES.get(name)]


def main():
    page = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "wires.md"
    text = page.read_text()
    faults = check_examples(text) + check_attributes(text)
    for fault in faults:
        print(fault)
    print(f"{sum(1 for _ in examples(text))} examples, {len(ATTRIBUTES)} attributes: {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
