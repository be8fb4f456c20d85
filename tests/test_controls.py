"""Strength, mask and transparency: how much of a network's answer is taken, and where."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from unrain.errors import UnrainError
from unrain.inference.controls import blend, cover_hidden

Pixels = NDArray[np.float32]


def pictures() -> tuple[Pixels, Pixels]:
    rainy, clean = np.random.default_rng(0).random((2, 5, 7, 3), dtype=np.float32)
    return rainy, clean


def test_strength_goes_from_the_rainy_to_the_clean_picture() -> None:
    rainy, clean = pictures()
    assert np.array_equal(blend(rainy, clean), clean)
    assert np.array_equal(blend(rainy, clean, 0), rainy)
    assert np.allclose(blend(rainy, clean, 0.25), 0.75 * rainy + 0.25 * clean, atol=1e-6)


def test_a_mask_says_where_to_work() -> None:
    rainy, clean = pictures()
    mask = np.zeros((5, 7), np.float32)
    mask[2:, :3] = 1
    mask[0, 0] = 0.5
    result = blend(rainy, clean, mask=mask)
    assert np.array_equal(result[2:, :3], clean[2:, :3])
    assert np.array_equal(result[:, 3:], rainy[:, 3:])
    assert np.allclose(result[0, 0], (rainy[0, 0] + clean[0, 0]) / 2, atol=1e-6)
    assert np.allclose(blend(rainy, clean, 0.5, mask)[2:, :3], ((rainy + clean) / 2)[2:, :3], atol=1e-6)


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(UnrainError, match="the mask has 5 x 7 pixels, the picture 7 x 5"):
        blend(*pictures(), mask=np.ones((7, 5), np.float32))


def test_what_is_hidden_is_painted_over_in_the_colours_around_it() -> None:
    pixels = np.zeros((16, 21, 3), np.float32)
    pixels[:, :8], pixels[:, 8:] = (0.8, 0.1, 0.1), (0.1, 0.2, 0.9)
    hidden = np.zeros((16, 21), bool)
    hidden[3:7, 2:5] = hidden[5:15, 14:20] = True
    shown = np.where(hidden[..., None], np.float32(7), pixels)
    covered = cover_hidden(shown, hidden)
    assert covered.dtype == np.float32
    assert np.allclose(covered[hidden], pixels[hidden], atol=0.01)
    assert np.array_equal(covered[~hidden], pixels[~hidden])


def test_a_picture_that_hides_nothing_or_all_stays_as_it_is() -> None:
    rainy, _ = pictures()
    for hidden in (np.zeros((5, 7), bool), np.ones((5, 7), bool)):
        assert cover_hidden(rainy, hidden) is rainy
