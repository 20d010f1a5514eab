"""`unidesk login`: a password, a secret or the company's own login for a token.  Talks to a node,
and to a terminal.
"""

from typing import Annotated, Any

import typer

from node.cli.asking import Json
from node.cli.connecting import ConfigFile, Data, Urls, Where
from node.cli.problem import FAILED, USAGE, Problem

PATH = "/v1/token"
LOGIN_S = 15.0


def login(
    user: Annotated[str, typer.Argument(metavar="[USER]", help="The account's id.")] = "",
    service: Annotated[
        bool, typer.Option("--service", help="It is a service, which has a secret.")
    ] = False,
    via: Annotated[
        str, typer.Option(help="With a browser: NAME of [auth.NAME.login] at the node.")
    ] = "",
    browser: Annotated[
        bool, typer.Option(help="Open a browser; without, only show the address.")
    ] = True,
    url: Urls = None,
    config: ConfigFile = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Log in and print the token: with an account, or with a browser at the company's provider.

    The password is asked for, or read from standard input.

    Example:  unidesk login ada --url wss://desk.example/v1/ws

    In a browser:  export UNIDESK_TOKEN=$(unidesk login --via corp)
    """
    from node.cli.connecting import find_cluster
    from node.cli.output import print_json

    if bool(user) == bool(via):
        raise Problem("name an account, or a login with --via", USAGE)
    cluster = find_cluster(Where(url, "", config, data))
    if via:
        from node.cli.login_via import base_of, log_in

        answer = log_in(base_of(cluster.urls[0]), via, browser=browser)
    else:
        answer = _by_secret(cluster.urls, user, service=service)
    if as_json:
        print_json(answer)
    else:
        typer.echo(answer["token" if via else "access_token"])


def _by_secret(urls: tuple[str, ...], user: str, *, service: bool) -> dict[str, Any]:
    """Return what the token endpoint gives for a secret that is asked for.  Raises `Problem`."""
    from node.cli.running import run
    from node.cli.secrecy import read_secret

    secret = read_secret("Secret" if service else "Password")
    if service:
        fields = {"grant_type": "client_credentials", "client_id": user, "client_secret": secret}
    else:
        fields = {"grant_type": "password", "username": user, "password": secret}
    answer: dict[str, Any] = {}

    async def body() -> None:
        answer.update(await _log_in(urls, fields))

    run(body)
    return answer


async def _log_in(urls: tuple[str, ...], fields: dict[str, str]) -> dict[str, Any]:
    """Return what the first node says that can say anything.  Raises `Problem`."""
    import json

    from node.client import Address
    from node.client.http import Unreachable, post_form

    why = ""
    for url in urls:
        address = Address.parse(url)
        try:
            heard = await post_form(address, PATH, fields, timeout_s=LOGIN_S)
            said = json.loads(heard.body)
        except (Unreachable, ValueError) as error:
            why = str(error) if isinstance(error, Unreachable) else f"{url}: answers no JSON"
            continue
        if heard.status == 200 and isinstance(said, dict) and "access_token" in said:
            return said
        why = _words(said, heard.status)
        if not (isinstance(said, dict) and said.get("retry")) or heard.status == 429:
            break  # another node would say the same
    raise Problem(f"not logged in: {why}", FAILED)


def _words(said: Any, status: int) -> str:
    if not isinstance(said, dict):
        return f"status {status}"
    data = said.get("data")
    rule = data.get("rule") if isinstance(data, dict) else None
    return f"{said.get('msg', f'status {status}')}" + (f" [{rule}]" if rule else "")
