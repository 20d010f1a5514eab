"""Pages lead to pages: every relative link of README, docs/ and DESIGN.md arrives, and every page
is found from docs/README.md.
"""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted({ROOT / "README.md", *DOCS.rglob("*.md"), *ROOT.glob("[a-z]*/**/DESIGN.md")})
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """Yield where the page's links go, and to which heading there."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)
    for path, heading in LINK.findall(text):
        yield (page.parent / path).resolve() if path else page, heading


def anchors(page: Path) -> set[str]:
    """Return the headings of a page as links name them."""
    found = set()
    for title in re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title).lower()
        found.add(re.sub(r"[^\w\- ]", "", words).replace(" ", "-"))
    return found | set(re.findall(r'(?:id|name)="([^"]+)"', page.read_text()))


def test_every_link_arrives() -> None:
    lost = [
        f"{page.relative_to(ROOT)}: {target} {heading}"
        for page in PAGES
        for target, heading in links(page)
        if not target.exists()
        or (heading and target.suffix == ".md" and heading not in anchors(target))
    ]
    assert not lost, "\n".join(lost)


def test_every_page_is_found_from_the_index() -> None:
    reached = {target for target, _ in links(DOCS / "README.md")}
    folders = {one for one in reached if one.is_dir()}
    missed = [
        str(page.relative_to(DOCS))
        for page in DOCS.rglob("*.md")
        if page != DOCS / "README.md" and page not in reached and page.parent not in folders
    ]
    assert not missed, missed
