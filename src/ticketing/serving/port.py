"""The port: looked at before anything is started, and kept from then on."""

import asyncio
import errno
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from ticketing.web.addresses import is_loopback

from .errors import CannotServe
from .handover import WORKERS_MODULE

LEAVING_SECONDS = 20  # as long as the workers of a killed server may take to finish what is under way
PROBE_SECONDS = 0.1


@dataclass
class Port:
    """An address that is ours; where the system allows, a socket that nobody listens on keeps others away."""

    family: socket.AddressFamily
    address: str
    number: int
    reserved: socket.socket | None = None

    @property
    def url(self) -> str:
        """Where the server answers, as a person on this machine would type it."""
        return f"http://{self._in_brackets(self.reachable)}:{self.number}"

    @property
    def reachable(self) -> str:
        """The address to ask, also when the server listens on all of them."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.address, self.address)  # noqa: S104

    def release(self) -> None:
        """Leave the port to others."""
        if self.reserved is not None:
            self.reserved.close()
            self.reserved = None

    def _in_brackets(self, address: str) -> str:
        return f"[{address}]" if ":" in address else address


async def take_port(host: str, number: int, progress: Callable[[str], None]) -> Port:
    """The port, for us alone; 0 stands for any free one.

    The workers of a server that was killed are given the time to end. Raises CannotServe when another process
    has the port, or when the host is not one of this machine's.
    """
    family, address = await _resolve(host, number)
    port = Port(family, address, number)
    deadline = time.monotonic() + LEAVING_SECONDS
    noted = False
    while True:
        try:
            _bind(port)
        except OSError as error:
            holder = _holder(number)
            if not _is_leaving(holder) or time.monotonic() > deadline:
                raise CannotServe(_explain(error, host, number, holder)) from error
            if not noted:
                progress("Waiting for the workers of a server that was killed.")
                noted = True
            await asyncio.sleep(PROBE_SECONDS)
        else:
            return port


async def is_reachable_from_elsewhere(host: str) -> bool:
    """Whether other machines may reach what listens on the host. Raises CannotServe when it is no address of ours."""
    _, address = await _resolve(host, 0)
    return not is_loopback(address)


async def _resolve(host: str, number: int) -> tuple[socket.AddressFamily, str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, number, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise CannotServe(f"{host} is no address of this machine; choose another --host.") from None
    family, _, _, _, address = found[0]
    return family, str(address[0])


def _bind(port: Port) -> None:
    # Without SO_REUSEPORT first: with it a second server of the same user would quietly share the port.
    with socket.socket(port.family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((port.address, port.number))
        port.number = probe.getsockname()[1]
    if sys.platform != "linux":
        return
    reserved = socket.socket(port.family, socket.SOCK_STREAM)
    # Without SO_REUSEADDR: with it another server that is still starting would not notice ours.
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        reserved.bind((port.address, port.number))
    except OSError:
        reserved.close()  # connections of the port's last user linger; the workers can have it all the same
    else:
        port.reserved = reserved


def _holder(number: int) -> psutil.Process | None:
    """The process that listens on the port, as far as we may know."""
    try:
        for connection in psutil.net_connections("tcp"):
            ours = connection.laddr and connection.laddr.port == number
            if ours and connection.status == psutil.CONN_LISTEN and connection.pid:
                return psutil.Process(connection.pid)
    except (psutil.Error, OSError):
        pass
    return None


def _is_leaving(holder: psutil.Process | None) -> bool:
    """Whether it is a worker whose supervisor is gone."""
    try:
        if holder is None or WORKERS_MODULE not in holder.cmdline():
            return False
        keeper = holder.parent()
        if keeper is None or WORKERS_MODULE not in keeper.cmdline():
            return True
        supervisor = keeper.parent()
        return supervisor is None or "ticketing" not in " ".join(supervisor.cmdline())
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False


def _explain(error: OSError, host: str, number: int, holder: psutil.Process | None) -> str:
    if isinstance(error, PermissionError):
        return f"Port {number} needs rights that this user does not have; choose a --port above 1023."
    if error.errno in _NOT_OURS:
        return f"{host} is no address of this machine; choose another --host."
    by = f" by process {holder.pid} ({_name(holder)})" if holder else " by another process"
    return f"Port {number} is in use{by}; stop that one, or choose another --port."


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.Error:
        return "ended meanwhile"


_NOT_OURS = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
