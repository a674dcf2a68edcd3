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
