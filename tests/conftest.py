"""No test asserts a time, those that make up their examples included: a machine may be busy."""

import hypothesis
import structlog

hypothesis.settings.register_profile("mirage", deadline=None)
hypothesis.settings.load_profile("mirage")

# By itself structlog draws each traceback with its source and its variables: half a second, of which nobody reads any.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)
