"""`unidesk users`: accounts of people and of services.  Talks to nodes, and to terminals.

A person's password is typed, or comes as a line of standard input; a service's secret is made here
and shown once.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.asking import Json, ask
from node.cli.connecting import Where, connected

if TYPE_CHECKING:
    from node.protocol.catalogue import Request

app = typer.Typer(help="Accounts of people and services.", no_args_is_help=True)

KINDS = ("agent", "supervisor", "operator", "service")
PAGE = 100

User = Annotated[str, typer.Argument(metavar="USER", help="The account's id.")]
Kind = Annotated[str, typer.Option(help=f"{', '.join(KINDS[:-1])} or {KINDS[-1]}.")]
Name = Annotated[str | None, typer.Option(help="As others will see it.")]
Skill = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=LEVEL", help="An agent's skill: refund=3. Repeatable."),
]
Speaks = Annotated[
    list[str] | None,
    typer.Option(metavar="LANG", help="A language the agent speaks: zh, en. Repeatable."),
]
Capacity = Annotated[
    int | None, typer.Option(help="Conversations an agent takes at once.", min=1, max=1000)
]


@app.command()
@connected
def add(
    where: Where,
    user: User,
    kind: Kind = "agent",
    name: Name = None,
    skill: Skill = None,
    speaks: Speaks = None,
    capacity: Capacity = None,
    no_secret: Annotated[
        bool, typer.Option("--no-secret", help="They log in elsewhere: with your own login.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make an account; asks for the password, or makes a service's secret and shows it once.

    Example:  unidesk users add ada --name "Ada Lovelace" --skill refund=3 --capacity 4
    """
    from node.cli.connecting import find_cluster
    from node.cli.secrecy import new_secret, read_secret
    from node.client import new_key
    from node.protocol.catalogue import UserPut

    _check_kind(kind)
    find_cluster(where)  # before anybody types a password for nothing
    made = new_secret() if kind == "service" and not no_secret else None
    secret = made or (None if no_secret else read_secret(f"Password of {user}", twice=True))
    request = UserPut(
        key=new_key(),
        user=user,
        kind=kind,  # type: ignore[arg-type]  # _check_kind
        name=name,
        skills=_skills(skill),
        capacity=capacity,
        langs=speaks or None,
        secret=secret,
        rev_expected=0,
    )
    reply = ask(where, request)
    _tell(reply, f"{kind} {user} is there", as_json=as_json, secret=made)


@app.command(name="set")
@connected
def set_(
    where: Where,
    user: User,
    kind: Annotated[str, typer.Option(help="Another kind; ends the tokens of this one.")] = "",
    name: Name = None,
    skill: Skill = None,
    no_skills: Annotated[bool, typer.Option("--no-skills", help="Take all skills away.")] = False,
    speaks: Speaks = None,
    capacity: Capacity = None,
    as_json: Json = False,
) -> None:
    """Change what is given of an account; the skills given are then all it has.

    Example:  unidesk users set ada --skill refund=5 --skill vip=2 --capacity 6
    """
    from node.client import new_key
    from node.protocol.catalogue import UserPut

    if kind:
        _check_kind(kind)
    if no_skills and skill:
        raise typer.BadParameter("--skill or --no-skills, not both")
    request = UserPut(
        key=new_key(),
        user=user,
        kind=kind or None,  # type: ignore[arg-type]  # _check_kind
        name=name,
        skills={} if no_skills else _skills(skill),
        capacity=capacity,
        langs=speaks or None,
    )
    given = (kind or None, name, request.skills, capacity, request.langs)
    if all(one is None for one in given):
        mend = "give --name, --skill, --speaks, --capacity or --kind"
        raise typer.BadParameter(f"nothing to change: {mend}")
    reply = ask(where, *_known(user), request)
    _tell(reply, f"{user} is changed", as_json=as_json)


