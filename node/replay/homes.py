"""Rules that keep the two sides of a conversation on different nodes.  No I/O.

    a visitor begins at n1   tag replay_node = "n1" ──rule──▶ queue from_n1, skill beyond_n1
    an agent connects to n2  skills beyond_n1, beyond_n3

So each message has to cross the cluster; after a failover either side may end up anywhere.
"""

from collections.abc import Iterable

TAG = "replay_node"


def rules(nodes: Iterable[str]) -> dict[str, str]:
    """Return the rule files for a cluster of `nodes`."""
    blocks = [f'[vars]\ntags.{TAG} = "string"\n', "[queue.general]\n"]
    for node in nodes:
        blocks.append(f'[queue.from_{node}]\nskills = ["beyond_{node}"]\n')
        condition = f"'tags.{TAG} == \"{node}\"'"
        blocks.append(f'[rule.from_{node}]\nwhen = {condition}\nroute = "from_{node}"\n')
    blocks.append('[fallback]\nroute = "general"\n')
    return {"replay.toml": "\n".join(blocks)}


def skills(nodes: Iterable[str], home: str) -> dict[str, int]:
    """Return the skills of an agent who connects to `home`; of the only node, all there are."""
    others = [node for node in nodes if node != home]
    return {f"beyond_{node}": 1 for node in others or [home]}


def from_home(urls: tuple[str, ...], place: int) -> list[str]:
    """Return `urls` beginning with the one at `place`."""
    start = place % len(urls)
    return [*urls[start:], *urls[:start]]
