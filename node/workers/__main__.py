"""`python -m node.workers`: a worker process, started by its node's core."""

import sys

from node.workers.worker import main

sys.exit(main(sys.argv[1:]))
