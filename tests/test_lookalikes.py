"""Names that look alike."""

import pytest

from ticketing.kit.lookalikes import look


@pytest.mark.parametrize(
    "imitation",
    [
        "admin",
        "ADMIN",
        "аdmin",
        "ａｄｍｉｎ",
        "adm1n",
        "ADMlN",
        "admіn",
        "adrnin",
        "ɑdmin",
        "a\u200bdmin",
        "𝐚𝐝𝐦𝐢𝐧",
    ],
)
def test_what_reads_as_the_same_name(imitation: str) -> None:
    assert look(imitation) == look("admin")


@pytest.mark.parametrize("other", ["admin2", "ádmin", "adam", "badmin", "管理员", "админ"])
def test_what_reads_as_another(other: str) -> None:
    assert look(other) != look("admin")
