"""Whose tokens count besides those of the cluster's own key: a company's own issuers.

config      what `node.toml` says of them           tables         how it is read
issuer      one issuer: proof, then mapping         provider       OpenID Discovery, kept
keys        public keys that rotate                 metadata       what of it is believed
secret      shared secrets, for visitors            introspection  RFC 7662, asked and kept
mapping     claims to id, role, skills, capacity    fetching       bounded outgoing HTTP
"""

from node.issuers.config import IssuerConfig
from node.issuers.failures import Claims, Expired, NotVouched, Unasked, UnknownKey
from node.issuers.issuer import Issuer

__all__ = [
    "Claims",
    "Expired",
    "Issuer",
    "IssuerConfig",
    "NotVouched",
    "Unasked",
    "UnknownKey",
]
