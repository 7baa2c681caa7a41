"""DNS transcripts as text, one answer a line or more."""

from services.collector.resolve import transcript


def transcript_lines(content: bytes) -> list[str]:
    """The answers of a transcript, readable."""
    lines: list[str] = []
    for answer in transcript.decode(content):
        lines.append(f"{answer.name} {answer.type}: {answer.status}")
        lines += [f"  {record.owner} {record.ttl} {record.type} {record.data}" for record in answer.records]
    return lines
