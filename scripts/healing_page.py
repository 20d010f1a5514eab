"""The table of `docs/reference/healing.md`, made from `cluster.heal.rules`.

python -m scripts.healing_page     writes it anew
"""

from pathlib import Path

from cluster.heal.rules import RULES

PAGE = Path(__file__).parent.parent / "docs/reference/healing.md"
HEAD = "|---|---|---|---|---|\n"


def filled(page: str) -> str:
    """Return the page with the rules of now."""
    before, after = page.split(HEAD, 1)
    rest = after[after.index("\n\n") if not after.startswith("\n") else 0 :]
    return before + HEAD + "\n".join(_row(number) for number in RULES) + rest


def _row(number: int) -> str:
    rule = RULES[number]
    return f"| {number} | {rule.name} | {rule.seen} | {rule.done} | {rule.never} |"


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text()))
