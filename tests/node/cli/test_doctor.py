"""What `unidesk doctor` finds wrong, fact by fact."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from node.cli.codes import FAILED, OK, WARNED
from node.cli.doctor import examine, exit_code
from node.cli.doctor_facts import CertificateFacts, Machine, Nodes
from node.cli.doctor_gather import (
    _certificate,
    _filesystem,
    _sync_ms,
    _wrong_libraries,
    ahead_ms,
)
from node.client.status import NodeStatus

WELL = Machine(
    config="node.toml",
    node="n1",
    key_mode=0o600,
    key_file="cluster.key",
    folder="/var/lib/unidesk",
    filesystem="ext4",
    free_bytes=50,
    total_bytes=100,
    sync_ms=1.5,
    files_max=65_536,
    memory_free_bytes=2**33,
    python=(3, 11, 7),
    workers=4,
    migrate_requests=1,
)


def status(name: str, **more: Any) -> NodeStatus:
    known: dict[str, Any] = {
        "cluster": "demo",
        "node": name,
        "version": "1",
        "standing": "serving",
        "role": "leader" if name == "n1" else "follower",
        "leader": "n1",
        "term": 3,
        "commit_index": 90,
        "applied_index": 90,
        "nodes": [
            {"id": one, "url": f"ws://{one}/v1/ws", "member": "voter"} for one in ("n1", "n2", "n3")
        ],
    }
    return NodeStatus(**known | more)


def nodes(*statuses: NodeStatus, **more: Any) -> Nodes:
    found = {f"ws://{one.node}/v1/ws": one for one in statuses}
    return Nodes(dict(found), **more)


def three(**of_third: Any) -> Nodes:
    return nodes(status("n1"), status("n2"), status("n3", **of_third))


def found(machine: Machine | None, there: Nodes | None) -> list[tuple[str, str]]:
    return [(one.weight, one.check) for one in examine(machine, there)]


def test_nothing_is_found_where_all_is_well() -> None:
    assert found(WELL, three()) == []
    assert exit_code(examine(WELL, three())) == OK


@pytest.mark.parametrize(
    ("facts", "weight", "check"),
    [
        ({"key_mode": 0o640}, "wrong", "key file"),
        ({"certificates": (CertificateFacts("c.pem", -1.0),)}, "wrong", "certificate"),
        ({"certificates": (CertificateFacts("c.pem", 2.0),)}, "wrong", "certificate"),
        ({"certificates": (CertificateFacts("c.pem", 20.0),)}, "warning", "certificate"),
        ({"certificates": (CertificateFacts("c.pem", None, "no"),)}, "wrong", "certificate"),
        ({"beyond_loopback_without_tls": ("client",)}, "warning", "TLS"),
        ({"clients_from_beyond": True}, "warning", "figures"),
        ({"observe": "0.0.0.0:7401"}, "warning", "figures"),
        ({"observe": ":::7401"}, "warning", "figures"),
        ({"observe": "0:7401"}, "warning", "figures"),
        ({"observe": "::ffff:0.0.0.0:7401"}, "warning", "figures"),
        ({"observe": "8.8.8.8:7401"}, "warning", "figures"),
        ({"folder_why": "it is no folder"}, "wrong", "data folder"),
        ({"filesystem": "tmpfs"}, "warning", "file system"),
        ({"filesystem": "nfs4"}, "wrong", "file system"),
        ({"free_bytes": 10}, "warning", "disk room"),
        ({"free_bytes": 4}, "wrong", "disk room"),
        ({"sync_ms": 0.001}, "warning", "syncs"),
        ({"sync_ms": 30.0}, "warning", "syncs"),
        ({"sync_ms": 300.0}, "wrong", "syncs"),
        ({"ports": {"peer": "taken"}}, "wrong", "port"),
        ({"files_max": 1024}, "warning", "open files"),
        ({"memory_free_bytes": 2**20}, "warning", "memory"),
        ({"migrate_requests": 0}, "warning", "workers"),
        ({"python": (3, 10, 1)}, "wrong", "Python"),
        ({"libraries": {"trio": "is not installed"}}, "wrong", "libraries"),
    ],
)
def test_each_fact_of_a_machine_has_its_finding(
    facts: dict[str, Any], weight: str, check: str
) -> None:
    assert found(replace(WELL, **facts), None) == [(weight, check)]


def test_who_was_removed_and_runs_is_not_told_to_wait_for_the_others() -> None:
    two = [{"id": name, "member": "voter"} for name in ("n1", "n2")]
    there = nodes(
        status("n1", nodes=two), status("n3", nodes=two, standing="fenced", abstains=True)
    )
    (finding,) = [one for one in examine(WELL, there) if one.check == "standing"]
    assert (finding.weight, finding.what) == ("warning", "n3 runs, and is no member")
    assert finding.mend == "stop it for good, or: unidesk cluster members add n3"


def test_a_leader_of_an_earlier_release_that_names_no_members_makes_nobody_a_stranger() -> None:
    rows = [{"id": name, "url": f"ws://{name}/v1/ws"} for name in ("n1", "n2", "n3")]
    there = nodes(*(status(name, nodes=rows) for name in ("n1", "n2", "n3")))
    assert [one for one in examine(WELL, there) if one.check == "standing"] == []


@pytest.mark.parametrize("observe", ["127.0.0.1:7401", "::1:7401", "10.0.0.1:7401", "desk1:7401"])
def test_machines_that_look_where_no_stranger_comes_are_no_finding(observe: str) -> None:
    assert found(replace(WELL, clients_from_beyond=True, observe=observe), None) == []


@pytest.mark.parametrize(
    ("there", "weight", "check"),
    [
        (nodes(), "wrong", "nodes"),
        (Nodes({"ws://n1/v1/ws": None}), "wrong", "nodes"),
        (three(standing="fenced", why="alone"), "wrong", "standing"),
        (three(standing="draining"), "warning", "standing"),
        (three(abstains=True), "warning", "standing"),
        (three(violations=1), "wrong", "invariants"),
        (three(leader="n2"), "warning", "leader"),
        (three(quorum_heard_s=9.0), "wrong", "leader"),
        (three(cluster="other"), "wrong", "cluster id"),
        (three(version="2"), "warning", "versions"),
        (three(applied_index=0, commit_index=9_000), "warning", "lag"),
        (three(storage={"free_bytes": 1, "total_bytes": 100}), "wrong", "disk room"),
        (three(storage={"syncs": 10, "sync_seconds_total": 1.0}), "warning", "syncs"),
        (replace(three(), wall_ms={"n1": 0.0, "n2": 700.0}), "warning", "clocks"),
        (replace(three(), wall_ms={"n1": 0.0, "n2": 9_000.0}), "wrong", "clocks"),
        (replace(three(), digests={"n1": (9, "a"), "n2": (9, "b")}), "wrong", "copies"),
        (replace(three(), peer_ports={"n2": "refused"}), "warning", "peer ports"),
    ],
)
def test_each_fact_of_the_nodes_has_its_finding(there: Nodes, weight: str, check: str) -> None:
    assert (weight, check) in found(None, there)


def test_states_at_two_indexes_are_not_compared() -> None:
    assert not found(None, replace(three(), digests={"n1": (9, "a"), "n2": (10, "b")}))


def test_the_loss_of_a_zone_must_leave_a_majority() -> None:
    in_two = nodes(status("n1", zone="a"), status("n2", zone="a"), status("n3", zone="b"))
    in_three = nodes(status("n1", zone="a"), status("n2", zone="b"), status("n3", zone="c"))
    assert found(None, in_two) == [("warning", "zones")]
    assert found(None, in_three) == []


def test_an_even_number_of_voters_and_a_single_one_are_warned_of() -> None:
    for count in (1, 2, 4):
        rows = [{"id": f"n{n}", "url": "", "member": "voter"} for n in range(count)]
        assert ("warning", "voters") in found(None, nodes(status("n1", nodes=rows)))


NOW_MS = 1_795_431_600_000
DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("tls", "weight"),
    [
        ({"until_ms": NOW_MS + 60 * DAY_MS, "failed": ""}, None),
        ({"until_ms": NOW_MS + 10 * DAY_MS, "failed": ""}, "warning"),
        ({"until_ms": NOW_MS - DAY_MS, "failed": ""}, "wrong"),
        ({"until_ms": NOW_MS + 60 * DAY_MS, "failed": "n3.crt has another key"}, "wrong"),
        ({}, None),
    ],
)
def test_a_certificate_counts_that_a_node_shows_whatever_is_on_its_disk(
    tls: dict[str, Any], weight: str | None
) -> None:
    said = found(None, three(peer_tls=tls, wall_ms=NOW_MS))
    assert said == ([(weight, "certificate")] if weight else [])


def test_a_level_that_waits_is_told_from_an_upgrade_under_way() -> None:
    of_two = {"level": 2, "level_used": 1}
    waits = nodes(*(status(name, **of_two) for name in ("n1", "n2", "n3")))
    assert found(None, waits) == [("warning", "level")]
    assert found(None, three(version="2", **of_two)) == [("warning", "versions")]


def test_chaos_where_customers_are_is_warned_of_and_more_so_while_it_breaks_something() -> None:
    allowed = {"allowed": ["n1"], "faults": []}
    assert found(None, nodes(status("n1", chaos=allowed))) == [("warning", "chaos")]
    fault = {"kind": "pause", "groups": ["n1"], "by": "eve"}
    broken = nodes(status("n1", chaos=allowed | {"faults": [fault]}))
    assert found(None, broken) == 2 * [("warning", "chaos")]


def test_healing_that_is_off_and_a_backup_that_is_old_are_warned_of() -> None:
    assert found(None, three(heal_mode="off")) == [("warning", "healing")]
    assert found(None, three(heal_mode="observe")) == []
    for days, said in ((2, []), (9, [("warning", "backup")])):
        asked = three(wall_ms=NOW_MS, term=4, backup_ms=NOW_MS - days * DAY_MS)
        assert found(None, asked) == said


def test_the_worst_is_said_first_and_decides_the_exit_code() -> None:
    findings = examine(replace(WELL, files_max=10, key_mode=0o666), three(version="2"))
    assert [one.weight for one in findings] == ["wrong", "warning", "warning"]
    assert exit_code(findings) == FAILED
    assert exit_code(findings[1:]) == WARNED


def test_every_finding_says_what_to_do() -> None:
    findings = examine(
        replace(WELL, key_mode=0o777, sync_ms=500.0), three(standing="fenced", leader="")
    )
    assert all(one.mend and one.what for one in findings)


# -- gathering


def test_an_answer_that_was_late_is_no_wrong_clock() -> None:
    assert [ahead_ms(wall, 1_000, 3_000) for wall in (1_000, 2_900, 3_500, 400)] == [
        0,
        0,
        500,
        -600,
    ]


def test_facts_of_this_very_machine_can_be_had(tmp_path: Path) -> None:
    assert _filesystem(tmp_path)
    took_ms = _sync_ms(tmp_path)
    assert took_ms is not None
    assert took_ms > 0
    assert not list(tmp_path.iterdir()), "something was left behind"
    assert dict(_wrong_libraries()) == {}


def test_a_certificate_is_read_and_one_that_is_none_says_so(tmp_path: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "n1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=10))
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "cert.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    left = _certificate(path).days_left
    assert left is not None
    assert 9 < left < 11
    path.write_text("nothing")
    assert "cannot be read" in _certificate(path).why
