"""Driving a server with wrk, and reading what it says."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """One measurement: requests per second, latency at the 99th percentile in ms, answers that were no 2xx."""

    rate: float
    p99_ms: float
    failed: int


def ensure_wrk() -> str:
    """The path of wrk. Raises SystemExit with a sentence when the machine has none."""
    found = shutil.which("wrk")
    if found is None:
        raise SystemExit("The benchmark drives the server with wrk: install it first (Debian: apt-get install wrk).")
    return found


def drive(url: str, headers: dict[str, str], *, connections: int, seconds: int, script: str = "") -> Run:
    """Run wrk for some seconds; `script` is Lua for what is no plain GET."""
    command = [ensure_wrk(), "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "10s"]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        if script:
            file.write(script)
            file.flush()
            command += ["-s", file.name]
        output = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    return _read(output)


def post_script(bodies: Sequence[str], keys: Sequence[str] = ()) -> str:
    """Lua that posts the bodies in turn, with each key in turn."""
    return f"""
local bodies = {{{_lua(bodies)}}}
local keys = {{{_lua(keys)}}}
local turn = 0
wrk.headers["Content-Type"] = "application/json"
request = function()
  turn = turn + 1
  if #keys > 0 then wrk.headers["X-API-Key"] = keys[turn % #keys + 1] end
  return wrk.format("POST", nil, nil, bodies[turn % #bodies + 1])
end
"""


def get_script(path: str, keys: Sequence[str]) -> str:
    """Lua that gets a path with each key in turn."""
    return f"""
local keys = {{{_lua(keys)}}}
local turn = 0
request = function()
  turn = turn + 1
  wrk.headers["X-API-Key"] = keys[turn % #keys + 1]
  return wrk.format("GET", "{path}")
end
"""


def _lua(texts: Sequence[str]) -> str:
    return ",\n".join(f"[[{text}]]" for text in texts)


def _read(output: str) -> Run:
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", output)
    if rate is None or p99 is None:
        raise RuntimeError(f"wrk said something unexpected:\n{output}")
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    return Run(
        rate=float(rate[1]),
        p99_ms=float(p99[1]) * {"us": 0.001, "ms": 1, "s": 1000}[p99[2]],
        failed=int(failed[1] if failed else 0) + sum(int(part) for part in (errors.groups() if errors else ())),
    )


def versions_of_machine() -> str:
    """What the figures were taken on."""
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return f"{model[1] if model else 'unknown processor'}, {len(_cores())} cores"


def _cores() -> list[str]:
    return re.findall(r"^processor\s*:", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
