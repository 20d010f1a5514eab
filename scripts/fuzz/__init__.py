"""Fuzzing of every decoder that foreign bytes reach.

    targets.py    one function per decoder: what it may answer to any bytes at all
    families.py   bytes that are meant to cost more than they should
    work.py       what an input costs: calls and memory, counted
    __main__.py   the runner: coverage-guided, one process per target

The targets know no fuzzer: Hypothesis runs them in the default suite, atheris for as long as one
likes.
"""
