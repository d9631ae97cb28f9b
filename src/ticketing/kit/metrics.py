"""What is counted while the platform works; `ticketing.monitoring.prometheus` shows it to Prometheus.

    REQUESTS = Count("requests", "Answers, by operation and status.", "operation", "status")
    REQUESTS.add("place_order", 201)

Nothing is counted, and nothing loaded, unless the supervisor gave its processes a folder to count in: each writes to
files of its own there, and the job worker adds them up when it is asked. The values of labels are our own words and
few; never anything a person typed.
"""

import os
from functools import cache
from typing import Any

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the library's name for it
PREFIX = "ticketing_"


@cache
def are_counted() -> bool:
    """Whether this process counts; asked of the environment once."""
    return FOLDER in os.environ


class _Metric:
    kind = ""

    def __init__(self, name: str, meaning: str, *labels: str, **details: Any) -> None:
        self._name = PREFIX + name
        self._meaning = meaning
        self._labels = labels
        self._details = details
        self._whole: Any = None
        self._parts: dict[tuple[str | int, ...], Any] = {}

    def _part(self, values: tuple[str | int, ...]) -> Any:
        """What counts for these values of the labels; the library is loaded with the first."""
        part = self._parts.get(values)
        if part is None:
            if self._whole is None:
                import prometheus_client

                make = getattr(prometheus_client, self.kind)
                self._whole = make(self._name, self._meaning, self._labels, registry=None, **self._details)
            part = self._parts[values] = self._whole.labels(*values) if values else self._whole
        return part


class Count(_Metric):
    """How often something happened."""

    kind = "Counter"

    def add(self, *values: str | int, times: int = 1) -> None:
        """It happened, so many times; `values` in the order of the labels."""
        if are_counted():
            self._part(values).inc(times)


class Spread(_Metric):
    """How large something was each time; `buckets` are upper bounds."""

    kind = "Histogram"

    def add(self, size: float, *values: str | int) -> None:
        """It happened with this size."""
        if are_counted():
            self._part(values).observe(size)


class Level(_Metric):
    """How much of something there is now, over all live processes."""

    kind = "Gauge"

    def __init__(self, name: str, meaning: str, *labels: str) -> None:
        super().__init__(name, meaning, *labels, multiprocess_mode="livesum")

    def set(self, size: float, *values: str | int) -> None:
        """There is so much of it in this process."""
        if are_counted():
            self._part(values).set(size)
