"""Free text keeps its listed words alone, and two texts stay two groups all the same."""

from __future__ import annotations

import re

import pytest

from engine.acquire.known_words import KERNELS, MANUFACTURERS, MODELS, STRUCTURES


@pytest.mark.parametrize("kernel", ["B30f", "Br40d", "FC51", "STANDARD", "LUNG", "YA", "3"])
def test_kernels_as_scanners_write_them_stay(kernel):
    assert KERNELS.stated(kernel) == kernel


@pytest.mark.parametrize("words", [KERNELS, MANUFACTURERS, MODELS])
def test_a_name_never_passes_and_two_other_texts_stay_two(words):
    first, second = words.stated("Canariensis"), words.stated("Velasquez")
    assert re.fullmatch(r"unlisted-[0-9a-f]{2}", first)
    assert first != second
    assert words.stated("CANARIENSIS") == first  # spelt otherwise it is the same text
    assert words.stated(first) == first  # asked again, as a cell of images.csv is


def test_a_listed_kernel_with_a_word_of_its_own_is_not_the_listed_one():
    assert KERNELS.stated("LUNG") == "LUNG"
    assert re.fullmatch(r"LUNG unlisted-[0-9a-f]{2}", KERNELS.stated("LUNG Canariensis"))
    assert KERNELS.stated("") == ""


def test_names_of_outlines_keep_their_place():
    assert STRUCTURES.shortened("GTV-1 Canariensis") == "GTV-1 …"


@pytest.mark.parametrize(
    "day",
    [
        "31.07.47", "12-03-19", "3/12/19", "07 31 47", "31_07_1947", "310747", "19470731", "12.Mar.19", "4. März 1950",
        "31, 07, 47", "31.07.47L", "1947-07",
    ],
)  # fmt: skip
def test_a_date_in_the_name_of_an_outline_never_passes(day):
    assert STRUCTURES.shortened(f"Node {day}") == "Node …"
    assert STRUCTURES.shortened(f"GTV_{day} Canariensis") == "GTV_…"
    assert not re.search(r"\d", STRUCTURES.shortened(f"GTVN{day}").replace("…", ""))
    assert re.fullmatch(r"DISCOVERY unlisted-[0-9a-f]{2}", MODELS.stated(f"DISCOVERY {day}"))


@pytest.mark.parametrize(
    "name",
    [
        "GTV-1",
        "GTV_2",
        "GTVn 4R",
        "PTV 60/2",
        "LN 2R/4R/7",
        "LN 10-11",
        "Lung_L",
        "N2 7",
        "GTV (1)",
        "node 4R 2",
        "4D GTV",
    ],
)
def test_numbers_of_outlines_pass(name):
    assert STRUCTURES.shortened(name) == name
