"""Secrets that come in: from a prompt that does not show them, or from a pipe.  Talks to terminals.

Never from an argument: those show in the list of processes, and in a shell's history.
"""

import getpass
import secrets
import sys

from node.cli.problem import USAGE, Problem

CHARACTERS_MAX = 2_048
_SECRET_BYTES = 32


def read_secret(what: str, *, twice: bool = False) -> str:
    """Return a secret that was typed, or the first line of standard input.  Raises `Problem`.

    `twice`: whoever types it is asked again, as a slip would lock somebody out.
    """
    if not sys.stdin.isatty():
        line = sys.stdin.readline(CHARACTERS_MAX + 1)
        return _checked(line.rstrip("\r\n"), what)
    try:
        first = _checked(getpass.getpass(f"{what}: "), what)
        if twice and getpass.getpass(f"{what}, once more: ") != first:
            raise Problem("the two are not the same: nothing was changed", USAGE)
    except EOFError:
        raise Problem(f"no {what.lower()} was given", USAGE) from None
    return first


def new_secret() -> str:
    """Return a secret that nobody can guess, in letters that no form or URL changes."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def _checked(secret: str, what: str) -> str:
    if not secret:
        raise Problem(f"no {what.lower()} was given: type it, or send it as one line", USAGE)
    if len(secret) > CHARACTERS_MAX:
        raise Problem(f"the {what.lower()} has over {CHARACTERS_MAX} characters", USAGE)
    return secret
