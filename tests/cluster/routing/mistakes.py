"""Ten mistakes of people who write no programs, and what is said of each.

python -m tests.cluster.routing.mistakes      writes them anew into the how-to
"""

from pathlib import Path

from cluster.routing.ruleset import compile_rules
from cluster.toml_source import SourceErrors

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "write-routing-rules.md"
BEGIN, END = "<!-- ten mistakes: begin -->\n", "<!-- ten mistakes: end -->\n"

MISTAKES = {
    "Curly quotes, from a word processor or a Chinese keyboard": """\
[rule.vip_user]
when  = “tags.arpu > 5000”
route = 'premium_support'
""",
    "Text without quotes": """\
[rule.vip_user]
when  = 'tags.arpu > 5000'
route = premium_support
""",
    "A name that is spelt differently elsewhere": """\
[vars]
tags.arpu = 'number'

[queue.premium_support]
[queue.general]

[rule.vip_user]
when  = 'tags.apru > 5000'
route = 'premum_support'
""",
    "Words for signs": """\
[rule.vip_user]
when  = 'tags.arpu > 5000 and lang == "zh"'
route = 'premium_support'
""",
    "One sign of equality": """\
[rule.vip_user]
when  = 'tags.tier = "gold"'
route = 'premium_support'
""",
    "A number in quotes, or with a comma": """\
[vars]
tags.arpu = 'number'

[rule.vip_user]
when  = 'tags.arpu > "5000"'
route = 'premium_support'

[rule.whale]
when  = 'tags.arpu > 50,000'
route = 'premium_support'
""",
    "A text in a condition without quotes, or with one missing": """\
[rule.gold]
when  = 'tags.tier == gold'
route = 'premium_support'

[rule.silver]
when  = 'tags.tier == "silver'
route = 'general'
""",
    "A comma missing between steps, or a `for`": """\
[rule.vip_user]
steps = [
  { queue = 'premium_support' }
  { queue = 'general' },
]
""",
    "Hours as people write them": """\
[hours.office]
tz   = 'Beijing'
week = { monday-friday = '09:00-18:00', sat = '10-16' }
""",
    "A test that expects what the rules do not do": """\
[rule.vip_user]
when  = 'tags.arpu > 5000'
route = 'premium_support'
test  = [{ in = { tags = { arpu = 5000 } }, queue = 'premium_support' }]
""",
}


def said(text: str) -> str:
    """Return what is said of a file; raises `AssertionError` where it is well."""
    try:
        compile_rules({"main.toml": text})
    except SourceErrors as errors:
        return str(errors)
    raise AssertionError("no mistake")


def written() -> str:
    """Return the part of the page."""
    parts = [
        f"**{number}. {title}**\n\n```text\n{text.rstrip()}\n```\n\n```text\n{said(text)}\n```\n"
        for number, (title, text) in enumerate(MISTAKES.items(), start=1)
    ]
    return "\n" + "\n".join(parts) + "\n"


def replaced(page: str) -> str:
    """Return the page with that part anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + written() + END + after


if __name__ == "__main__":
    PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
