import asyncio
import json
import signal
import ssl
import subprocess
import sys
from pathlib import Path

import dns.asyncquery
import dns.message
import pytest

from services.kernel.egress.dial import DialTable
from tests.lab.clients import values


def start(directory: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "lab", "--dir", str(directory), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_when_it_is_ready_and_stops_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    words = tmp_path / "words.txt"
    with start(tmp_path / "lab", "--seed", "3", "--wordlist", str(words)) as process:
        assert process.stdout
        line = process.stdout.readline()
        process.send_signal(number)
        assert process.wait(timeout=10) == 0
        assert process.stderr
        assert process.stderr.read() == ""
    assert line.startswith("lab ready: halyard-freight.example --resolver 192.0.2.53:53 ")
    assert f"MIRAGE_DIAL_TABLE={tmp_path}/lab/dial.json" in line
    description = json.loads((tmp_path / "lab" / "lab.json").read_text())
    assert description["arguments"] == ["--resolver", "192.0.2.53:53"]
    assert set(description["environment"]) == {"MIRAGE_DIAL_TABLE", "SSL_CERT_FILE"}
    for name in ("dial.json", "ca.pem", "truth.json", "world.json"):
        assert (tmp_path / "lab" / name).stat().st_size > 0
    assert len(words.read_text().split()) == 5000


def test_two_run_side_by_side(tmp_path: Path) -> None:
    with start(tmp_path / "one") as one, start(tmp_path / "two") as two:
        for process in (one, two):
            assert process.stdout
            assert process.stdout.readline().startswith("lab ready")
        ports = [
            {entry["to_port"] for entry in json.loads((tmp_path / name / "dial.json").read_text())["entries"]}
            for name in ("one", "two")
        ]
        for process in (one, two):
            process.terminate()
    assert not ports[0] & ports[1]


@pytest.mark.parametrize("options", [("--hosts", "5"), ("--fault", "crtsh=sunshine")])
def test_wrong_use_is_told_in_one_sentence(tmp_path: Path, options: tuple[str, ...]) -> None:
    with start(tmp_path, *options) as process:
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 2
    assert len(errors.splitlines()) == 1


async def test_it_answers_under_its_own_event_loop(tmp_path: Path) -> None:
    with start(tmp_path) as process:
        assert process.stdout
        process.stdout.readline()
        description = json.loads((tmp_path / "lab.json").read_text())
        table = DialTable.read(description["environment"]["MIRAGE_DIAL_TABLE"])
        query = dns.message.make_query("crt.sh", "A")
        host, port = table.find("192.0.2.53", 53, "udp")
        answer = await dns.asyncquery.udp(query, host, port=port)
        (ip,) = values(answer, "A")
        context = ssl.create_default_context(cafile=description["environment"]["SSL_CERT_FILE"])
        for port, options in ((80, {}), (443, {"ssl": context, "server_hostname": "crt.sh"})):
            reader, writer = await asyncio.open_connection(*table.find(ip, port, "tcp"), **options)
            writer.write(b"GET / HTTP/1.1\r\nHost: crt.sh\r\nConnection: close\r\n\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.1 200 OK")
            writer.close()
        process.terminate()
        assert process.wait(timeout=10) == 0
