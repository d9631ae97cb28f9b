"""What was made lately, kept for whoever asks for exactly the same again."""

import asyncio
from collections import OrderedDict
from hashlib import sha256
from typing import NamedTuple


class _Answer(NamedTuple):
    answer: bytes
    until: float  # by the loop's clock


class Kept:
    """Answers by their whole questions: at most so many bytes of them, each for so many seconds."""

    def __init__(self, *, most_bytes: int, seconds: float) -> None:
        self._most_bytes = most_bytes
        self._seconds = seconds
        self._answers: OrderedDict[bytes, _Answer] = OrderedDict()  # the oldest first
        self._timer: asyncio.TimerHandle | None = None
        self.size = 0  # of the answers, in bytes

    def find(self, question: bytes) -> bytes | None:
        """The answer, if it is kept."""
        kept = self._answers.get(_digest(question))
        return kept.answer if kept else None

    def keep(self, question: bytes, answer: bytes) -> None:
        """Keep an answer; the oldest make room."""
        digest = _digest(question)
        self._drop(digest)
        self._answers[digest] = _Answer(answer, asyncio.get_running_loop().time() + self._seconds)
        self.size += len(answer)
        while self.size > self._most_bytes:
            self._drop(next(iter(self._answers)))
        if self._timer is None:
            self._tidy()

    def _tidy(self) -> None:
        """Drop what was kept for long enough, and come again for the rest."""
        loop = asyncio.get_running_loop()
        self._timer = None
        while self._answers and self._timer is None:
            digest, oldest = next(iter(self._answers.items()))
            if oldest.until <= loop.time():
                self._drop(digest)
            else:
                self._timer = loop.call_at(oldest.until, self._tidy)

    def _drop(self, digest: bytes) -> None:
        if dropped := self._answers.pop(digest, None):
            self.size -= len(dropped.answer)


def _digest(question: bytes) -> bytes:
    return sha256(question).digest()
