"""The press's process, which prints what `press` asks for: `python -m ticketing.tickets.printer`."""

import msgspec

from ticketing.kit.child import answer_questions

from .sheets import Order, PrintPdf


def main() -> None:
    """Print until told to end."""
    answer_questions(lambda order: _print(msgspec.msgpack.decode(order, type=Order)))


def _print(order: Order) -> bytes:
    # Each loads what it needs when it is first asked for.
    if isinstance(order, PrintPdf):
        from .drawing import draw_pdf

        return draw_pdf(order.sheets)
    from .codes import draw_code

    return draw_code(order.payload)


if __name__ == "__main__":
    main()
