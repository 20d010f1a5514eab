"""Chaos: a node that breaks its own part on purpose, and a scenario's run and report.

plugin ── faults ── wire, disk, stopping     in the node, where `[chaos] enabled`
scenario ── run ── load, watching            at the operator's, `unidesk chaos run`
record ── page ── plot                       what came of it
"""
