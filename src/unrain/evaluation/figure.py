"""The comparison figure of the deraining papers: whole pictures, zoomed background, zoomed rain.

Takes arrays and gives a PIL image. Reading, deraining and saving are not done here, nor are plots of numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from unrain.errors import UnrainError
from unrain.evaluation.metrics import Pixels

_MAX_WIDTH = 2000
_MAX_PICTURE_HEIGHT = 2000
_MAX_GAP = 10
# Narrower columns could not hold a readable label.
_MIN_COLUMN = 240
_MIN_SIDE = 32
# Regions are chosen on a picture of about this size; finer detail would be noise.
_SEARCH_SIDE = 512
_FACTORS = (8, 4, 2, 1)
_INK = (34, 34, 34)
_FAINT = (118, 118, 118)
# Seldom colours of a scene in the rain, and apart in lightness too, for colour-blind readers.
_COLOURS = ((227, 30, 36), (255, 205, 0), (0, 190, 240), (90, 200, 60))


class Region(NamedTuple):
    """A rectangle of a picture, in pixels from the top left corner."""

    left: int
    top: int
    width: int
    height: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom, as Pillow takes it; right and bottom lie outside."""
        return self.left, self.top, self.left + self.width, self.top + self.height


def compare_figure(
    rainy: Pixels, clean: Pixels, *, truth: Pixels | None = None, zooms: int = 2, title: str | None = None
) -> Image.Image:
    """Show a picture before and after, with the places that matter enlarged.

    One column per picture: rainy, clean and, where given, truth. From top to bottom: the whole picture with the zoom
    regions outlined, those regions enlarged, and the same regions of the rain that the column lacks (rainy minus
    picture, negative values black), brightened by the factor in the label.

    A picture is shown pixel for pixel where it fits. Large ones are scaled down until the figure is at most 2000
    pixels wide, tiny ones are enlarged by a whole factor.

    Args:
        rainy: `(H, W, 3)` floats, RGB in [0, 1]; H and W at least 32.
        clean: The derained picture, of the same shape.
        truth: The ground truth, of the same shape.
        zooms: How many regions to enlarge, 1 to 4.
        title: One line above the figure. Pillow's built-in font draws ASCII.

    Returns:
        An RGB image.

    Raises:
        UnrainError: the shapes differ or the pictures are too small.
        ValueError: a picture is not `(H, W, 3)`, or `zooms` is out of range.
    """
    pictures = [rainy, clean] if truth is None else [rainy, clean, truth]
    _check(pictures)
    regions = zoom_regions(rainy, clean, zooms)
    grid = _Grid.fit(rainy.shape, len(pictures), regions)
    background = [cut(picture, regions) for picture in pictures]
    rain = [[before - after for before, after in zip(background[0], parts, strict=True)] for parts in background[1:]]
    factor = brightening(rain)
    names = ("Rainy", "Rain removed", "Ground truth")
    rows = [
        [grid.label(name) for name in names[: len(pictures)]],
        [grid.whole(picture, regions) for picture in pictures],
        [grid.zoomed(parts) for parts in background],
        [grid.legend(factor), *(grid.zoomed([factor * part for part in parts]) for parts in rain)],
    ]
    return grid.assemble(rows, " ".join((title or "").split()))


def side_by_side(rainy: Pixels, clean: Pixels) -> Image.Image:
    """Show a picture before and after, next to each other, each under its label.

    Scaled like `compare_figure`, with nothing drawn over the pictures.

    Args:
        rainy: `(H, W, 3)` floats, RGB in [0, 1]; H and W at least 32.
        clean: The derained picture, of the same shape.

    Returns:
        An RGB image.

    Raises:
        UnrainError: the shapes differ or the pictures are too small.
        ValueError: a picture is not `(H, W, 3)`.
    """
    _check([rainy, clean])
    grid = _Grid.fit(rainy.shape, 2)
    labels = [grid.label(name) for name in ("Rainy", "Rain removed")]
    return grid.assemble([labels, [grid.whole(rainy), grid.whole(clean)]])


