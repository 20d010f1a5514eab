"""Why an expression cannot be compiled, with its place.  No I/O.

unknown variable 'tagz.arpu'
    tagz.arpu > 5000
    ^
    did you mean 'tags'?
"""

from cluster.toml_source import caret_under


class ExpressionError(Exception):
    """The expression cannot be compiled; `offset` is that of the mistake, from 0."""

    def __init__(self, source: str, offset: int, problem: str, mend: str = "") -> None:
        self.offset = offset
        self.problem = problem
        self.mend = mend
        before = source[:offset]
        start = before.rfind("\n") + 1
        line = source[start:].split("\n", 1)[0]
        text = f"{problem}\n{caret_under(line, offset - start + 1)}"
        super().__init__(text + (f"\n    {mend}" if mend else ""))
