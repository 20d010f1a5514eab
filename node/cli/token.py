"""`unidesk token`: say who somebody is, signed with the cluster's key; and take that back.

Reads files, talks to nodes.
"""

from pathlib import Path
from typing import Annotated

import typer

from node.cli.asking import Json
from node.cli.connecting import ConfigFile, Data, Where, connected
from node.cli.problem import USAGE, Problem

app = typer.Typer(no_args_is_help=False, invoke_without_command=True)


@app.callback()
def token(
    context: typer.Context,
    role: Annotated[
        str, typer.Option(help="visitor, agent, supervisor, operator or service.")
    ] = "",
    subject: Annotated[str, typer.Option(help="The principal's id.")] = "",
    name: Annotated[str, typer.Option(help="As others will see it.")] = "",
    skill: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=LEVEL", help="An agent's skill: refund=3. Repeatable."),
    ] = None,
    speaks: Annotated[
        list[str] | None,
        typer.Option(metavar="LANG", help="A language the agent speaks: zh, en. Repeatable."),
    ] = None,
    capacity: Annotated[
        int, typer.Option(help="Conversations an agent takes at once.", min=1, max=1000)
    ] = 1,
    ttl: Annotated[str, typer.Option(help="How long it is good for: 30m, 8h, 2d.")] = "8h",
    config: ConfigFile = None,
    data: Data = None,
    key_file: Annotated[
        Path | None, typer.Option(help="The cluster's key; needs --cluster.")
    ] = None,
    cluster: Annotated[str, typer.Option(help="The cluster's id, with --key-file.")] = "",
    as_json: Json = False,
) -> None:
    """Print a token for a principal, or revoke some.

    Example:  unidesk token --role agent --subject ada --skill refund=3 --ttl 8h
    """
    if context.invoked_subcommand is not None:
        return
    from typing import cast, get_args

    from node.cli.connecting import Cluster, find_cluster
    from node.cli.durations import seconds
    from node.cli.output import print_json
    from node.protocol.catalogue import Role

    if not role:
        raise typer.BadParameter("--role and --subject say whose token it is to be")
    if role not in get_args(Role):
        raise typer.BadParameter(f"{role!r} is none; use one of {', '.join(get_args(Role))}")
    if not subject or len(subject) > 128:
        raise typer.BadParameter("--subject must be 1 to 128 characters")
    ttl_s = int(seconds(ttl))
    if ttl_s < 1:
        raise typer.BadParameter("--ttl must be a second or more")
    skills = dict(parse_skill(text) for text in skill or ())
    if role != "agent" and (skills or speaks or capacity != 1):
        raise typer.BadParameter("--skill, --speaks and --capacity are for agents")
    if key_file is not None:
        found = Cluster((), cluster or _missing_cluster(), _read_key(key_file))
    else:
        found = find_cluster(Where(config=config, data=data))
    made = found.mint(
        cast("Role", role),
        subject,
        name=name,
        ttl_s=ttl_s,
        skills=skills or None,
        langs=tuple(speaks or ()),
        capacity=capacity if role == "agent" else None,
    )
    if as_json:
        print_json({"token": made, "role": role, "subject": subject, "ttl_s": ttl_s})
    else:
        typer.echo(made)


@app.command()
@connected
def revoke(
    where: Where,
    given: Annotated[
        str, typer.Argument(metavar="[TOKEN]", help="The token itself; - reads it from stdin.")
    ] = "",
    jti: Annotated[str, typer.Option(help="One token by its name, with --exp; see audit.")] = "",
    exp: Annotated[int, typer.Option(help="When it ends, seconds UTC; with --jti.", min=0)] = 0,
    kind: Annotated[str, typer.Option(help="All tokens so far of a principal: its kind …")] = "",
    user: Annotated[str, typer.Option(help="… and its id.")] = "",
    as_json: Json = False,
) -> None:
    """Let tokens count no more, at any node; connections that they opened end.

    Example:  unidesk token revoke --kind agent --user ada
    """
    from typing import Any, cast, get_args

    from node.cli.asking import ask
    from node.cli.output import print_json
    from node.cli.secrecy import read_line
    from node.client import new_key
    from node.protocol.catalogue import Role, TokenRevoke

    if kind and kind not in get_args(Role):
        raise typer.BadParameter(f"{kind!r} is none; use one of {', '.join(get_args(Role))}")
    if sum(map(bool, (given, jti, kind))) != 1:
        message = "name one of: TOKEN, or --jti and --exp, or --kind and --user"
        raise Problem(message, USAGE)
    if given == "-":
        given = read_line("token").strip()
    request = TokenRevoke(
        key=new_key(),
        token=given,
        jti=jti,
        exp=exp * 1000,
        kind=cast("Any", kind),
        user=user,
    )
    reply = ask(where, request)
    if as_json:
        print_json(reply)
    else:
        what = f"all tokens so far of the {kind} {user}" if kind else "the token"
        typer.echo(f"revoked: {what}")


def parse_skill(text: str) -> tuple[str, int]:
    """Return name and level.  Raises `typer.BadParameter`."""
    name, equals, level = text.partition("=")
    level = level if equals else "1"
    if not name or not level.isdecimal() or int(level) > 100:
        raise typer.BadParameter(f"{text!r} is no skill; write name=level, the level 0 to 100")
    return name, int(level)


def _read_key(path: Path) -> bytes:
    from node.auth import KEY_BYTES_MIN

    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror or error}") from None
    if len(key) < KEY_BYTES_MIN:
        raise typer.BadParameter(f"{path}: a key has at least {KEY_BYTES_MIN} bytes")
    return key


def _missing_cluster() -> str:
    raise typer.BadParameter("--key-file needs --cluster, the cluster's id")
