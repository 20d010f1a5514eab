"""How hard Hypothesis looks: `default` on every run, `soak` when asked for."""

from hypothesis import settings

settings.register_profile("default", deadline=None)
settings.register_profile("soak", max_examples=2_000, stateful_step_count=100, deadline=None)
settings.load_profile("default")
