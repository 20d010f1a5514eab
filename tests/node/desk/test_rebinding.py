"""`node.desk.rebinding`: who is refused under which name."""

import pytest

from node.config import ObserveConfig
from node.desk.rebinding import hosts_of, stranger
from node.edge.http import Request
from tests.node.desk.office import config_of

KNOWN = frozenset({"n1.desk.example"})
CHROME = (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/142.0")
SCRAPERS = (
    ((b"user-agent", b"Prometheus/3.5.0"), (b"accept", b"application/openmetrics-text")),
    ((b"user-agent", b"kube-probe/1.34"), (b"accept", b"*/*")),
    ((b"user-agent", b"curl/8.14.1"),),
    ((b"user-agent", b"Blackbox-Exporter/0.27.0"),),
    ((b"user-agent", b"Go-http-client/1.1"), (b"accept-encoding", b"gzip")),
    ((b"user-agent", b"vm_promscrape"),),
    (),
)


def asked(host: bytes | None, *headers: tuple[bytes, bytes]) -> str:
    """Whose name is refused."""
    said = ((b"host", host),) if host is not None else ()
    return stranger(Request("GET", "/metrics", "", (*said, *headers), b"", "10.0.0.9:1"), KNOWN)


@pytest.mark.parametrize("headers", SCRAPERS)
@pytest.mark.parametrize(
    "host",
    [b"unidesk.monitoring.svc.cluster.local:7400", b"10-0-0-1.ns.pod:7400", b"evil.example", None],
)
def test_scrapers_and_probes_may_use_any_name(
    headers: tuple[tuple[bytes, bytes], ...], host: bytes | None
) -> None:
    assert asked(host, *headers) == ""


def test_the_fetch_of_node_is_as_a_browsers() -> None:
    marks = ((b"user-agent", b"node"), (b"accept-language", b"*"), (b"sec-fetch-mode", b"cors"))
    assert asked(b"unidesk.monitoring.svc:7400", *marks)
    assert asked(b"10.0.0.1:7400", *marks) == asked(b"n1.desk.example:7400", *marks) == ""


@pytest.mark.parametrize(
    "mark",
    [
        CHROME,
        (b"origin", b"http://evil.example:7400"),
        (b"referer", b"http://evil.example:7400/"),
        (b"accept-language", b"zh-CN,zh;q=0.9"),
        (b"sec-fetch-site", b"same-origin"),
    ],
)
def test_one_mark_of_a_browser_is_enough(mark: tuple[bytes, bytes]) -> None:
    assert asked(b"evil.example:7400", mark) == "evil.example"


@pytest.mark.parametrize(
    "host",
    [b"10.0.0.1:7400", b"[fd00::1]:7400", b"127.0.0.1", b"localhost:7400", b"a.localhost:1",
     b"unidesk-0:7400", b"n1.desk.example:7400", b"N1.Desk.Example.:7400"],
)  # fmt: skip
def test_a_person_looks_by_an_address_or_a_name_of_the_nodes(host: bytes) -> None:
    assert asked(host, CHROME) == ""


@pytest.mark.parametrize(
    "host",
    [b"evil.example", b"n1.desk.example.evil.example", b"10.0.0.1.evil.example:7400", b"", None,
     b"[::1", b"n1.desk.example@evil.example", b"evil.example.", b"1.2.3",
     b"localhost.evil.example"],
)  # fmt: skip
def test_a_browser_is_refused_under_any_other(host: bytes | None) -> None:
    assert asked(host, CHROME)


def test_the_names_of_the_nodes_are_those_that_are_configured() -> None:
    observe = ObserveConfig(("observe.desk.example", 7400), ("more.desk.example",))
    config = config_of("n1", ("n1", "n2"), observe=observe)
    assert hosts_of(config) == {
        "n1", "n2", "127.0.0.1", "observe.desk.example", "more.desk.example",
    }  # fmt: skip
