"""What is given to machines: systemd, Kubernetes, Docker; and to people: runbooks."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from node.cli import codes
from node.cli.drain import REQUEST_S
from node.config import TimingConfig
from node.config_file import parse
from tests.deploy.prometheus import DEPLOY, rules_of
from tests.test_docs_commands import wrong

ROOT = DEPLOY.parent
RUNBOOKS = ROOT / "docs" / "runbooks"
MANIFESTS: list[dict[str, Any]] = list(
    yaml.safe_load_all((DEPLOY / "kubernetes" / "unidesk.yaml").read_text())
)


def manifest(kind: str) -> dict[str, Any]:
    (found,) = [one for one in MANIFESTS if one["kind"] == kind]
    return found


def container() -> dict[str, Any]:
    (found,) = manifest("StatefulSet")["spec"]["template"]["spec"]["containers"]
    return dict(found)


def test_the_configuration_in_the_manifest_is_one(tmp_path: Path) -> None:
    """Rendered as the init container does it, and read as a node does."""
    text = manifest("ConfigMap")["data"]["node.toml"]
    for name in ("cluster.key", "node.crt", "node.key", "ca.crt"):
        (tmp_path / name).write_text("x" * 32)
    for number in range(3):
        rendered = text.replace("@POD@", f"unidesk-{number}").replace("@ZONE@", "dc1")
        rendered = re.sub(r'"/etc/unidesk/(?:cluster|peer)/', '"', rendered)
        config = parse(rendered, tmp_path / "node.toml")
        assert config.node.id == f"unidesk-{number}"
        assert config.node.zone == "dc1"
        assert config.nodes[config.node.id].url == config.client.url
        ports = {one["name"]: one["containerPort"] for one in container()["ports"]}
        assert config.observe is not None
        assert ports == {
            "client": config.client.listen[1],
            "peer": config.peer.listen[1],
            "observe": config.observe.listen[1],
        }
    assert len(config.nodes) == manifest("StatefulSet")["spec"]["replicas"]


def test_the_three_probes_ask_three_things() -> None:
    probes = {name: container()[f"{name}Probe"] for name in ("startup", "liveness", "readiness")}
    paths = {name: probe["httpGet"]["path"] for name, probe in probes.items()}
    assert paths == {"startup": "/startupz", "liveness": "/livez", "readiness": "/readyz"}
    assert {probe["httpGet"]["port"] for probe in probes.values()} == {"observe"}
    patience = {
        name: one["periodSeconds"] * one["failureThreshold"] for name, one in probes.items()
    }
    assert patience["readiness"] <= 5, "clients go elsewhere at once"
    assert patience["liveness"] >= 60, "a restart mends little, so it is the last resort"
    assert patience["startup"] >= 1_200, "a large log is read, and others are waited for"


def test_figures_are_for_machines_and_not_for_who_comes_by_a_service() -> None:
    services = [one["spec"] for one in MANIFESTS if one["kind"] == "Service"]
    shown = {port["targetPort"] for service in services for port in service["ports"]}
    assert shown == {"client", "peer"}
    metadata = manifest("StatefulSet")["spec"]["template"]["metadata"]
    scraped = metadata["annotations"]["prometheus.io/port"]
    ports = {one["name"]: one["containerPort"] for one in container()["ports"]}
    assert scraped == str(ports["observe"])
    policy = manifest("NetworkPolicy")["spec"]
    assert policy["podSelector"]["matchLabels"] == metadata["labels"]
    let_in = {one["ports"][0]["port"]: one.get("from") for one in policy["ingress"]}
    assert let_in.keys() == ports.keys()
    assert let_in["client"] is None
    assert all(let_in[port] for port in ("peer", "observe")), "not from anywhere"
    text = (DEPLOY / "prometheus" / "prometheus.yml").read_text()
    (job,) = yaml.safe_load(text)["scrape_configs"]
    targets = job["static_configs"][0]["targets"]
    assert {target.rpartition(":")[2] for target in targets} == {scraped}


def test_disruptions_leave_the_quorum_and_machines_do_not_share_nodes() -> None:
    assert manifest("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    stateful = manifest("StatefulSet")["spec"]
    assert stateful["podManagementPolicy"] == "Parallel", "a new cluster begins when all have met"
    pod = stateful["template"]["spec"]
    (apart,) = pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert apart["topologyKey"] == "kubernetes.io/hostname"
    assert pod["topologySpreadConstraints"][0]["topologyKey"] == "topology.kubernetes.io/zone"
    labels = stateful["template"]["metadata"]["labels"]
    for one in MANIFESTS:
        spec = one.get("spec", {})
        selector = spec.get("selector", spec.get("podSelector", {}))
        assert one["kind"] == "ConfigMap" or selector.get("matchLabels", selector) == labels
    peers = next(one for one in MANIFESTS if one["metadata"]["name"] == stateful["serviceName"])
    assert peers["spec"]["clusterIP"] == "None"
    assert peers["spec"]["publishNotReadyAddresses"] is True


def test_a_pod_that_is_ended_is_drained_first_within_its_grace_period() -> None:
    (*_, script) = container()["lifecycle"]["preStop"]["exec"]["command"]
    drain, sleep = script.splitlines()
    assert wrong(drain, exact=True) == ""
    settings = next(one for one in container()["args"] if one.endswith(".toml"))
    assert settings in drain
    waits_s = float(drain.split("--timeout ")[1]) + float(sleep.split()[1])
    pod = manifest("StatefulSet")["spec"]["template"]["spec"]
    assert waits_s + TimingConfig().drain_s + REQUEST_S < pod["terminationGracePeriodSeconds"]


def test_a_node_that_must_not_be_started_again_is_left_to_a_person() -> None:
    unit = (DEPLOY / "systemd" / "unidesk.service").read_text()
    assert f"RestartPreventExitStatus={codes.SUPERSEDED}\n" in unit


def test_the_container_may_do_little() -> None:
    pod = manifest("StatefulSet")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    for one in (*pod["initContainers"], *pod["containers"]):
        assert one["securityContext"]["readOnlyRootFilesystem"] is True
        assert one["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert "memory" in one["resources"]["limits"]
        assert "cpu" not in one["resources"]["limits"]
    mounted = {one["name"] for one in pod["containers"][0]["volumeMounts"]}
    claimed = {
        one["metadata"]["name"] for one in manifest("StatefulSet")["spec"]["volumeClaimTemplates"]
    }
    assert mounted <= claimed | {one["name"] for one in pod["volumes"]}


@pytest.mark.slow
@pytest.mark.peers
def test_kubernetes_own_schemas_accept_the_manifests() -> None:
    import kubernetes_validate

    for one in MANIFESTS:
        for version in ("1.30", "1.34"):
            kubernetes_validate.validate(one, version, strict=True)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
def test_systemd_reads_the_unit(tmp_path: Path) -> None:
    text = (DEPLOY / "systemd" / "unidesk.service").read_text()
    unit = tmp_path / "unidesk.service"
    unit.write_text(text.replace("/opt/unidesk/bin/unidesk", "/bin/true"))
    ran = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    ours = [line for line in ran.stderr.splitlines() if "unidesk.service" in line]
    assert not ours, ours
    ran = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=30", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout


def test_the_image_is_made_of_what_there_is() -> None:
    lines = (DEPLOY / "docker" / "Dockerfile").read_text().splitlines()
    copied = [word for line in lines if line.startswith("COPY ") for word in line.split()[1:-1]]
    for path in copied:
        assert path.startswith(("--", "/")) or (ROOT / path).exists(), path
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "otlp" in project["optional-dependencies"]


ALERTS = {rule["alert"]: rule for rule in rules_of("alerts.yml") if "alert" in rule}


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert {path.stem for path in RUNBOOKS.glob("Unidesk*.md")} == set(ALERTS)
    for name, rule in ALERTS.items():
        assert rule["annotations"]["runbook"] == f"docs/runbooks/{name}.md"


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_a_runbook_says_what_it_means_where_to_look_how_to_mend_and_whom_to_wake(name: str) -> None:
    text = (RUNBOOKS / f"{name}.md").read_text()
    assert text.startswith(f"# {name}\n")
    parts = (
        "**What it means.**",
        "**What users notice.**",
        "## Look",
        "## Mend",
        "## Whom to wake",
    )
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    look = text[places[2] : places[3]]
    assert "```console\n" in look, "something to type"
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (RUNBOOKS / target).resolve().exists(), target
