"""The commands of `unidesk` by name.  Talks to terminals.

Command modules import what they need when they run, so that `--help` is quick.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from node import __version__
from node.cli import (
    agent,
    agents,
    audit,
    backup,
    canned,
    cert,
    chaos,
    cluster,
    conversations,
    demo,
    doctor,
    heal,
    login,
    queues,
    replay,
    restore,
    rules,
    say,
    serve,
    service,
    sessions,
    snapshot,
    token,
    upgrade,
    users,
    wal,
)
from node.cli.codes import UNREAD
from node.cli.problem import SIGNALLED, Problem, explain

_HELP = """One customer-service desk, run as a cluster of identical nodes.

Try it:  unidesk demo, then in other terminals  unidesk say  and  unidesk agent."""


@contextmanager
def _read_or_not() -> Iterator[None]:
    """Let whoever reads go away; the library below would say that it went wrong."""
    try:
        yield
    except BrokenPipeError:
        raise Problem("", UNREAD) from None


class _Commands(TyperGroup):
    """All of them, with their help pages."""

    def make_context(self, *words: Any, **options: Any) -> Any:
        with _read_or_not():
            return super().make_context(*words, **options)

    def invoke(self, ctx: Any) -> Any:
        with _read_or_not():
            return super().invoke(ctx)


def make_app() -> typer.Typer:
    """Return all commands."""
    app = typer.Typer(
        cls=_Commands,
        help=_HELP,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(_top)
    for name, command in (
        ("serve", serve.serve),
        ("demo", demo.demo),
        ("doctor", doctor.doctor),
        ("say", say.say),
        ("agent", agent.agent),
        ("login", login.login),
        ("audit", audit.audit),
        ("missed", service.missed),
        ("ratings", service.ratings),
        ("queues", queues.queues),
        ("agents", agents.agents),
        ("replay", replay.replay),
        ("backup", backup.backup),
        ("restore", restore.restore),
    ):
        app.command(name)(command)
    app.add_typer(cluster.app, name="cluster")
    app.add_typer(heal.app, name="heal")
    app.add_typer(conversations.app, name="conversations")
    app.add_typer(sessions.app, name="sessions")
    app.add_typer(rules.app, name="rules")
    app.add_typer(users.app, name="users")
    app.add_typer(canned.app, name="canned")
    app.add_typer(token.app, name="token")
    app.add_typer(wal.app, name="wal")
    app.add_typer(snapshot.app, name="snapshot")
    app.add_typer(cert.app, name="cert")
    app.add_typer(upgrade.app, name="upgrade")
    app.add_typer(chaos.app, name="chaos")
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        python = ".".join(map(str, sys.version_info[:3]))
        typer.echo(f"unidesk {__version__} (Python {python})")
        raise typer.Exit


def _top(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Say the version."),
    ] = False,
) -> None:
    pass


def run_app(arguments: list[str]) -> int:
    """Run the command in `arguments`; return its exit code."""
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return SIGNALLED + signal.SIGINT
    except Exception as error:
        problem = explain(error)
        if problem is None:
            raise  # a fault of ours: whoever mends it needs to see where
        if str(problem):
            print(f"unidesk: {problem}", file=sys.stderr)
        _leave_output()
        return problem.code
    return code


def _run(arguments: list[str]) -> int:
    try:
        make_app()(args=arguments, prog_name="unidesk")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _leave_output() -> None:
    """Let what cannot be written not be tried again when the process ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
