"""One way out for log lines, ours and the libraries', without secrets."""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

from core.redaction import scrub
from dragoman.metrics import count

OURS = "dragoman"


def configure(*, level: str, form: str, errors: Any = structlog.processors.format_exc_info) -> None:
    """Send every log line to stderr, as columns for a person or as JSON for a machine.

    `errors` is the processor that renders one.
    """
    as_json = form == "json" or (form == "auto" and not sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # First, since what is rendered later is not scrubbed any more.
        errors,
        _without_secrets,
    ]
    structlog.configure(
        processors=[
            # What is not logged is counted all the same.
            count,
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
        logger_factory=lambda *_: logging.getLogger(OURS),
        cache_logger_on_first_use=False,
    )
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        else structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    # Libraries tell of their own start at INFO, and some log tokens, bodies or each request there.
    # Some set a level of their own when they are imported, so the handler has the last word.
    handler.addFilter(lambda record: record.name == OURS or record.levelno >= logging.WARNING)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger(OURS).setLevel(level.upper())


def _without_secrets(
    logger: object, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """The last line of defence: what looks like a secret is masked in any text that is logged."""
    for key, value in event.items():
        # The library's own record is taken out before the line is written.
        if key != "_record":
            event[key] = _scrubbed(value)
    return event


def _scrubbed(value: object) -> object:
    """A value as it may be logged; what is no text, number, list or mapping as its `repr`."""
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return scrub(value)
        case Mapping():
            return {scrub(str(key)): _scrubbed(one) for key, one in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_scrubbed(one) for one in value]
    return scrub(repr(value))
