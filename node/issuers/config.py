"""What `node.toml` says of a company's own issuers.  No I/O.

[auth.corp]                                        what it means
issuer = "https://login.acme.example/desk"         the token's `iss`
audience = "unidesk"                               its `aud`
roles = ["agent", "supervisor"]                    what it may vouch for, and nothing else
id_claim = "sub"; id_prefix = ""                   who it is; what goes before, to keep
                                                   the people of two issuers apart
how a token is proved, one of:
  (nothing)                                        public keys, found by OpenID Discovery
  keys = "corp.jwks.json"                          public keys: a file, or an https:// URL
  secret_file = "shop.secret"                      HS256, for visitors alone
  introspect = "discover" | "https://…"            the issuer is asked (RFC 7662), as
    client_id, client_secret_file                  this client

whose role, one of:
  role = "agent"                                   everybody's
  role_claim = "realm_access.roles"                where the token says it
  [auth.corp.groups]                               rules: what a group may, is good at,
    desk-leads = { role = "supervisor" }           and takes at once
    refunds = { skills = { refund = 3 } }

[auth.corp.login]                                  people log in with a browser
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from node.protocol.catalogue import Role

GROUP_RULES_MAX = 256


@dataclass(frozen=True, slots=True)
class GroupRule:
    """What being in one group gives."""

    group: str
    role: Role | None = None
    skills: Mapping[str, int] = field(default_factory=dict)
    capacity: int = 0
    """0 gives none."""


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """As whom this cluster speaks to an issuer."""

    id: str
    secret: str = field(default="", repr=False)
    """Empty for a public client."""


@dataclass(frozen=True, slots=True)
class IntrospectionConfig:
    """How to ask an issuer about a token."""

    url: str
    """Empty: as discovered."""
    client: ClientCredentials
    scope: str = ""
    """What the token's scope must hold; empty for anything."""
    prefix: str = ""
    """How this issuer's opaque tokens begin; empty for all that nobody else claims."""
    cache_s: float = 10.0
    """How long a yes counts without asking again."""


@dataclass(frozen=True, slots=True)
class LoginConfig:
    """How people log in with a browser."""

    client: ClientCredentials
    redirect_uri: str
    """Where the provider sends people back to: this cluster's, as clients see it."""
    scopes: tuple[str, ...] = ("openid", "profile")
    return_to: tuple[str, ...] = ()
    """Where a token may be sent, letter by letter."""
    command_line: bool = True
    """Whether `unidesk login --via` may."""
    ttl_s: int = 8 * 3600
    """How long the token of ours is good for."""


@dataclass(frozen=True, slots=True)
class IssuerConfig:
    """What `node.toml` says of one issuer."""

    name: str
    issuer: str
    audience: str
    """Empty: its tokens open nothing by themselves, people log in with a browser."""
    keys: Path | str | None
    """A file, or a URL; None: as discovered, or none at all."""
    roles: tuple[Role, ...]
    role: Role | None = None
    role_claim: str = ""
    """Dots lead into maps; the value is a role, or a list with one."""
    groups_claim: str = "groups"
    """Dots lead into maps; the value is a list, or words with blanks between."""
    groups: tuple[GroupRule, ...] = ()
    id_claim: str = "sub"
    id_prefix: str = ""
    secret: Path | None = None
    introspection: IntrospectionConfig | None = None
    login: LoginConfig | None = None

    @property
    def judges(self) -> bool:
        """Whether tokens of it open anything by themselves."""
        return bool(self.audience) or self.introspection is not None

    @property
    def discovers(self) -> bool:
        """Whether anything is left for OpenID Discovery to tell."""
        finds_keys = self.keys is None and self.secret is None and self.introspection is None
        asks = self.introspection is not None and not self.introspection.url
        return finds_keys or asks or self.login is not None
