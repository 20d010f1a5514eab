"""What a node is told of healing.  No I/O."""

from dataclasses import dataclass
from typing import Literal

HealMode = Literal["act", "observe", "off"]
"""`observe`: decide and write down, and do nothing; `off`: not even look.

What keeps the log true is no matter of healing and cannot be turned off: fencing, elections,
recovery at a start, ending when the disk failed.
"""


@dataclass(frozen=True, slots=True)
class HealSettings:
    """The table `[heal]` of node.toml."""

    mode: HealMode = "act"
    replace_after_s: float = 600.0
    """A voter dead for so long gives way to a standby; no majority for so long needs a person."""
