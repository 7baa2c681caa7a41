"""Print the claims that a module makes of a case: `python -m tests.collector.record [--write] CASE.json…`.

`--write` also puts them into the case. Read them before you believe them: what is recorded is what the next change is
measured by.
"""

import asyncio
import json
import sys
from pathlib import Path

import msgspec

from tests.collector.recorded import replay


def main() -> None:
    arguments = sys.argv[1:]
    for name in arguments:
        if name != "--write":
            record(Path(name).resolve(), write="--write" in arguments)


def record(path: Path, *, write: bool) -> None:
    outcome = asyncio.run(replay(path))
    lines = [json.dumps(msgspec.to_builtins(claim), ensure_ascii=False) for claim in outcome.claims]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    if outcome.raised:
        sys.stdout.write(f"raises {outcome.raised}\n")
    if outcome.unused:
        sys.stdout.write(f"unused {outcome.unused}\n")
    if write:
        case = json.loads(path.read_text())
        case["claims"] = [json.loads(line) for line in lines]
        case.pop("raises", None)
        if outcome.raised:
            case["raises"] = outcome.raised
        path.write_text(layout(case))


def layout(case: dict[str, object]) -> str:
    """A case as JSON to be read by people: one line a field, one line a claim."""
    fields = []
    for name, value in case.items():
        if name == "claims" and isinstance(value, list) and value:
            claims = ",\n".join(f"  {json.dumps(claim, ensure_ascii=False)}" for claim in value)
            fields.append(f' "claims": [\n{claims}\n ]')
        elif name == "answers":
            text = json.dumps(value, ensure_ascii=False, indent=1)
            fields.append(f' "answers": {text}'.replace("\n", "\n "))
        else:
            fields.append(f" {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}")
    return "{\n" + ",\n".join(fields) + "\n}\n"


if __name__ == "__main__":
    main()
