#!/usr/bin/env python3
"""A 3GPP UE that never heard of OBF, in nothing but the standard library.

Bootstraps over Ub (TS 24.109 clause 4) against an Authentication Server and derives Ks_NAF (TS 33.220 Annex B)
on its own. RES, CK, IK and the check of AUTN come from Osmocom's `osmo-auc-gen` (Debian: libosmocore-utils), so
that nothing in here is shared with the project's own code.

    ue.py --url https://as.operator.example:8443 --ca ca.pem --se se.json \
          --naf track.example/0100000007 --naf track.example/01000100a8

prints one JSON object: btid, lifetime, algorithm, realm, keys (by application and Ua security protocol id).
Exit codes: 0 done, 3 the server refused, 5 one end did not prove itself, 1 anything else.
"""
import argparse
import base64
import hashlib
import hmac
import http.client
import json
import re
import secrets
import ssl
import subprocess
import sys
import urllib.parse
import xml.etree.ElementTree as ElementTree

BSF = "{uri:3gpp-gba}"
HASHES = {"AKAv1-MD5": "md5", "AKAv2-SHA-256": "sha256"}


class Failure(Exception):
    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


def main():
    arguments = parse()
    with open(arguments.se, encoding="utf-8") as file:
        usim = json.load(file)
    username = arguments.username or usim.get("impi") or usim["imsi"]
    wire = Wire(arguments)
    challenges = wire.first_request(username)
    algorithm, challenge = choose(challenges, arguments.algorithm)
    rand, autn = split_nonce(challenge["nonce"])
    res, ck, ik = authenticate(usim, rand, autn)
    password = res if algorithm == "AKAv1-MD5" else akav2_password(algorithm, res, ik, ck)
    body = wire.second_request(username, algorithm, challenge, password)
    btid, lifetime = bootstrapping_info(body)
    ks = ck + ik
    keys = {}
    for naf in arguments.naf:
        fqdn, ua = naf.split("/")
        keys.setdefault(fqdn, {})[ua] = ks_naf(ks, rand, username, fqdn, bytes.fromhex(ua)).hex()
    answer = {"btid": btid, "lifetime": lifetime, "algorithm": algorithm, "realm": challenge["realm"], "keys": keys}
    print(json.dumps(answer))


def parse():
    parser = argparse.ArgumentParser(description="A stock 3GPP UE on Ub.")
    parser.add_argument("--url", required=True, help="https://HOST:PORT of the Authentication Server, or http://")
    parser.add_argument("--ca", help="certificate authorities, PEM")
    parser.add_argument("--connect", help="HOST:PORT to connect to instead of the URL's")
    parser.add_argument("--se", required=True, help="JSON with imsi (or impi), k, opc")
    parser.add_argument("--username", help="another identity than the file's")
    parser.add_argument("--algorithm", choices=sorted(HASHES), help="this one only; otherwise the strongest offered")
    parser.add_argument("--naf", action="append", default=[], help="FQDN/UAID (10 hex digits); may be repeated")
    return parser.parse_args()


class Wire:
    """Two requests on one connection."""

    def __init__(self, arguments):
        url = urllib.parse.urlsplit(arguments.url)
        tls = url.scheme == "https"
        self.host, self.port = url.hostname, url.port or (443 if tls else 80)
        target, port = self.host, self.port
        if arguments.connect:
            target, _, port = arguments.connect.rpartition(":")
        if tls:
            context = ssl.create_default_context(cafile=arguments.ca)
            # The certificate is checked for the URL's host, whatever address is connected to.
            self.connection = NamedConnection(target, int(port), self.host, context)
        else:
            self.connection = http.client.HTTPConnection(target, int(port), timeout=20)

    def first_request(self, username):
        """TS 24.109 annex A.3: who, and nothing proven."""
        credentials = [("username", quoted(username)), ("realm", quoted(self.host)), ("nonce", '""'),
                       ("uri", '"/"'), ("response", '""')]
        answer, _ = self.get(credentials)
        if answer.status != 401:
            raise Failure(3, f"HTTP status {answer.status} instead of a challenge")
        return [read_parameters(value) for value in answer.headers.get_all("WWW-Authenticate", [])]

    def second_request(self, username, algorithm, challenge, password):
        digest = lambda octets: hashlib.new(HASHES[algorithm], octets).hexdigest()
        realm, nonce, nc = challenge["realm"], challenge["nonce"], "00000001"
        cnonce = secrets.token_hex(16)
        if "auth-int" not in [word.strip() for word in challenge.get("qop", "").split(",")]:
            raise Failure(1, "the challenge does not offer auth-int")
        ha1 = digest(f"{username}:{realm}:".encode() + password)

        def kd(method, entity):
            ha2 = digest(f"{method}:/:{digest(entity)}".encode())
            return digest(f"{ha1}:{nonce}:{nc}:{cnonce}:auth-int:{ha2}".encode())

        credentials = [("username", quoted(username)), ("realm", quoted(realm)), ("nonce", quoted(nonce)),
                       ("uri", '"/"'), ("qop", "auth-int"), ("nc", nc), ("cnonce", quoted(cnonce)),
                       ("response", quoted(kd("GET", b""))), ("algorithm", algorithm)]
        if "opaque" in challenge:
            credentials.append(("opaque", quoted(challenge["opaque"])))
        answer, body = self.get(credentials)
        if answer.status == 401:
            raise Failure(5, "the server does not accept the response")
        if answer.status != 200:
            raise Failure(3, f"HTTP status {answer.status}: {body.decode(errors='replace').strip()}")
        if answer.headers.get_content_type() != "application/vnd.3gpp.bsf+xml":
            raise Failure(1, f"content type {answer.headers.get_content_type()}")
        info = read_parameters("Digest " + answer.headers.get("Authentication-Info", ""))
        if not hmac.compare_digest(info.get("rspauth", ""), kd("", body)):
            raise Failure(5, "rspauth is missing or wrong")
        if info.get("cnonce") != cnonce or info.get("nc") != nc:
            raise Failure(5, "Authentication-Info is not for this response")
        return body

    def get(self, credentials):
        header = "Digest " + ", ".join(f"{name}={value}" for name, value in credentials)
        self.connection.putrequest("GET", "/", skip_host=True, skip_accept_encoding=True)
        self.connection.putheader("Host", f"{self.host}:{self.port}")
        self.connection.putheader("User-Agent", "PythonUE/1.0 3gpp-gba")
        self.connection.putheader("Authorization", header)
        self.connection.endheaders()
        answer = self.connection.getresponse()
        return answer, answer.read()


