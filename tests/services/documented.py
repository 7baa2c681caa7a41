"""Whatever is asked at an endpoint of a published document, the answer is one that is documented there."""

from collections.abc import Mapping
from typing import Any

import hypothesis
from hypothesis.strategies import none, sampled_from, sets


def check_answers(
    operation: Any, sensible: Mapping[str, Any], mode: str, most: int, headers: Mapping[str, str] | None = None
) -> None:
    """Ask ``most`` questions of a mode, with ``sensible`` values in fields of their names but for some of them."""
    from schemathesis import GenerationMode
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    documented = [
        not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
    ]

    @hypothesis.seed(1)
    @hypothesis.settings(
        max_examples=most, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
    @hypothesis.given(
        case=operation.as_strategy(generation_mode=GenerationMode(mode)),
        invented=none() | sets(sampled_from(sorted(sensible))),
    )
    def ask(case: Any, *, invented: set[str] | None) -> None:
        kept = sensible.keys() - (invented or ())
        for given in (case.path_parameters, case.query, case.body):
            if isinstance(given, dict) and mode == "positive":
                given.update({name: sensible[name] for name in kept & given.keys()})
        if headers is not None:
            (case.headers or {}).pop("Mirage-Workspace", None)  # whose token is good there is another test
        case.call_and_validate(checks=documented, timeout=30.0, headers=headers)

    ask()
