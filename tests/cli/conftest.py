import logging
from collections.abc import Callable

import pytest
import structlog

from services.cli.main import main
from services.kernel.observe import LogFile

Mirage = Callable[..., tuple[int, str, str]]


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
