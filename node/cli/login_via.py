"""A login with a browser, from a terminal: `unidesk login --via NAME`.  Talks HTTP, listens on
loopback.

    terminal    node                       browser                       provider
    ── listens on 127.0.0.1:PORT
    ── shows (and opens) …/v1/login/NAME?return_to=http://127.0.0.1:PORT/&challenge&state ──▶
                                            logs in ──────────────────────▶
    ◀─────────────────────────────────────  127.0.0.1:PORT/?code&state
    ── code, verifier ──▶
    ◀── token ───────────

Source: RFC 8252, sections 7.3 and 8; RFC 7636.
"""

import hmac
import re
import secrets
import sys
import time
import webbrowser
from html import unescape
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl, urlencode

from node.cli.problem import FAILED, Problem

if TYPE_CHECKING:
    import httpx2

LOGIN_S = 600.0
REDEEM_S = 15.0
_VERIFIER_BYTES = 32
_ALERT = re.compile(r'<p role="alert"[^>]*>([^<]*)</p>')
_PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>unidesk</title>'
    "<h1>{title}</h1><p>{text}</p>"
    '<p lang="zh-Hans">{chinese}</p></html>\n'
)


def base_of(url: str) -> str:
    """Return where HTTP is spoken at the node of a WebSocket address."""
    from node.client import Address

    address = Address.parse(url)
    return f"{'https' if address.tls else 'http'}://{address.authority}"


def log_in(base: str, name: str, *, browser: bool) -> dict[str, Any]:
    """Return what the node at `base` gives for a login with a browser.  Raises `Problem`."""
    from node.login.ticket import challenge_of

    verifier, state = (secrets.token_urlsafe(_VERIFIER_BYTES) for _ in range(2))
    with _Waiting(state) as waiting:
        query = urlencode(
            {
                "return_to": f"http://127.0.0.1:{waiting.server_port}/",
                "challenge": challenge_of(verifier),
                "state": state,
            }
        )
        where = f"{base}/v1/login/{name}?{query}"
        _check_begins(where)
        print(f"log in here:\n  {where}", file=sys.stderr, flush=True)
        if browser:
            webbrowser.open(where)
        code = waiting.code(LOGIN_S)
    return _redeem(f"{base}/v1/login/{name}/token", code, verifier)


def _check_begins(where: str) -> None:
    """Raise `Problem` when a login does not begin at `where`: nobody would come back from there."""
    answer = _asked("GET", where)
    if answer.status_code == 302:
        return
    why = f"it answered {answer.status_code}"
    if said := _ALERT.search(answer.text):
        why = unescape(said[1])
    elif answer.headers.get("content-type") == "application/json":
        why = str(answer.json().get("msg", why))
    raise Problem(f"{where.partition('?')[0]}: {why}", FAILED)


def _redeem(url: str, code: str, verifier: str) -> dict[str, Any]:
    answer = _asked("POST", url, json={"code": code, "verifier": verifier})
    try:
        said = dict(answer.json())
    except ValueError:
        said = {}
    if answer.status_code != 200 or "token" not in said:
        raise Problem(f"not logged in: {said.get('msg', answer.status_code)}", FAILED)
    return said


def _asked(method: str, url: str, **more: Any) -> "httpx2.Response":
    """Return what a node answers.  Raises `Problem`."""
    import httpx2

    try:
        return httpx2.request(method, url, timeout=REDEEM_S, trust_env=False, **more)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise Problem(f"{url.partition('?')[0]}: {error}", FAILED) from None


class _Waiting(HTTPServer):
    """Waits for the browser to come back."""

    def __init__(self, state: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.state = state
        self.answer: dict[str, str] | None = None

    def code(self, patience_s: float) -> str:
        """Return the code that the browser brings.  Raises `Problem`."""
        give_up_at = time.monotonic() + patience_s
        while self.answer is None:
            self.timeout = give_up_at - time.monotonic()
            if self.timeout <= 0:
                raise Problem(f"nobody logged in within {patience_s / 60:g} minutes", FAILED)
            self.handle_request()
        code = self.answer.get("code")
        if not code:
            why = self.answer.get("error_description") or self.answer.get("error") or "no code"
            raise Problem(f"not logged in: {why}", FAILED)
        return code


class _Handler(BaseHTTPRequestHandler):
    """Takes one answer; whatever else asks on this port is told nothing."""

    timeout: ClassVar[float | None] = 5.0

    def do_GET(self) -> None:
        assert isinstance(self.server, _Waiting)
        path, _, query = self.path.partition("?")
        fields = dict(parse_qsl(query, max_num_fields=16)) if len(query) <= 16_384 else {}
        state = fields.get("state", "").encode()
        if path != "/" or not hmac.compare_digest(state, self.server.state.encode()):
            self.send_error(404)
            return
        self.server.answer = fields
        good = "code" in fields
        page = _PAGE.format(
            title="Logged in" if good else "Not logged in",
            text="You may close this window." if good else "The terminal says why.",
            chinese="登录成功，可以关闭此窗口。" if good else "登录未成功，原因请看终端。",
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing: the code is in the first line of the request."""
