"""`python -m node.handover`: the process that takes a node over, started by the one that has it."""

import sys

from node.handover.successor import main

sys.exit(main(sys.argv[1:]))
