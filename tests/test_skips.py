"""A skipped test fails the run, unless the machine lacks what it needs and the run says so."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent


def run(folder: Path, **modules: str) -> tuple[int, str]:
    """The exit code of a run of these modules, with the conftest of this folder, and what it said."""
    for name, body in modules.items():
        (folder / f"test_{name}.py").write_text(f"import pytest, skips\n\n{body}\n\ndef test_well(): pass\n")
    command = [sys.executable, "-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider", "-q", str(folder)]
    environment = os.environ | {"PYTHONPATH": str(TESTS)}
    done = subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)
    return done.returncode, done.stdout


def test_a_skip_fails_the_run(tmp_path: Path) -> None:
    one = "def test_other(): pytest.skip('not today')"
    code, said = run(tmp_path, one=one, whole="pytest.skip('not here', allow_module_level=True)")
    assert code == pytest.ExitCode.TESTS_FAILED, said
    [_, told] = said.split("a skipped test shows nothing")
    assert "test_one.py::test_other: not today\n" in told
    assert "test_whole.py: not here\n" in told


def test_what_a_machine_lacks_is_said_and_no_failure(tmp_path: Path) -> None:
    code, said = run(tmp_path, one="def test_other(): skips.lacks('browser')")
    assert code == pytest.ExitCode.OK, said
    assert "test_one.py::test_other: NOT TESTED, for this machine has no browser\n" in said
