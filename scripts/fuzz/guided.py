"""One target in atheris' loop, until the time is over.  Started by the runner; never returns.

Only our own code and the parsers that it calls are instrumented, so that coverage speaks of them.
"""

import sys

import atheris

with atheris.instrument_imports(include=["node", "cluster", "wal", "h11", "wsproto"]):
    from scripts.fuzz.targets import TARGETS

if __name__ == "__main__":
    name, *flags = sys.argv[1:]
    atheris.Setup([sys.argv[0], *flags], TARGETS[name].survive)
    atheris.Fuzz()
