"""`unidesk cert`: the certificates of the links between nodes.  Reads and writes files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.asking import Json

if TYPE_CHECKING:
    from cryptography import x509

    from node.certs.folder import CertificateFolder

app = typer.Typer(
    help="Certificates of the links between nodes: an authority of the cluster's own.",
    no_args_is_help=True,
)

Dir = Annotated[
    Path,
    typer.Option("--dir", envvar="UNIDESK_CERTS", help="Where ca.crt and ca.key are."),
]
DAYS_HELP = "How long it is good."
Force = Annotated[bool, typer.Option("--force", help="Overwrite what is there.")]
Host = Annotated[
    list[str] | None,
    typer.Option("--host", metavar="HOST", help="A name or address of the node. Repeatable."),
]


@app.command()
def init(
    folder: Dir = Path(),
    name: Annotated[str, typer.Option(help="Of the authority, for people.")] = "unidesk CA",
    days: Annotated[int, typer.Option(min=1, max=36500, help=DAYS_HELP)] = 3650,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Make the cluster's authority: ca.crt for every node, ca.key for nobody.

    Keep ca.key off the nodes: whoever has it makes nodes.

    Example:  unidesk cert init --dir certs
    """
    from node.cli.output import console, print_json

    with _refusals():
        made = _folder(folder).begin(name, days=days, force=force)
    files = _folder(folder).files("ca")
    if as_json:
        print_json({"cert": str(files.cert), "key": str(files.key), **shown(made.certificate)})
    else:
        console().print(f"{files.cert}: {_line(made.certificate)}\n{files.key}: its key; keep it")


