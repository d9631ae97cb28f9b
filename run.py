#!/usr/bin/env python3
"""Everything this project can do, with nothing but Python 3.11 or later: `python3 run.py` lists it.

The first command makes a virtual environment in `.venv` and installs what `requirements/` locks; later ones find it
up to date. Only the standard library is used here.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

OLDEST_PYTHON = (3, 11)
ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
PATHS = ["src", "tests", "bench", "run.py"]
NOTE_SECONDS = 5
MOST_PROCESSES = 4
PARTS = {
    "checks": "formatter, linter, types, house rules, pure rules",
    "api": "everything over HTTP",
    "pages": "failures, crowds, abuse, the embedded PostgreSQL, the command, the client for Node",
}

LOCKS = {"runtime": "requirements/runtime.txt", "dev": "requirements/dev.txt"}

COMMANDS = {
    "demo": "serve with demo data; prints who can sign in and where (--port, --data-dir, --workers)",
    "serve": "serve the API (the same options)",
    "test": "all that has to pass, in three parts: checks, api, pages (`test api` is one; the rest goes to pytest)",
    "check": "the part that needs no server: formatter, linter, types, house rules, pure rules",
    "format": "format the code and mend what the linter can",
    "heavy": "races, crashes and fuzzing at full counts",
    "bench": "what the platform costs beside bare endpoints and pgbench, and with a million tickets sold",
    "lock": "lock the newest versions of all dependencies",
    "docs": "write docs/configuration.md from the settings",
    "openapi": "print the OpenAPI description",
    "ticketing": "run the command `ticketing` with what follows",
}


class CannotRun(Exception):
    """One sentence for the person at the terminal."""


def main(arguments):
    """Run a command; the exit code."""
    if not arguments or arguments[0] in ("help", "-h", "--help"):
        print_help()
        return 0
    command, rest = arguments[0], arguments[1:]
    if command not in COMMANDS:
        raise CannotRun(f"There is no command {command}; `python3 run.py` lists them.")
    os.chdir(ROOT)
    # Whatever the shell says, Python keeps what it compiled: a server is several processes, the tests start hundreds.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if command in ("demo", "serve", "openapi", "ticketing"):
        ensure_environment("runtime")
        inner = rest if command == "ticketing" else [command, *rest]
        os.execv(PYTHON, [str(PYTHON), "-P", "-m", "ticketing", *inner])
    ensure_environment("dev")
    if command in ("test", "check"):
        return test(["checks", *rest] if command == "check" else rest)
    if command == "format":
        return run_all([module("ruff", "format", *PATHS), module("ruff", "check", "--fix", *PATHS)])
    if command == "heavy":
        return run_all([pytest("-m", "heavy", *rest)])
    if command == "bench":
        return run_all([module("bench", *rest)])
    if command == "docs":
        return write_docs()
    return lock()


def print_help():
    """List the commands."""
    print("python3 run.py COMMAND\n")
    for name, meaning in COMMANDS.items():
        print(f"  {name:<10} {meaning}")


def test(arguments):
    """Run all parts in order, up to one that fails, or the part named first; the exit code.

    What follows a part's name goes to pytest; arguments without one say themselves what runs.
    """
    if arguments and arguments[0] not in PARTS:
        return run_all([*quality(), pytest(*arguments)])
    took = []
    for part in arguments[:1] or PARTS:
        began = time.monotonic()
        code = run_all(commands_of(part, arguments[1:]))
        seconds = f"{time.monotonic() - began:.0f} s"
        if code:
            say(f"The part {part} failed after {seconds}.")
            return code
        say(f"The part {part} passed after {seconds}.")
        took.append(f"{part} {seconds}")
    if len(took) > 1:
        say(f"All passed: {', '.join(took)}.")
    return 0


def commands_of(part, rest):
    """What one part runs."""
    if part == "checks":
        return [*quality(), pytest("--part", part, *rest)]
    return [pytest("--part", part, *side_by_side(), *rest)]


def quality():
    """The commands that look at the code without running it."""
    return [module("ruff", "format", "--check", *PATHS), module("ruff", "check", *PATHS), module("mypy")]


def pytest(*arguments):
    """A run of the tests."""
    return module("pytest", *arguments)


def side_by_side():
    """A few processes, each with a PostgreSQL of its own; a module's tests stay together."""
    return ["-n", str(min(os.cpu_count() or 1, MOST_PROCESSES)), "--dist", "loadscope"]


def module(name, *arguments):
    """A tool of the virtual environment."""
    return [str(PYTHON), "-m", name, *arguments]


def run_all(commands):
    """Run the commands in order, up to the first that fails; its exit code."""
    for command in commands:
        say("$ " + " ".join(command[2:] if command[0] == str(PYTHON) else ["uv", *command[1:]]))
        code = subprocess.run(command, check=False).returncode
        if code:
            return code
    return 0


def write_docs():
    """Write the part of the documentation that is made from the code."""
    table = subprocess.run([*module("ticketing", "settings")], check=True, capture_output=True, text=True).stdout
    page = ROOT / "docs" / "configuration.md"
    intro, _, _ = page.read_text().partition("| variable |")
    page.write_text(intro + table)
    return 0


