"""What `tomllib` says of a mistake, in words that somebody who writes no programs can act on.
No I/O.

    it says                                 here                     mend
    Invalid value                           premium is no value      write it in quotes
    Illegal character '\\n'                  a quote is not closed    add the closing quote
    Cannot declare ('rule', 'a') twice      [rule.a] a second time   rename one, or join the two
    Unclosed array                          a list is not closed     add a comma or the closing ]

What is not in the table is said as it is.
"""

import re

CURLY = "“”‘’„«»＂＇"
"""Quotes of word processors and of Chinese keyboards; a file wants straight ones."""

_TWICE = re.compile(r"Cannot (?:declare|mutate immutable namespace) \((.*?)\)(?: twice)?")
_WORD = re.compile(r"[^\s,\]}#]+")
_CONDITIONS = ("when", "require", "skip_if")


def in_words(message: str, line: str, column: int) -> tuple[str, str]:
    """Return what is wrong and how to mend it; `column` counts from 1."""
    rest = line[column - 1 :]
    if message.startswith("Invalid value"):
        return _value(line, rest)
    if "Illegal character" in message and not rest:
        return "a quote is not closed", "add the closing quote at the end"
    if found := _TWICE.match(message):
        name = ".".join(part.strip(" '\"") for part in found[1].split(",") if part.strip())
        return f"[{name}] is here a second time", "rename one, or join the two"
    if message.startswith("Cannot overwrite a value"):
        return "this key is here a second time", "remove one of them"
    if message.startswith("Expected ']' at the end of a table"):
        if rest.strip():
            return "a name with blanks or signs in it", "use a-z, 0-9, _ and -"
        return "a table's name is not closed", "add the closing ]"
    if message.startswith("Unclosed array"):
        return "a list is not closed, or lacks a comma", "add , between its parts, or ] at its end"
    if message.startswith("Unclosed inline table"):
        return "a table is not closed, or lacks a comma", "add , between its parts, or } at its end"
    if message.startswith("Invalid initial character for a key") and not rest and "{" in line:
        return "a table in { } ends too early", "what is in { } must stand on one line"
    if message.startswith("Expected '=' after a key"):
        return "a name without a value", 'write name = value, as in route = "general"'
    if message.startswith("Expected newline or end of document"):
        mend = "one value a line; around text with \" in it write '...'"
        return "too much on one line", mend
    return message, "mend the TOML there"


def _value(line: str, rest: str) -> tuple[str, str]:
    if rest[:1] in CURLY and rest:
        return f"{rest[0]} is no straight quote", "type ' or \" on an English keyboard"
    key = line.split("=", 1)[0].strip()
    if key in _CONDITIONS:
        return f"{key!r} without quotes", f"write it in quotes, {key} = '...'"
    word = _WORD.match(rest)
    if word is None and not line.rstrip().endswith("="):
        return "a value ends too early", "close what is open: a quote, ], or }"
    if word is None:
        return "a name without a value", 'write name = value, as in route = "general"'
    return f"{word[0][:40]!r} is no value", f'text stands in quotes: "{word[0][:40]}"'