@app.command()
def issue(
    node: Annotated[str, typer.Argument(metavar="NODE", help="The node's id, as in node.toml.")],
    host: Host = None,
    folder: Dir = Path(),
    days: Annotated[int, typer.Option(min=1, max=36500, help=DAYS_HELP)] = 365,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Make a node's certificate and key, and say what node.toml needs.

    The other nodes let nobody in with it who calls itself otherwise.

    Example:  unidesk cert issue n1 --host 10.0.0.1 --dir certs
    """
    from node.certs.authority import is_host
    from node.cli.output import console, print_json
    from node.cli.problem import USAGE, Problem
    from node.tables import NAME

    if not NAME.fullmatch(node):
        raise Problem(f"{node!r} is no id of a node: a-z, 0-9, _ and -, at most 32", USAGE)
    for one in host or ():
        if not is_host(one):
            raise Problem(f"--host {one!r} is no name or address of a machine", USAGE)
    with _refusals():
        made = _folder(folder).issue(node, host or (), days=days, force=force)
    files, ca = _folder(folder).files(node), _folder(folder).files("ca").cert
    if as_json:
        print_json({"cert": str(files.cert), "key": str(files.key), **shown(made.certificate)})
        return
    console().print(f"{files.cert}: {_line(made.certificate)}")
    print(f'\n[peer.tls]\ncert = "{files.cert}"\nkey = "{files.key}"\nca = "{ca}"')


@app.command()
def rotate(
    nodes: Annotated[
        list[str] | None, typer.Argument(metavar="[NODE]...", help="Nodes; all when none is named.")
    ] = None,
    ca: Annotated[bool, typer.Option("--ca", help="The authority, not the nodes.")] = False,
    finish: Annotated[
        bool, typer.Option("--finish", help="With --ca: believe the new authority alone.")
    ] = False,
    folder: Dir = Path(),
    days: Annotated[int | None, typer.Option(min=1, max=36500, help=DAYS_HELP)] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Make certificates anew: with new keys, the same hosts, by the newest authority.

    The authority too, in three steps: --ca, then the nodes, then --ca --finish; after each, bring
    the files to all nodes. They find them by themselves, and no client notices.

    Example:  unidesk cert rotate n1 n2 n3 --dir certs
    """
    from node.cli.output import console, print_json
    from node.cli.problem import USAGE, Problem

    if (finish and not ca) or (ca and nodes):
        raise Problem("--finish goes with --ca, and --ca with no nodes: see --help", USAGE)
    at, out = _folder(folder), console()
    with _refusals():
        if finish:
            dropped = at.finish_rotation(force=force)
            told: Any = {"dropped": dropped, **shown(at.authority().certificate)}
            text = f"{at.files('ca').cert}: one authority; bring it to every node"
        elif ca:
            made = at.rotate_authority(days=days or 3650, force=force)
            told = {"cert": str(at.files("ca").cert), **shown(made.certificate)}
            text = (
                f"{at.files('ca').cert}: {_line(made.certificate)}, and the one before\n"
                "bring it to every node first; then `unidesk cert rotate`, and the nodes' files;"
                "\nthen `unidesk cert rotate --ca --finish`, and ca.crt once more"
            )
        else:
            named = nodes or list(at.nodes())
            if not named:
                mend = "`unidesk cert issue NODE` makes one, in the folder of `unidesk cert init`"
                raise Problem(f"{folder}: no node has a certificate here; {mend}")
            told = {node: shown(at.reissue(node, days=days or 365).certificate) for node in named}
            text = "\n".join(f"{at.files(node).cert}: until {told[node]['until']}" for node in told)
    print_json(told) if as_json else out.print(text)


@app.command()
def show(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="Certificates; else of --dir.")
    ] = None,
    folder: Dir = Path(),
    as_json: Json = False,
) -> None:
    """Say what is in certificates, and how long they are good.

    Exit code 1 when one has expired.

    Example:  unidesk cert show --dir certs
    """
    from node.certs.folder import read_certificates
    from node.cli.output import console, fitting, print_json
    from node.cli.problem import Problem

    files = paths or sorted(folder.glob("*.crt"))
    if not files:
        raise Problem(f"{folder}: no certificates; `unidesk cert init` makes an authority there")
    with _refusals():
        rows = [
            {"file": str(path), **shown(one)} for path in files for one in read_certificates(path)
        ]
    if as_json:
        print_json(rows)
    else:
        cells = [
            (
                one["file"],
                one["subject"],
                one["node"] or ("authority" if one["authority"] else ""),
                ", ".join(one["hosts"]),
                one["until"][:10],
                "EXPIRED" if one["days_left"] < 0 else str(one["days_left"]),
            )
            for one in rows
        ]
        columns = ("file", "subject", "node", "hosts", "until", "days")
        console().print(fitting(columns, cells, ("subject", "hosts", "until")))
    if any(one["days_left"] < 0 for one in rows):
        raise typer.Exit(1)


def shown(certificate: "x509.Certificate") -> dict[str, Any]:
    """Return what is in a certificate, as JSON has it."""
    from datetime import UTC, datetime

    from cryptography.hazmat.primitives import hashes

    from node.certs.authority import hosts_of, is_authority, node_of

    until = certificate.not_valid_after_utc
    return {
        "subject": certificate.subject.rfc4514_string(),
        "node": node_of(certificate),
        "hosts": hosts_of(certificate),
        "authority": is_authority(certificate),
        "issuer": certificate.issuer.rfc4514_string(),
        "serial": f"{certificate.serial_number:x}",
        "since": certificate.not_valid_before_utc.isoformat(),
        "until": until.isoformat(),
        "days_left": (until - datetime.now(UTC)).days,
        "sha256": certificate.fingerprint(hashes.SHA256()).hex(),
    }


def _line(certificate: "x509.Certificate") -> str:
    told = shown(certificate)
    hosts = f" at {', '.join(told['hosts'])}" if told["hosts"] else ""
    return f"{told['subject']}{hosts}, until {told['until'][:10]} ({told['days_left']} days)"


def _folder(path: Path) -> "CertificateFolder":
    from node.certs.folder import CertificateFolder

    return CertificateFolder(path)


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn refusals into problems: words, and exit code 1."""
    from node.certs.folder import CertificatesRefused
    from node.cli.problem import Problem

    try:
        yield
    except CertificatesRefused as refused:
        raise Problem(str(refused)) from None