class NamedConnection(http.client.HTTPSConnection):
    def __init__(self, target, port, name, context):
        super().__init__(target, port, timeout=20, context=context)
        self.name = name
        self.tls = context

    def connect(self):
        http.client.HTTPConnection.connect(self)
        self.sock = self.tls.wrap_socket(self.sock, server_hostname=self.name)


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def read_parameters(value):
    """The parameters of one Digest challenge, or of Authentication-Info behind a made-up scheme."""
    pairs = re.findall(r'([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^",\s]+))', value)
    return {name.lower(): re.sub(r"\\(.)", r"\1", inside) or bare for name, inside, bare in pairs}


def choose(challenges, wanted):
    """RFC 4169: AKAv2 where both are offered."""
    offered = {challenge.get("algorithm"): challenge for challenge in challenges}
    for algorithm in [wanted] if wanted else ["AKAv2-SHA-256", "AKAv1-MD5"]:
        if algorithm in offered:
            return algorithm, offered[algorithm]
    raise Failure(3, f"offered: {', '.join(map(str, offered)) or 'nothing'}")


def split_nonce(nonce):
    octets = base64.b64decode(nonce, validate=True)
    if len(octets) < 32:
        raise Failure(1, "the nonce is not RAND and AUTN")
    return octets[:16], octets[16:32]


def authenticate(usim, rand, autn):
    """The USIM's part. SQN is not checked for freshness: this card forgets everything."""
    conceal = auc(usim, rand, "0000", 0)["AUTN"][:6]
    sqn = int.from_bytes(bytes(a ^ b for a, b in zip(autn[:6], conceal)), "big")
    vector = auc(usim, rand, autn[6:8].hex(), sqn)
    if not hmac.compare_digest(vector["AUTN"], autn):
        raise Failure(5, "AUTN does not verify: the network is not authentic")
    if autn[6] & 0x80:
        raise Failure(5, "the AMF separation bit is set: this vector is for EPS")
    return vector["RES"], vector["CK"], vector["IK"]


def auc(usim, rand, amf, sqn):
    operator = ["-o", usim["opc"]] if "opc" in usim else ["-O", usim["op"]]
    command = ["osmo-auc-gen", "-3", "-a", "milenage", "-k", usim["k"], *operator,
               "-r", rand.hex(), "-f", amf, "-s", str(sqn)]
    try:
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except FileNotFoundError:
        raise Failure(1, "osmo-auc-gen is missing: apt-get install libosmocore-utils") from None
    lines = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    return {name: bytes.fromhex(lines[name]) for name in ("AUTN", "RES", "CK", "IK")}


def akav2_password(algorithm, res, ik, ck):
    """RFC 4169 section 3."""
    tag = hmac.new(res + ik + ck, b"http-digest-akav2-password", HASHES[algorithm]).digest()
    return base64.b64encode(tag)


def bootstrapping_info(body):
    """TS 24.109 annex C; elements of other namespaces are ignored."""
    root = ElementTree.fromstring(body)
    btid, lifetime = root.findtext(BSF + "btid"), root.findtext(BSF + "lifetime")
    if root.tag != BSF + "BootstrappingInfo" or not btid or not lifetime:
        raise Failure(1, "the body is no BootstrappingInfo")
    return btid.strip(), lifetime.strip()


def ks_naf(ks, rand, impi, fqdn, ua):
    """TS 33.220 B.3: FC = 01, each parameter followed by its length in two octets."""
    parameters = [b"gba-me", rand, impi.encode(), fqdn.encode() + ua]
    message = b"\x01" + b"".join(parameter + len(parameter).to_bytes(2, "big") for parameter in parameters)
    return hmac.new(ks, message, "sha256").digest()


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        print(f"ue.py: {failure}", file=sys.stderr)
        sys.exit(failure.code)
    except (OSError, http.client.HTTPException) as error:
        print(f"ue.py: {error}", file=sys.stderr)
        sys.exit(1)
