"""What the outcomes of a source say of its health, and which settings a module takes. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from services.contracts.facts import ANSWERED, DeclaredModule, SourceOutcome
from services.contracts.resources import Health
from services.kernel.errors import Invalid

#: Not the source's doing: a scope, a missing key.
NEUTRAL: Final = frozenset({"skipped", "unauthorised"})
#: So many runs without a single answer, and a source counts as down.
DOWN_AFTER: Final = 3

#: Limits of what a person may set: characters of a text, and the integers that every JSON reader keeps exactly.
LONGEST: Final = 1000
LARGEST: Final = 2**53
SPOKEN: Final[dict[type, str]] = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}

Options = dict[str, bool | int | float | str]


def newest(announcements: Iterable[Sequence[DeclaredModule]]) -> dict[str, DeclaredModule]:
    """Of the modules that collectors have, each in its highest version, by id."""
    found: dict[str, DeclaredModule] = {}
    for module in (each for modules in announcements for each in modules):
        if module.id not in found or found[module.id].version < module.version:
            found[module.id] = module
    return found


def weigh(outcome: SourceOutcome) -> tuple[int, int]:
    """Count items that the source answered, and items that it did not."""
    answered = sum(count for name, count in outcome.outcomes.items() if name in ANSWERED)
    failed = sum(count for name, count in outcome.outcomes.items() if name not in ANSWERED | NEUTRAL)
    return answered, failed


def judge(
    *, answered: int, failed: int, failing: int, last_answer: int | None, last_failure: int | None, reason: str
) -> Health:
    """The health of a source; ``failing`` counts the latest runs in which it answered nothing."""
    if failing >= DOWN_AFTER:
        state = "down"
    elif failing or (last_failure is not None and last_failure == last_answer):
        state = "degraded"
    else:
        state = "well" if answered else "unknown"
    return Health(
        state=state,  # type: ignore[arg-type]
        answered=answered,
        failed=failed,
        last_answer=last_answer,
        last_failure=last_failure,
        reason=reason if state != "well" else "",
    )


def check_options(declared: DeclaredModule, options: Mapping[str, bool | float | str]) -> Options:
    """Options of the types that the module declares.

    Raises:
        Invalid: an option that it does not have, a value of another type or form, or one that is too long or too large.
    """
    checked: Options = {}
    for name, value in options.items():
        if name not in declared.options:
            known = ", ".join(sorted(declared.options)) or "none"
            raise Invalid(f"{declared.id} has no option {name}; it has {known}")
        default = declared.options[name]
        if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)  # noqa: PLW2901  a whole number is a number too
        if type(value) is not type(default):
            raise Invalid(f"the option {name} of {declared.id} is {SPOKEN[type(default)]}")
        if isinstance(value, str) and len(value) > LONGEST:
            raise Invalid(f"the option {name} of {declared.id} has at most {LONGEST} characters")
        form = declared.forms.get(name)
        if isinstance(value, str) and form is not None and not re.fullmatch(form, value):
            raise Invalid(f"{value[:80]!a} is not what {declared.id} takes for {name}; the default is {default}")
        if isinstance(value, int | float) and not -LARGEST <= value <= LARGEST:
            raise Invalid(f"the option {name} of {declared.id} is too large a number")
        if isinstance(value, int | float) and isinstance(default, int | float) and value < 0 <= default:
            raise Invalid(f"the option {name} of {declared.id} is a count, which is never below 0")
        checked[name] = value
    return checked


def fit_options(declared: DeclaredModule, options: Mapping[str, bool | float | str]) -> Options:
    """All options of the module, as set where that still fits: a newer version may have others."""
    fitting: Options = dict(declared.options)
    for name, value in options.items():
        with suppress(Invalid):
            fitting.update(check_options(declared, {name: value}))
    return fitting
