"""How this process logs: one line an event, for machines or for people.  Talks to standard error.

    format     who reads it
    json       a log store: one object a line, `timestamp` in UTC, `level`, `event`, its fields
    console    a person at a terminal

A line that is written while a traced request is served bears its `trace_id` and `span_id`, the same
at every node.  Logs of libraries that use the standard module go the same way.
"""

import logging
import sys
from typing import Literal

import structlog

from cluster.tracing import CURRENT

Format = Literal["json", "console"]
Level = Literal["debug", "info", "warning", "error"]


def configure(form: Format = "json", level: Level = "info", *, node: str = "") -> None:
    """Set up logging for the whole process; every line names `node` when it is given."""
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_trace,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _naming(node),
    ]
    last: list[structlog.typing.Processor]
    if form == "json":
        last = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=str),
        ]
    else:
        # Without the values of variables: they hold tokens, and what people say.
        last = [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=number, force=True)


def _add_trace(
    _logger: structlog.typing.WrappedLogger, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    trace = CURRENT.get()
    if trace is not None:
        event.setdefault("trace_id", trace.trace_id)
        event.setdefault("span_id", trace.span_id)
    return event


def _naming(node: str) -> structlog.typing.Processor:
    def add_node(
        _logger: structlog.typing.WrappedLogger, _method: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        if node:
            event.setdefault("node", node)
        return event

    return add_node
