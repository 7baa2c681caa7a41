"""Which names a service folder may have, beside the files that all of them share."""

COMMON = {
    "__init__",
    "README.md",
    "service",
    "api",
    "consumers",
    "usecases",
    "domain",
    "store",
    "settings",
    "migrations",
}

#: What a service has beside those; one that is not here has none.
OWN = {
    "collector": {
        "archetypes",
        "budget",
        "collector",
        "context",
        "fetch",
        "group",
        "holds",
        "item",
        "journal",
        "keys",
        "manifest",
        "modules",
        "naming",
        "pages",
        "replay",
        "resolve",
        "traces",
        "verify",
        "versions",
        "ways",
        "wordlists",
    },
    "correlation": {"knowledge", "rules"},
    "visualization": {"world"},
}
