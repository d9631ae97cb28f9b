"""Charts, drawn on the server as SVG: they need no script, print well, and are the same figures as the table below."""

from collections.abc import Sequence

from markupsafe import Markup

WIDTH, HEIGHT = 120, 32
WIDE, HIGH, FOOT = 720, 220, 28


def sparkline(values: Sequence[float]) -> Markup:
    """A small line without axes, of what is told in words beside it."""
    top = max(values) or 1
    step = WIDTH / max(1, len(values) - 1)
    points = " ".join(
        f"{number * step:.1f},{HEIGHT - 2 - value / top * (HEIGHT - 4):.1f}" for number, value in enumerate(values)
    )
    return Markup(
        '<svg class="spark" viewBox="0 0 {} {}" width="{}" height="{}" aria-hidden="true" focusable="false">'
        '<polyline points="{}" fill="none" stroke="currentColor" stroke-width="2" stroke-linejoin="round"/></svg>'
    ).format(WIDTH, HEIGHT, WIDTH, HEIGHT, points)


def bars(rows: Sequence[tuple[str, float, str]], title: str) -> Markup:
    """Bars with a name below and a figure above each: name, value, the figure as it is written."""
    if not rows:
        return Markup("")
    top = max(value for _name, value, _said in rows) or 1
    room = WIDE / len(rows)
    width = min(72.0, room * 0.7)
    parts = [
        Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(WIDE, HIGH + FOOT, title)
    ]
    every = max(1, -(-len(rows) // 12))  # so that names do not run into each other
    for number, (name, value, said) in enumerate(rows):
        middle = room * (number + 0.5)
        height = value / top * (HIGH - 30)
        parts.append(
            Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="3" fill="currentColor"/>').format(
                middle - width / 2, HIGH - height, width, height
            )
        )
        if number % every == 0:
            parts.append(_text(middle, HIGH + 20, name))
            if len(rows) <= 24:
                parts.append(_text(middle, HIGH - height - 6, said))
    parts.append(Markup('<line x1="0" x2="{}" y1="{}" y2="{}" stroke="currentColor"/></svg>').format(WIDE, HIGH, HIGH))
    return Markup("").join(parts)


def _text(x: float, y: float, text: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>').format(x, y, text[:16])
