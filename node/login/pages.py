"""Pages that people see at the end of a login, in English or in Chinese.  No I/O.

    done      who they are now, and the token in a field that can be selected and copied
    failed    what went wrong, and a link to begin again

No script, no font, no picture: a heading that has the focus, one thing to do, in the language that
the browser asks for; everything works with the keyboard and is read in order.

Source: RFC 9110, 12.5.4 (Accept-Language); WCAG 2.2, 2.4.6, 3.1.1, 3.3.1 and 4.1.2.
"""

import base64
import hashlib
from html import escape
from typing import Literal

from node.auth import Principal
from node.edge.http import Response

Language = Literal["en", "zh"]

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:1.125rem/1.6 system-ui,sans-serif;max-width:38rem;margin:12vh auto;padding:0 1rem}"
    "h1{font-size:1.6rem}"
    "textarea{width:100%;box-sizing:border-box;font:0.9rem/1.4 ui-monospace,monospace}"
    ":focus-visible{outline:3px solid Highlight;outline-offset:2px}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS = (
    ("Cache-Control", "no-store"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("Vary", "Accept-Language"),
    (
        "Content-Security-Policy",
        (
            f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}';"
            " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
    ),
)
"""A page with a token in it is kept, framed and told of by nobody."""

_WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "done": "You are logged in",
        "as": "You are {who}, {role}.",
        "token": "Your token",
        "use": "Copy it to where it is asked for. Whoever has it is you until it ends.",
        "failed": "You are not logged in",
        "again": "Begin again",
    },
    "zh": {
        "done": "登录成功",
        "as": "您是 {who}，角色：{role}。",
        "token": "您的令牌",
        "use": "请复制到需要它的地方。在失效之前，持有它的人就等于您本人，请勿泄露。",
        "failed": "登录未成功",
        "again": "重新登录",
    },
}
_ROLES: dict[Language, dict[str, str]] = {
    "en": {},
    "zh": {
        "visitor": "访客",
        "agent": "客服",
        "supervisor": "主管",
        "operator": "运维",
        "service": "服务",
    },
}


def language_of(accepted: str) -> Language:
    """Return the language that an `Accept-Language` likes best, of those there are."""
    liked: list[tuple[float, int, Language]] = []
    for place, part in enumerate(accepted.split(",")[:16]):
        tag, _, weight = part.strip().lower().partition(";q=")
        try:
            quality = float(weight) if weight else 1.0
        except ValueError:
            continue
        main = tag.partition("-")[0]
        if quality > 0 and main in ("en", "zh"):
            liked.append((-quality, place, "zh" if main == "zh" else "en"))
    return min(liked)[2] if liked else "en"


def done_page(principal: Principal, token: str, language: Language) -> Response:
    """Return the page that shows somebody their token."""
    words = _WORDS[language]
    who = f"{principal.name} ({principal.id})" if principal.name else principal.id
    role = _ROLES[language].get(principal.role, principal.role)
    body = (
        f"<p>{escape(words['as'].format(who=who, role=role))}</p>"
        f'<p><label for="token">{words["token"]}</label><br>'
        f'<textarea id="token" rows="6" readonly aria-describedby="use"'
        f' autocomplete="off" spellcheck="false">{escape(token)}</textarea></p>'
        f'<p id="use">{words["use"]}</p>'
    )
    return _page(200, words["done"], body, language)


def failed_page(status: int, why: str, again: str, language: Language) -> Response:
    """Return the page that says why a login failed; `again` is where it begins."""
    words = _WORDS[language]
    # Why is told in English, as it is in the log: it names rules of the configuration.
    body = (
        f'<p role="alert" lang="en">{escape(why)}</p>'
        f'<p><a href="{escape(again)}">{words["again"]}</a></p>'
    )
    return _page(status, words["failed"], body, language)


def _page(status: int, title: str, body: str, language: Language) -> Response:
    lang = "zh-Hans" if language == "zh" else "en"
    html = (
        f'<!doctype html><html lang="{lang}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title} - unidesk</title><style>{_STYLE}</style></head>"
        f'<body><main><h1 tabindex="-1" autofocus>{title}</h1>{body}</main></body></html>\n'
    )
    return Response(status, html.encode(), content_type="text/html; charset=utf-8", headers=HEADERS)
