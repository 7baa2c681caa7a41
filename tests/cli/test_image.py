"""The recipe of the image, followed as far as it goes without a container engine: what it copies has to begin."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
RECIPE: Final = (ROOT / "jobs/image/Dockerfile").read_text("utf-8")


def instructions(name: str) -> list[str]:
    return re.findall(rf"^{name} (.+)$", RECIPE, re.MULTILINE)


@pytest.mark.parametrize("arguments", [("serve", "--help"), ("migrate", "--help"), ("modules", "check")])
def test_what_the_image_has_is_enough_to_begin(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (place,) = instructions("WORKDIR")
    image = tmp_path / place.removeprefix("/")
    image.mkdir(parents=True)
    for copied in instructions("COPY"):
        source, _, target = copied.partition(" ")
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, image / target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, image / target)
    told = dict(setting.split("=", 1) for setting in instructions("ENV"))
    (command,) = map(json.loads, instructions("ENTRYPOINT"))
    assert command[0] == "python"
    done = subprocess.run(
        [sys.executable, *command[1:], *arguments],
        cwd=image,
        env={"PATH": os.environ["PATH"], **{name: value.replace(place, str(image)) for name, value in told.items()}},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
