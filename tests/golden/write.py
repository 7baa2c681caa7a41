"""Write samples of messages, or of parts of messages, that have none yet: `.venv/bin/python -m tests.golden.write`.

A sample that was merged is never edited: it is what others sent, and today's code must read it. What came to a message
later gets a sample of its own beside the first one.
"""

import json
import sys

from tests.golden.samples import MESSAGES, make_sample, message_types, parts_of, read_samples, shown_by

MOST_CHOICES = 12


def main() -> None:
    MESSAGES.mkdir(exist_ok=True)
    for kind, message in message_types().items():
        kept = read_samples(kind)
        missing = parts_of(message) - {part for sample in kept for part in shown_by(message, json.loads(sample))}
        for variant in range(MOST_CHOICES):
            sample = make_sample(message, variant)
            if kept and not shown_by(message, sample) & missing:
                continue
            missing -= shown_by(message, sample)
            file = MESSAGES / (f"{kind}-{len(kept) + 1}.json" if kept else f"{kind}.json")
            file.write_text(json.dumps(sample, indent=1, ensure_ascii=False) + "\n")
            kept.append(file.read_bytes())
            sys.stdout.write(f"{file.name}\n")


if __name__ == "__main__":
    main()
