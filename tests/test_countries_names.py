"""The country list and its icons."""

import re
import subprocess
import sys
import unicodedata

import pycountry
import pytest

from ticketing.countries.flags import icon, region_icon
from ticketing.countries.names import CODES, NAMES, icon_name, is_country


def test_every_country_of_iso_3166_is_listed_once():
    assert sorted(CODES.values()) == sorted(country.alpha_2 for country in pycountry.countries)
    assert len(set(NAMES)) == len(NAMES) == len(set(CODES.values()))


def test_the_names_are_in_alphabetical_order_accents_aside():
    def plain(name: str) -> str:
        return unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().casefold()

    assert list(NAMES) == sorted(NAMES, key=plain)


@pytest.mark.parametrize(
    "name",
    [
        "Antigua and Barbuda",
        "Vietnam",
        "Russia",
        "South Korea",
        "Bolivia",
        "Tanzania",
        "Iran",
        "Venezuela",
        "Turkey",
        "Ivory Coast",
        "Laos",
        "Syria",
        "Moldova",
        "Taiwan",
        "Czechia",
        "Saint Kitts and Nevis",
        "Trinidad and Tobago",
        "United Kingdom",
        "United States",
        "Palestine",
        "Brunei",
        "Cape Verde",
    ],
)
def test_countries_bear_their_well_known_names(name: str):
    assert is_country(name)


def test_names_without_a_common_form_in_iso_keep_its_name():
    renamed = {
        code
        for name, code in CODES.items()
        if name
        not in (
            pycountry.countries.get(alpha_2=code).name,
            getattr(pycountry.countries.get(alpha_2=code), "common_name", None),
        )
    }
    assert renamed == {
        "BN",
        "BQ",
        "CD",
        "CG",
        "CI",
        "CV",
        "FK",
        "FM",
        "MF",
        "MO",
        "PN",
        "PS",
        "RU",
        "SX",
        "TR",
        "VA",
        "VG",
        "VI",
    }


@pytest.mark.parametrize("name", ["", "vietnam", "Vietnam ", "Viet Nam", "Atlantis", None, 7, ["Vietnam"]])
def test_anything_else_is_no_country(name: object):
    assert not is_country(name)


@pytest.mark.parametrize(
    ("country", "expected"),
    [
        ("Antigua and Barbuda", "antigua_and_barbuda.png"),
        ("Curaçao", "curacao.png"),
        ("Åland Islands", "aland_islands.png"),
        ("Guinea-Bissau", "guinea-bissau.png"),
        ("Cocos (Keeling) Islands", "cocos_keeling_islands.png"),
        ("../../etc/passwd", "etcpasswd.png"),
    ],
)
def test_an_icon_is_named_after_its_country(country: str, expected: str):
    assert icon_name(country) == expected


def test_every_country_has_an_icon_of_its_own():
    names = {icon_name(country) for country in NAMES}
    assert len(names) == len(NAMES)
    assert all(re.fullmatch(r"[a-z_-]+\.png", name) for name in names)
    for country in NAMES:
        flag = region_icon(country)
        assert flag is not None
        assert flag.startswith(b"\x89PNG\r\n\x1a\n")
        assert len(flag) < 8_000
    assert sum(len(region_icon(country) or b"") for country in NAMES) < 700_000


@pytest.mark.parametrize("name", ["Atlantis", "", "../names", "antigua_and_barbuda.png"])
def test_no_icon_for_what_is_no_country(name: str):
    assert region_icon(name) is None


@pytest.mark.parametrize("name", ["", "LICENSE.txt", "__init__.py", "../flags/france.png", "france", "France.png"])
def test_only_icons_are_served_by_file_name(name: str):
    assert icon("france.png") == region_icon("France")
    assert icon(name) is None


def test_the_list_is_cheap_to_import():
    script = "import sys, ticketing.countries.names; print('pycountry' in sys.modules, 'PIL' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
        == "False False\n"
    )
