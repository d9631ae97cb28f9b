"""The press's process, which prints what `press` asks for: `python -m ticketing.tickets.printer SECONDS`."""

import msgspec

from ticketing.kit.child import answer_questions

from .sheets import BindPdf, PrintPart, Question


def main() -> None:
    """Print until told to end."""
    answer_questions(lambda question: _print(msgspec.msgpack.decode(question, type=Question)))


def _print(question: Question) -> bytes:
    # Each loads what it needs when it is first asked for.
    if isinstance(question, PrintPart):
        from .drawing import draw_pdf

        return msgspec.msgpack.encode(draw_pdf(question.sheets, question.seconds))
    if isinstance(question, BindPdf):
        from .binding import bind_pdf

        return bind_pdf(question.parts)
    from .codes import draw_code

    return draw_code(question.payload)


if __name__ == "__main__":
    main()
