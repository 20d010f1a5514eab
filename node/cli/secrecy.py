"""Secrets that come in: from a prompt that does not show them, or from a pipe.  Talks to terminals.

Never from an argument: those show in the list of processes, and in a shell's history.
"""

import getpass
import secrets
import signal
import sys

from node.cli.problem import USAGE, Problem

CHARACTERS_MAX = 2_048
LINE_BYTES_MAX = 16 * 1024
"""A token has at most half of it."""
_SECRET_BYTES = 32


def read_secret(what: str, *, twice: bool = False) -> str:
    """Return a secret that was typed, or the first line of standard input.  Raises `Problem`.

    `twice`: whoever types it is asked again, as a slip would lock somebody out.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        return _checked(read_line(what), what)
    first = _checked(_typed(what), what)
    if twice and _typed(f"{what}, once more") != first:
        raise Problem("the two are not the same: nothing was changed", USAGE)
    return first


def _typed(what: str) -> str:
    """Return what somebody types without seeing it.  Raises `Problem`, `KeyboardInterrupt`.

    Ctrl-C ends it as an exception, so that the terminal shows again what is typed.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return getpass.getpass(f"{what}: ")
    except EOFError:
        raise Problem(f"no {what.lower()} was given", USAGE) from None
    finally:
        signal.signal(signal.SIGINT, before)


def read_line(what: str) -> str:
    """Return the first line of standard input, "" where there is none.  Raises `Problem`."""
    if sys.stdin is None:  # it was closed
        return ""
    try:
        return sys.stdin.buffer.readline(LINE_BYTES_MAX).decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise Problem(f"the {what.lower()} is no UTF-8 text", USAGE) from None


def new_secret() -> str:
    """Return a secret that nobody can guess, in letters that no form or URL changes."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def _checked(secret: str, what: str) -> str:
    if not secret:
        raise Problem(f"no {what.lower()} was given: type it, or send it as one line", USAGE)
    if len(secret) > CHARACTERS_MAX:
        raise Problem(f"the {what.lower()} has over {CHARACTERS_MAX} characters", USAGE)
    return secret
