"""All nodes asked at once: who does not say is not taken for dead."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from node.cli.app import run_app
from node.cli.nodes import answered, ask_all
from node.cli.problem import Problem
from tests.node.cli.answering import Quiet, answering


@contextmanager
def saying(status: int, page: dict[str, Any]) -> Iterator[str]:
    """A node that says this of itself to everybody."""

    class Node(Quiet, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(page).encode())

    with answering(Node) as url:
        yield url


@contextmanager
def one_open_of_two() -> Iterator[str]:
    """Where machines look at n1, which knows n2; n2 wants a token."""
    with ExitStack() as both:
        guarded = both.enter_context(saying(401, {"msg": "/cluster is shown to an operator"}))
        page = {"node": "n1", "nodes": [{"id": "n2", "url": guarded}]}
        yield both.enter_context(saying(200, page))


async def test_without_a_token_a_node_that_wants_one_is_not_shown_as_dead() -> None:
    with one_open_of_two() as url, pytest.raises(Problem, match="to an operator; give --token"):
        await ask_all((url,), "")


async def test_with_a_token_that_one_node_refuses_the_others_are_shown() -> None:
    with one_open_of_two() as url:
        assert [one.node for one in answered(await ask_all((url,), "t"))] == ["n1"]


@contextmanager
def revoking(*good: str) -> Iterator[str]:
    """A node at which every token was revoked but those that are `good`."""
    revoked = {"msg": "the token was revoked: log in again", "data": {"rule": "token.revoked"}}

    class Node(Quiet, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            whole = self.headers["Authorization"].removeprefix("Bearer ") in good
            self.send_response(200 if whole else 401)
            self.end_headers()
            self.wfile.write(json.dumps({"node": "n1"} if whole else revoked).encode())

    with answering(Node) as url:
        yield url


async def test_where_a_token_was_revoked_the_one_made_since_is_shown() -> None:
    with revoking("new") as url:
        assert [one.node for one in answered(await ask_all((url,), ("old", "new")))] == ["n1"]


async def test_where_both_were_revoked_it_is_said_when_one_is_good_again() -> None:
    with revoking() as url:
        with pytest.raises(Problem, match="one that is made in ten seconds is good"):
            await ask_all((url,), ("old", "new"))
        with pytest.raises(Problem, match=r"log in again$"):
            await ask_all((url,), "given")


@pytest.mark.parametrize(
    "command", [["cluster", "status"], ["cluster", "top", "--once"], ["upgrade", "status"]]
)
def test_every_command_says_why_nodes_refuse(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    with saying(401, {"msg": "/cluster is shown to an operator"}) as url:
        assert run_app([*command, "--url", url]) == 1
    assert "/cluster is shown to an operator; give --token" in capfd.readouterr().err
