"""Traces: a request's way through the nodes, in logs and at a collector.

    part          what it does
    requests.py   which requests are traced; the span of each, from asking to answer
    spans.py      what becomes of spans: log lines, and a queue to the collector
    otlp.py       the thread that sends them there (OTLP/HTTP); imported where it is configured
    figures.py    how many were sent, dropped, refused

What happens between the nodes is `cluster.tracing`'s.
"""
