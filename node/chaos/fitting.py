"""Whether a scenario's steps can be done in the cluster that is there.  No I/O.

    a node, a zone that is not there        named, with those that are
    links of all nodes to nobody            all are on one side: nothing would be cut

What is found here is found before anything starts; what changes meanwhile, the cluster refuses.
"""

from collections.abc import Iterator, Mapping

from cluster.state.chaos import APART
from node.chaos.scenario import LEADER, Scenario, Step


def misfits(scenario: Scenario, zones: Mapping[str, str]) -> list[str]:
    """Return why steps cannot be done; `zones` are the nodes' zones by their ids."""
    return [f"step {step.name}: {why}" for step in scenario.steps for why in _why(step, zones)]


def _why(step: Step, zones: Mapping[str, str]) -> Iterator[str]:
    named = {name for group in step.groups for name in group.split(",")} - {LEADER}
    if unknown := sorted(named - set(zones)):
        yield f"no node {', '.join(unknown)}; there are {', '.join(sorted(zones))}"
        return
    there = sorted(set(zones.values()) - {""})
    if step.zone and step.zone != LEADER and step.zone not in there:
        yield f"no node is in zone {step.zone}; there is {', '.join(there) or 'none'}"
    elif step.zone == LEADER and "" in zones.values():
        without = ", ".join(sorted(name for name, zone in zones.items() if not zone))
        yield f"the leader may be in no zone: [node] zone is missing at {without}"
    elif step.zone and len(set(zones.values())) == 1:
        yield f"all nodes are in zone {there[0]}: there is nothing to cut it off from"
    elif step.kind in APART and len(step.groups) == 1 and named == set(zones):
        yield f"{step.groups[0]} are all nodes: there is nobody on the other side"
