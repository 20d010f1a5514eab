"""`python -m node`: the `unidesk` command."""

import sys

from node.cli import main

sys.exit(main())
