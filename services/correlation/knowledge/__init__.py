"""What Mirage knows by itself of products: tables of facts that come with it, constants as code is."""

from importlib.resources import files


def table(name: str) -> list[list[str]]:
    """The rows of a table, its head left out."""
    lines = files(__name__).joinpath(f"{name}.tsv").read_text("utf-8").splitlines()
    return [line.split("\t") for line in lines[1:]]
