"""How long it takes to judge a token: processor time of one `Verifier.verify`, by kind of token.

    python -m scripts.bench_tokens

Each figure is the least of ROUNDS rounds, so that what else the machine does counts little.  The
opaque token is one that its issuer was asked about already; asking takes as long as the issuer.
"""

import hashlib
import json
import sys
import tempfile
import time
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from node.auth import Verifier, mint
from node.issuers import Issuer, IssuerConfig
from node.issuers.config import ClientCredentials, IntrospectionConfig

ROUNDS = 25
TOKENS = 400
KEY = b"the key of a cluster for a bench"
SECRET = b"the secret that a shop shares with it"
CORP, SHOP, ASKED = "https://corp.example", "https://shop.example", "https://asked.example"
OPAQUE = "an-opaque-token-0123456789"


def microseconds(verifier: Verifier, token: str) -> float:
    """Return the processor time of one verification."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(TOKENS):
            verifier.verify(token)
        best = min(best, time.process_time() - started)
    return best / TOKENS * 1e6


def issuers(folder: Path, keys: list[dict[str, str]]) -> list[Issuer]:
    """Return a company's issuers of every kind."""
    (folder / "keys.json").write_text(json.dumps({"keys": keys}))
    (folder / "secret").write_bytes(SECRET)
    asks = IntrospectionConfig(ASKED, ClientCredentials("desk", "s"), cache_s=60)
    found = [
        IssuerConfig("corp", CORP, "desk", folder / "keys.json", ("agent",), "agent"),
        IssuerConfig("shop", SHOP, "desk", None, ("visitor",), "visitor", secret=folder / "secret"),
        IssuerConfig("asked", ASKED, "desk", None, ("agent",), "agent", introspection=asks),
    ]
    return [Issuer(one) for one in found]


def main() -> int:
    """Print the figures."""
    signers = {
        "RS256": (rsa.generate_private_key(public_exponent=65_537, key_size=2048), RSAAlgorithm),
        "ES256": (ec.generate_private_key(ec.SECP256R1()), ECAlgorithm),
        "EdDSA": (ed25519.Ed25519PrivateKey.generate(), OKPAlgorithm),
    }
    keys = [
        {**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": name}  # type: ignore[attr-defined]
        for name, (key, algorithm) in signers.items()
    ]
    own = mint(KEY, "bench", role="agent", subject="ada", ttl_s=3600, skills={"refund": 3})
    end = int(time.time()) + 3600
    said = {"sub": "ada", "aud": "desk", "exp": end}
    with tempfile.TemporaryDirectory() as folder:
        trusted = issuers(Path(folder), keys)
    verifier = Verifier(KEY, "bench", trusted)
    introspection = trusted[2]._introspection
    assert introspection is not None
    digest = hashlib.sha256(OPAQUE.encode()).digest()
    introspection._keep(digest, end, {**said, "active": True})
    print(f"own, no issuers       {microseconds(Verifier(KEY, 'bench'), own):6.1f} us")
    print(f"own, beside issuers   {microseconds(verifier, own):6.1f} us")
    for name, (key, _) in signers.items():
        token = jwt.encode({**said, "iss": CORP}, key, name, {"kid": name})  # type: ignore[arg-type]
        print(f"{name}                 {microseconds(verifier, token):6.1f} us")
    shared = jwt.encode({**said, "iss": SHOP}, SECRET, "HS256")
    print(f"HS256, a shop's       {microseconds(verifier, shared):6.1f} us")
    print(f"opaque, known         {microseconds(verifier, OPAQUE):6.1f} us")
    return 0


if __name__ == "__main__":
    sys.exit(main())
