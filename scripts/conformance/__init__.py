"""Other people's conformance suites, run against our edge."""
