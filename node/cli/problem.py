"""What goes wrong for reasons that lie outside the program.  No I/O.

Whoever reads the output may go away (`| head`): that ends a command quietly, as it ends others.

A `Problem` is shown as its words alone: no traceback reaches whoever typed the command.
"""

import errno

from node.cli.codes import FAILED, SIGNALLED, UNREAD, USAGE

__all__ = ["FAILED", "SIGNALLED", "USAGE", "Problem", "explain"]


class Problem(Exception):
    """The command cannot go on; the message says where and what to mend."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        """An empty `message` is not shown: there is only the code."""
        self.code = code
        super().__init__(message)


def explain(error: BaseException, also: tuple[type[Exception], ...] = ()) -> Problem | None:
    """Return `error` as a problem if it is of a kind that is expected, else None.

    Kinds in `also` are expected too.
    """
    if isinstance(error, BaseExceptionGroup):
        problems = [explain(inner, also) for inner in error.exceptions]
        return None if None in problems else problems[0]
    if isinstance(error, Problem):
        return error
    if isinstance(error, also):
        return Problem(str(error), getattr(error, "exit_code", FAILED))
    return _explain_ours(error)


_SAID = ("conflict", "not_found")
"""Codes of refusals that are clear without them."""
_MENDS = {
    "timeout": "; are the nodes started? `unidesk doctor` asks all of them",
    "unauthorized": "; name its own --config or --data, or a good --token",
}


def _explain_ours(error: BaseException) -> Problem | None:
    # Imported here: what was never imported cannot have been raised, and costs start-up time.
    from node.client import BadAddress, RequestFailed, Stopped
    from node.client.http import Unreachable
    from node.local import LocalFailure

    match error:
        case BadAddress():
            return Problem(str(error), USAGE)
        case RequestFailed(code=code) if code in _SAID:
            return Problem(error.message)
        case RequestFailed(code=code) | Stopped(name=code):
            return Problem(str(error) + _MENDS.get(code, ""))
        case Unreachable():
            return Problem(f"{error}; is the node started?")
        case LocalFailure():
            return Problem(str(error))
        case PermissionError(filename=str() as name, strerror=said):
            return Problem(f"{name}: {str(said).lower()}; run it as a user that may", USAGE)
        case BrokenPipeError():
            return Problem("", UNREAD)
        case OSError(errno=errno.ENOSPC | errno.EIO | errno.EBADF):
            return Problem(f"the output cannot be written: {error.strerror}")
    return None
