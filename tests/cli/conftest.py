import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog

from services.cli.main import main
from services.kernel.observe import LogFile

Mirage = Callable[..., tuple[int, str, str]]
WALLET = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"


@pytest.fixture
def mirage(capsys: pytest.CaptureFixture[str]) -> Mirage:
    """Call the command line as `python -m services` does; give what it exits with, prints, and says on stderr."""

    def call(*words: str) -> tuple[int, str, str]:
        configured, handlers = structlog.get_config(), logging.getLogger().handlers[:]
        capsys.readouterr()
        try:
            with pytest.raises(SystemExit) as left:
                main(words)
        finally:
            log = vars(structlog.get_config()["logger_factory"]).get("_file")
            if isinstance(log, LogFile):
                log.close()
            logging.getLogger().handlers[:] = handlers
            structlog.configure(**configured)
        out, err = capsys.readouterr()
        assert isinstance(left.value.code, int)
        return left.value.code, out, err

    return call


@pytest.fixture
def wallet_scan(mirage: Mirage, tmp_path: Path) -> Path:
    """A data folder with a scan that needs no network."""
    made = tmp_path / "data"
    code, _, _ = mirage("scan", WALLET, "--module", "crypto", "--quiet", "--data", str(made))
    assert code == 0
    return made
