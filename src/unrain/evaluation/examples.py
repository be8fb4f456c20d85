"""Pictures that show what an evaluation found: of each suite the best and the worst. `report` draws them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

EXTREMES = 2
"""How many pictures of each suite are kept: so many of the best and so many of the worst."""


@dataclass(frozen=True)
class Example:
    """One picture to show: the rainy one, every method's, and the truth if there is one.

    gain: what `method`, the first that was measured on the suite, gained on it.
    """

    item: str
    frame: str
    method: str
    gain: float
    rainy: Bytes
    truth: Bytes | None
    results: Mapping[str, Bytes]


class Examples:
    """The best and the worst pictures of a suite so far, by what the first method gains in the first metric."""

    def __init__(self) -> None:
        self._examples: list[Example] = []

    def add(self, example: Example) -> None:
        """Keep this one if it is among the extremes."""
        self._examples.append(example)
        self._examples.sort(key=lambda example: -example.gain)
        del self._examples[EXTREMES:-EXTREMES]

    def chosen(self) -> list[Example]:
        """Those that are left, the best first."""
        return list(self._examples)