@app.command()
@connected
def passwd(
    where: Where,
    user: User,
    service: Annotated[
        bool, typer.Option("--service", help="Make a new secret, and show it once.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="The secret before counts too, until you --retire it.")
    ] = False,
    retire: Annotated[
        bool, typer.Option("--retire", help="Only the newest secret of a service counts.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Set another password, or with --service another secret; tokens so far end without --keep.

    Example:  unidesk users passwd pos --service --keep
    """
    from node.cli.connecting import find_cluster
    from node.cli.secrecy import new_secret, read_secret
    from node.client import new_key
    from node.protocol.catalogue import UserSecret

    if keep and not service:
        raise typer.BadParameter("--keep is for services; people have one password")
    find_cluster(where)
    if retire:
        reply = ask(where, UserSecret(key=new_key(), user=user, keep=True))
        _tell(reply, f"only the newest secret of {user} counts", as_json=as_json)
        return
    made = new_secret() if service else None
    secret = made or read_secret(f"New password of {user}", twice=True)
    request = UserSecret(key=new_key(), user=user, secret=secret, keep=keep)
    reply = ask(where, request)
    message = f"{user} has another {'secret' if service else 'password'}"
    _tell(reply, message, as_json=as_json, secret=made)


@app.command()
@connected
def disable(
    where: Where,
    user: User,
    as_json: Json = False,
) -> None:
    """Let an account do nothing any more; its tokens end at once, at every node.

    Example:  unidesk users disable ada
    """
    _put(where, user, disabled=True, as_json=as_json)


@app.command()
@connected
def enable(
    where: Where,
    user: User,
    as_json: Json = False,
) -> None:
    """Let a disabled account log in again; the tokens it had stay revoked.

    Example:  unidesk users enable ada
    """
    _put(where, user, disabled=False, as_json=as_json)


@app.command()
@connected
def remove(
    where: Where,
    user: User,
    as_json: Json = False,
) -> None:
    """Forget an account; its tokens end at once, at every node.

    Example:  unidesk users remove ada
    """
    from node.client import new_key
    from node.protocol.catalogue import UserRemove

    reply = ask(where, UserRemove(key=new_key(), user=user))
    _tell(reply, f"{user} is removed", as_json=as_json)


@app.command()
@connected
def show(
    where: Where,
    user: User,
    as_json: Json = False,
) -> None:
    """Show an account.

    Example:  unidesk users show ada --json
    """
    from node.cli.output import print_json
    from node.protocol.catalogue import UserGet

    found = ask(where, UserGet(user=user))["user"]
    if as_json:
        print_json(found)
    else:
        _print([found])


@app.command(name="list")
@connected
def list_(
    where: Where,
    as_json: Json = False,
) -> None:
    """List all accounts.

    Example:  unidesk users list
    """
    from node.cli.output import print_json
    from node.protocol.catalogue import UserList

    found: list[dict[str, Any]] = []
    more = True
    while more:
        page = ask(where, UserList(after=found[-1]["user"] if found else "", limit=PAGE))
        found += page["users"]
        more = page["more"]
    if as_json:
        print_json(found)
    else:
        _print(found)


# -- inside


def _put(where: Where, user: str, *, disabled: bool, as_json: bool) -> None:
    from node.client import new_key
    from node.protocol.catalogue import UserPut

    request = UserPut(key=new_key(), user=user, disabled=disabled)
    reply = ask(where, *_known(user), request)
    _tell(reply, f"{user} is {'disabled' if disabled else 'enabled'}", as_json=as_json)


def _known(user: str) -> "Iterable[Request]":
    """Return what fails where there is no such account, in words that name it."""
    from node.protocol.catalogue import UserGet

    return (UserGet(user=user),)


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise typer.BadParameter(f"{kind!r} is none; use one of {', '.join(KINDS)}")


def _skills(given: list[str] | None) -> dict[str, int] | None:
    from node.cli.token import parse_skill

    return dict(parse_skill(text) for text in given) if given else None


def _tell(reply: dict[str, Any], message: str, *, as_json: bool, secret: str | None = None) -> None:
    from node.cli.output import print_json, tell

    if as_json:
        print_json(reply | ({"secret": secret} if secret else {}))
        return
    if secret:
        tell(f"{message}; its secret, which is shown this once:")
        typer.echo(secret)
    else:
        typer.echo(f"{message} (revision {reply['rev']})" if "rev" in reply else message)


def _print(accounts: list[dict[str, Any]]) -> None:
    from node.cli.output import console, fitting, plain

    rows = [
        (
            plain(one["user"]),
            one["kind"] + (", disabled" if one["disabled"] else ""),
            plain(one["name"]),
            plain(" ".join(f"{name}={level}" for name, level in one["skills"].items())),
            plain(" ".join(one["langs"])),
            str(one["capacity"]) if one["kind"] == "agent" else "",
            str(one["secrets"]),
            str(one["rev"]),
            plain(one["by"][1]),
        )
        for one in accounts
    ]
    columns = (
        "user",
        "kind",
        "name",
        "skills",
        "speaks",
        "capacity",
        "secrets",
        "rev",
        "changed by",
    )
    less = ("rev", "changed by", "secrets", "capacity", "speaks", "skills")
    console().print(fitting(columns, rows, less))