def zoom_regions(rainy: Pixels, clean: Pixels, count: int) -> list[Region]:
    """Choose the places worth enlarging: much rain was taken out there, off a background with texture.

    Score of a region: root mean square of the light that was removed, times the root of the mean gradient of the clean
    picture, and a quarter of that at the border. The best region comes first; a later one counts less the nearer it
    lies to those before it. The same pictures always give the same regions.

    Args:
        rainy: `(H, W, 3)` floats, RGB in [0, 1]; H and W at least 32.
        clean: The derained picture, of the same shape.
        count: How many, 1 to 4.

    Returns:
        `count` regions of one size that lie in the picture and do not overlap.

    Raises:
        UnrainError: the shapes differ or the pictures are too small.
        ValueError: a picture is not `(H, W, 3)`, or `count` is out of range.
    """
    _check([rainy, clean])
    if not 1 <= count <= len(_COLOURS):
        raise ValueError(f"a figure enlarges 1 to {len(_COLOURS)} regions, not {count}")
    # However long a panorama is, at least 16 rows or columns remain to search.
    step = max(1, min(max(rainy.shape) // _SEARCH_SIDE, min(rainy.shape[:2]) // 16))
    width, height = _region_size(rainy.shape, count, step)
    score = _score(rainy, clean, step, width, height)
    chosen: list[tuple[int, int]] = []
    for _ in range(count):
        weighted = score * _remoteness(score.shape, chosen, width, height)
        top, left = np.unravel_index(np.argmax(weighted), score.shape)
        chosen.append((int(top), int(left)))
    return [Region(left * step, top * step, width * step, height * step) for top, left in chosen]


def _region_size(shape: Sequence[int], count: int, step: int) -> tuple[int, int]:
    """Width and height of a zoom region, in steps.

    Each chosen region blocks fewer than two of its widths along the longer side of the picture, so with room for
    2 count + 1 there is always a place left for the next.
    """
    width = min((shape[0] * shape[1]) ** 0.5 / (2 * count + 1), shape[1], shape[0] / 0.75)
    return int(width / step), int(width * 0.75 / step)


def _score(rainy: Pixels, clean: Pixels, step: int, width: int, height: int) -> NDArray[np.float64]:
    """How much there is to see in a region, for every place of its top left corner."""
    removed = _reduce(np.square(np.maximum(rainy - clean, 0)), step)
    gradients = np.gradient(_reduce(clean, step))
    texture = np.abs(gradients[0]) + np.abs(gradients[1])
    # The small offset keeps texture decisive where no rain was found, and the other way round.
    score = (np.sqrt(_box_mean(removed, width, height)) + 1e-3) * np.sqrt(_box_mean(texture, width, height) + 1e-3)
    # Frames and dark edges of a scan look like texture, and an outline at the border is cut.
    rim = 1 + height // 8
    inner = np.full(score.shape, 0.25)
    inner[rim:-rim, rim:-rim] = 1
    return np.asarray(score * inner)


def _reduce(pixels: Pixels, step: int) -> NDArray[np.float64]:
    """Grey mean over blocks of `step` x `step` pixels; an incomplete block at the border is left out."""
    rows, columns = pixels.shape[0] // step, pixels.shape[1] // step
    grey = np.asarray(pixels[: rows * step, : columns * step] @ np.full(3, 1 / 3, pixels.dtype), np.float64)
    return np.asarray(grey.reshape(rows, step, columns, step).mean(axis=(1, 3)))


def _box_mean(plane: NDArray[np.float64], width: int, height: int) -> NDArray[np.float64]:
    """Mean over every `height` x `width` window, through a summed-area table."""
    table = np.pad(plane, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    sums = table[height:, width:] - table[:-height, width:] - table[height:, :-width] + table[:-height, :-width]
    # Rounding can leave a sum of zeros just below zero, which has no root.
    return np.asarray(np.maximum(sums, 0) / (width * height))


def _remoteness(shape: tuple[int, ...], chosen: list[tuple[int, int]], width: int, height: int) -> NDArray[np.float64]:
    """Weight of every place by its distance from the chosen ones: 0 where it would overlap, 1 far away."""
    weight = np.ones(shape)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    for top, left in chosen:
        down, across = np.abs(rows - top), np.abs(columns - left)
        distance = np.hypot(down, across) / max(shape)
        weight = np.where((down < height) & (across < width), 0, np.minimum(weight, distance))
    return weight


def cut(pixels: Pixels, regions: Sequence[Region]) -> list[Pixels]:
    """The parts of a picture that lie in the regions."""
    return [pixels[top : top + height, left : left + width] for left, top, width, height in regions]


def brightening(rain: Sequence[Sequence[Pixels]]) -> int:
    """The largest brightening that leaves 99 of 100 values in the zoomed rain below white."""
    bright = float(np.percentile(np.stack([part for parts in rain for part in parts]), 99))
    return next((factor for factor in _FACTORS if bright * factor <= 1), 1)


@dataclass(frozen=True)
class _Grid:
    """The measures of a figure, in pixels: equal columns, thin gaps inside, wider ones between them, even margins."""

    column: int
    shown: tuple[int, int]
    zoom: tuple[int, int]
    gap: int
    text: int
    line: int
    resample: Image.Resampling

    @classmethod
    def fit(cls, shape: Sequence[int], columns: int, regions: Sequence[Region] = ()) -> _Grid:
        """Measures for pictures of `(H, W, 3)`, so that the figure is neither too wide nor unreadably small."""
        height, width = shape[:2]
        room = (_MAX_WIDTH - (2 * columns + 6) * _MAX_GAP) // columns
        scale = min(room / width, _MAX_PICTURE_HEIGHT / height, 1.0)
        resample = Image.Resampling.BICUBIC
        if max(height, width) < _MIN_COLUMN:
            scale = -(-_MIN_COLUMN // max(height, width))
            # Square pixels say that the picture is tiny; a smooth enlargement would look like a bad result.
            resample = Image.Resampling.NEAREST
        shown = max(1, round(width * scale)), max(1, round(height * scale))
        column = max(shown[0], _MIN_COLUMN)
        gap = min(_MAX_GAP, max(6, column // 80))
        zoom = _zoom_size(column, gap, regions) if regions else (0, 0)
        return cls(column, shown, zoom, gap, min(30, max(15, column // 26)), max(2, column // 250), resample)

    def whole(self, pixels: Pixels, regions: Sequence[Region] = ()) -> Image.Image:
        """The whole picture, centred in its column, with the regions outlined."""
        picture = _picture(pixels).resize(self.shown, self.resample)
        scale = self.shown[0] / pixels.shape[1], self.shown[1] / pixels.shape[0]
        draw = ImageDraw.Draw(picture)
        for region, colour in zip(regions, _COLOURS, strict=False):
            left, top, right, bottom = (round(edge * scale[i % 2]) for i, edge in enumerate(region.box))
            # The line lies around the region, so that it covers nothing of what is enlarged.
            around = (left - self.line, top - self.line, right + self.line - 1, bottom + self.line - 1)
            draw.rectangle(around, outline=colour, width=self.line)
        cell = Image.new("RGB", (self.column, picture.height), "white")
        cell.paste(picture, ((self.column - picture.width) // 2, 0))
        return cell

    def zoomed(self, parts: Sequence[Pixels]) -> Image.Image:
        """The cut-out regions enlarged side by side over the width of a column, each framed in its colour."""
        width, height = self.zoom
        strip = Image.new("RGB", (self.column, height), "white")
        for i, (part, colour) in enumerate(zip(parts, _COLOURS, strict=False)):
            enlarged = _picture(part).resize(self.zoom, self.resample)
            ImageDraw.Draw(enlarged).rectangle((0, 0, width - 1, height - 1), outline=colour, width=self.line)
            # The last one ends flush with the column, whatever the division left over.
            strip.paste(enlarged, (i * (self.column - width) // max(1, len(parts) - 1), 0))
        return strip

    def label(self, text: str) -> Image.Image:
        """A column's name, to stand close above its picture."""
        cell = Image.new("RGB", (self.column, round(1.2 * self.text)), "white")
        ImageDraw.Draw(cell).text((0, self.text), text, _INK, _font(text, self.text, self.column), anchor="ls")
        return cell

    def legend(self, factor: int) -> Image.Image:
        """What the row of rain shows; it stands in the rainy column, which has no rain of its own to show."""
        cell = Image.new("RGB", (self.column, self.zoom[1]), "white")
        draw = ImageDraw.Draw(cell)
        detail = "difference from rainy" + (f", {factor}x brighter" if factor > 1 else "")
        right, middle = self.column - self.gap, cell.height // 2
        for text, size, ink, anchor in (
            ("Rain that was taken out", self.text, _INK, "rd"),
            (detail, round(0.8 * self.text), _FAINT, "ra"),
        ):
            draw.text((right, middle), text, ink, _font(text, size, right), anchor=anchor)
        return cell

    def assemble(self, rows: Sequence[Sequence[Image.Image]], title: str = "") -> Image.Image:
        """Put the rows of cells on white paper."""
        margin, stride = 4 * self.gap, self.column + 2 * self.gap
        head = round(2.4 * self.text) if title else 0
        width = 2 * margin + len(rows[0]) * stride - 2 * self.gap
        height = 2 * margin + head + sum(row[0].height + self.gap for row in rows) - self.gap
        paper = Image.new("RGB", (width, height), "white")
        if title:
            size = round(1.4 * self.text)
            font = _font(title, size, width - 2 * margin)
            ImageDraw.Draw(paper).text((margin, margin + size), title, _INK, font, anchor="ls")
        top = margin + head
        for row in rows:
            for i, cell in enumerate(row):
                paper.paste(cell, (margin + i * stride, top))
            top += row[0].height + self.gap
        return paper


def _zoom_size(column: int, gap: int, regions: Sequence[Region]) -> tuple[int, int]:
    width = (column - (len(regions) - 1) * gap) // len(regions)
    return width, max(1, round(width * regions[0].height / regions[0].width))


def _font(text: str, size: int, width: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The built-in font, at most `size` high, so small that the text fits into `width`."""
    font = ImageFont.load_default(size)
    while size > 6 and font.getlength(text) > width:
        size -= 1
        font = ImageFont.load_default(size)
    return font


def _picture(pixels: Pixels) -> Image.Image:
    return Image.fromarray(np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8))


def _check(pictures: Sequence[Pixels]) -> None:
    for pixels in pictures:
        if pixels.ndim != 3 or pixels.shape[2] != 3:
            raise ValueError(f"a picture must have the shape (H, W, 3), not {pixels.shape}")
        if not np.issubdtype(pixels.dtype, np.floating):
            raise ValueError(f"a picture must be floats in [0, 1], not {pixels.dtype}")
    sizes = [f"{pixels.shape[1]}x{pixels.shape[0]}" for pixels in pictures]
    if len(set(sizes)) > 1:
        raise UnrainError(f"the pictures to compare differ in size: {', '.join(sizes)}; give pictures of one size")
    if min(pictures[0].shape[:2]) < _MIN_SIDE:
        raise UnrainError(f"a picture of {sizes[0]} is too small for a figure; give at least {_MIN_SIDE}x{_MIN_SIDE}")
