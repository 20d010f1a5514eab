"""Whether a browser was led to an open address under a stranger's name.  No I/O.

    a page of evil.example in an operator's browser ──▶ evil.example:7400, which now means 10.0.0.1
                                                        Host: evil.example:7400

For the browser that is the page's own origin, and it lets the page read the answer.  A name that
nobody can own but the company tells the two apart, and only a browser can be led so:

    Host                             of a request with a browser's marks    of any other
    an address, localhost            answered                               answered
    a name without a dot             answered: nobody can register one      answered
    a host of [nodes], [observe]     answered                               answered
    any other name                   refused                                answered

Scrapers and probes send whatever name they were given, a service's or a pod's among them, and
hardly one a browser's marks; so they need not be configured.  What is made with `fetch` of Node or
Deno has them, and a few probes: who reads more than 200 or 503 so comes by an address, or by a name
that is listed.  A page that is of another origin
without such a trick may send a request, and cannot read the answer: nothing here allows it to.
Of the marks a script can take away some, in no browser all of them.

Source: WHATWG Fetch, 2.2.2 and 4.6; RFC 9110, 7.2; Jackson et al., "Protecting Browsers from DNS
Rebinding Attacks", CCS 2007.
"""

import ipaddress
from urllib.parse import urlsplit

from node.config import Config
from node.edge.http import Request

MARKS = (b"origin", b"referer", b"accept-language", b"sec-fetch-site", b"sec-fetch-mode")
BROWSER = b"mozilla/"
"""What the `User-Agent` of every browser begins with."""


def hosts_of(config: Config) -> frozenset[str]:
    """Return the names by which a node of the cluster is reached, as far as it is configured."""
    urls = [config.client.url, *(member.url for member in config.nodes.values())]
    found = [urlsplit(url).hostname or "" for url in urls]
    found += [member.peer[0] for member in config.nodes.values()]
    if config.observe is not None:
        found += [config.observe.listen[0], *config.observe.hosts]
    return frozenset(map(_plain, found)) - {""}


def stranger(request: Request, known: frozenset[str]) -> str:
    """Return the foreign name under which a browser asks; nothing when all is well."""
    if not is_browsers(request):
        return ""
    authority = (request.header(b"host") or b"").decode("latin-1")
    try:
        host = _plain(urlsplit(f"//{authority}").hostname or "")
    except ValueError:
        return authority
    return "" if _is_own(host) or host in known else host or "no name"


def is_browsers(request: Request) -> bool:
    """Say whether the request has a browser's marks."""
    if (request.header(b"user-agent") or b"").lower().startswith(BROWSER):
        return True
    return any(request.header(mark) is not None for mark in MARKS)


def _is_own(host: str) -> bool:
    """Say whether nobody can have `host` registered, and point to where they like."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host != "" and ("." not in host or host.endswith(".localhost"))
    return True


def _plain(host: str) -> str:
    return host.lower().removesuffix(".")
