"""A child that takes its time, `python -m stand_ins.toiler SECONDS`: it sleeps, works, or answers at once."""

import time

from ticketing.kit.child import answer_questions


def _toil(question: bytes) -> bytes:
    how, _, seconds = question.partition(b" ")
    if how == b"sleep":
        time.sleep(float(seconds))
    if how == b"work":
        ends = time.process_time() + float(seconds)
        while time.process_time() < ends:
            pass
    return b"done"


if __name__ == "__main__":
    answer_questions(_toil)
