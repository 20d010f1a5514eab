"""How hard Hypothesis looks: `default` on every run, `soak` when asked for; gRPC beside forks."""

import os

from hypothesis import settings

# The tests' own process has gRPC's threads, and starts nodes with a step between fork and exec.
# There gRPC's fork handlers hang, or abort: a test that never ends, a node that never was.
# It is read when gRPC is first imported.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

settings.register_profile("default", deadline=None)
settings.register_profile("soak", max_examples=2_000, stateful_step_count=100, deadline=None)
settings.load_profile("default")