def lock():
    """Write `requirements/` anew."""
    uv = find_uv()
    if uv is None:
        raise CannotRun("Locking needs uv; install it (https://docs.astral.sh/uv) and run this again.")
    compile_ = [uv, "pip", "compile", "--quiet", "--upgrade", "--universal", "--python-version", "3.11"]
    compile_ += ["--generate-hashes", "--no-emit-index-url", "--no-header", "pyproject.toml", "--group", "build"]
    return run_all(
        [
            [*compile_, "--output-file", LOCKS["runtime"]],
            [*compile_, "--group", "dev", "--constraints", LOCKS["runtime"], "--output-file", LOCKS["dev"]],
        ]
    )


# The virtual environment


def ensure_environment(kind):
    """Bring `.venv` to what the lock files say; nothing happens when it is."""
    with only_one():
        stamp = VENV / f"ticketing-{kind}.sha256"
        wanted = fingerprint(kind)
        if PYTHON.exists() and stamp.exists() and stamp.read_text() == wanted and works():
            return
        uv = find_uv()
        if not (PYTHON.exists() and works()):
            say("Making a virtual environment in .venv.")
            make_environment(uv)
        say(f"Installing what {LOCKS[kind]} locks; this takes a minute the first time.")
        install(uv, "--require-hashes", "-r", LOCKS[kind])
        install(uv, "--no-deps", "--no-build-isolation", "--editable", ".")
        stamp.write_text(wanted)
        say("Everything is installed.")


@contextlib.contextmanager
def only_one():
    """Let a second run wait while one is installing."""
    import fcntl

    with (ROOT / ".venv.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def fingerprint(kind):
    """What the environment depends on, in short."""
    digest = hashlib.sha256(f"{sys.version_info[:2]} {ROOT}".encode())
    for file in ["pyproject.toml", LOCKS[kind]]:
        digest.update((ROOT / file).read_bytes())
    return digest.hexdigest()


def works():
    """Whether the environment's Python starts and is no older than needed."""
    check = f"import sys; sys.exit(sys.version_info < {OLDEST_PYTHON})"
    return subprocess.run([str(PYTHON), "-c", check], check=False, capture_output=True).returncode == 0


def find_uv():
    """The uv on the PATH, if there is one that runs."""
    uv = shutil.which("uv")
    if uv and subprocess.run([uv, "--version"], check=False, capture_output=True).returncode == 0:
        return uv
    return None


def make_environment(uv):
    """An empty environment of the Python that runs this."""
    shutil.rmtree(VENV, ignore_errors=True)
    if uv:
        quietly([uv, "venv", "--quiet", "--python", sys.executable, str(VENV)])
        return
    with_pip = subprocess.run([sys.executable, "-c", "import ensurepip"], check=False, capture_output=True)
    without = [] if with_pip.returncode == 0 else ["--without-pip"]
    if without and not host_pip_can_reach():
        raise CannotRun(
            "This Python can make no virtual environment: it has neither ensurepip nor pip."
            " Install them (on Debian and Ubuntu: apt install python3-venv) and run this again."
        )
    quietly([sys.executable, "-m", "venv", *without, str(VENV)])


def host_pip_can_reach():
    """Whether the Python that runs this has a pip that installs into other environments (22.3 or later)."""
    reach = [sys.executable, "-m", "pip", "--python", sys.executable, "--version"]
    return subprocess.run(reach, check=False, capture_output=True).returncode == 0


def install(uv, *arguments):
    """Install into the environment with uv, its own pip, or the pip of the Python that runs this."""
    if uv:
        quietly([uv, "pip", "install", "--quiet", "--python", str(PYTHON), *arguments])
        return
    own = subprocess.run(module("pip", "--version"), check=False, capture_output=True).returncode == 0
    pip = module("pip") if own else [sys.executable, "-m", "pip", "--python", str(PYTHON)]
    quietly([*pip, "install", "--quiet", "--disable-pip-version-check", *arguments])


def quietly(command):
    """Run a command that may take long: a sign of life every few seconds, its output only when it fails."""
    began = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT) as process:
        while True:
            try:
                output, _ = process.communicate(timeout=NOTE_SECONDS)
                break
            except subprocess.TimeoutExpired:
                say(f"  ... {time.monotonic() - began:.0f} s")
            except BaseException:
                process.kill()
                raise
    if process.returncode:
        sys.stderr.write(output.decode(errors="replace"))
        raise CannotRun(f"`{' '.join(command)}` failed; the lines above say why.")


def say(line):
    """Tell the person at the terminal what goes on."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    if sys.version_info < OLDEST_PYTHON:
        sys.exit(f"TickeTing needs Python 3.11 or later; this is {sys.version.split()[0]}.")
    try:
        sys.exit(main(sys.argv[1:]))
    except CannotRun as problem:
        sys.exit(str(problem))
    except OSError as problem:
        sys.exit(f"{problem.filename or 'A file'} cannot be used: {problem.strerror}.")
    except KeyboardInterrupt:
        sys.exit(130)
