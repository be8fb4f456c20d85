"""A copy of a suite on this disk: where it lies, how it is laid out, what it lacks, and whether its files are sound.

Which suites there are is in `__init__.py`; nothing is cleaned or measured here.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unrain.errors import MediaError, UnrainError
from unrain.evaluation import suites
from unrain.evaluation.suites import Layout, Suite
from unrain.media.images import SUFFIXES, read_picture, to_uint8

Bytes = NDArray[np.uint8]

_SEARCH_DEPTH = 3
# Rain adds light. A copy where most pictures are darker than their truths has probably been swapped.
_SWAPPED_SHARE = 0.8


@dataclass(frozen=True)
class Frame:
    """One rainy picture and the file of its truth; the same file for `halves` and where a picture is its own truth.

    `key` is what the names of both have in common.
    """

    key: str
    rainy: Path
    truth: Path | None
    halves: bool = False

    @property
    def name(self) -> str:
        """What people call it: the name of the rainy file."""
        return self.rainy.stem

    @property
    def files(self) -> tuple[Path, ...]:
        """The file or the two files that hold it."""
        return (self.rainy,) if self.truth in (None, self.rainy) else (self.rainy, self.truth or self.rainy)


@dataclass(frozen=True)
class Item:
    """One photo (a single frame), or one clip. `size` is width and height, known after `check`."""

    name: str
    frames: tuple[Frame, ...]
    size: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Copy:
    """What of a suite lies in a folder.

    faults: lines that name files which cannot be measured, and say why. suspicions: lines about what may be wrong with
    the copy as a whole. hashes: sha256 of each file, by its path below the folder.
    """

    suite: Suite
    folder: Path
    layout: Layout
    items: tuple[Item, ...]
    faults: tuple[str, ...] = ()
    suspicions: tuple[str, ...] = ()
    hashes: Mapping[str, str] = field(default_factory=dict)

    @property
    def frames(self) -> int:
        """How many pictures there are to clean."""
        return sum(len(item.frames) for item in self.items)

    @property
    def sha256(self) -> str:
        """One hash of the contents of all files, in order; names and layout do not count."""
        return hashlib.sha256("".join(self.hashes.values()).encode()).hexdigest()

    @property
    def partial(self) -> bool:
        """Whether the whole set is known to be larger than this copy."""
        return self.suite.expected is not None and len(self.items) < self.suite.expected

    @property
    def extent(self) -> str:
        """How much of the set this is, for people: `20 of 100 pairs`."""
        one = "clip" if self.suite.kind == "clips" else "pair" if self.suite.truth == "given" else "photo"
        count = len(self.items)
        whole = f"{count} of {self.suite.expected}" if self.partial else f"{count}"
        frames = f" ({self.frames} frames)" if self.suite.kind == "clips" else ""
        total = self.suite.expected if self.partial else count
        return f"{whole} {one}{'' if total == 1 else 's'}{frames}"


def find_copies(requests: Sequence[str], data: Path) -> list[Copy]:
    """The copies that are asked for, or, where nothing is asked for, of every suite that lies below `data`.

    A request is a suite's name, the name of a folder below `data`, a folder, or `NAME=FOLDER`. Raises `UnrainError`
    where it leads to nothing; what is wrong with single files is in each `Copy.faults`.
    """
    if not data.is_dir():
        raise UnrainError(f"{data}: is no folder; name the one that holds the sets with --data")
    if requests:
        return [_requested(request, data) for request in requests]
    places = [(suite, folders) for suite in suites.SUITES.values() if (folders := _search(suite, data))]
    if not places:
        raise UnrainError(f"{data}: holds no folder of a known suite; name some with --suite NAME=FOLDER")
    return [_open((suite,), _only(folders, suite)) for suite, folders in places]


def _requested(request: str, data: Path) -> Copy:
    name, equals, place = request.partition("=")
    if equals:
        known = suites.SUITES.get(name)
        return _open((known,) if known else suites.own(name), _folder(Path(place)))
    if request in suites.SUITES:
        suite = suites.SUITES[request]
        folders = _search(suite, data)
        if not folders:
            names = ", ".join(suite.folders)
            raise UnrainError(
                f"{request}: no folder below {data} is called {names}; get it from {suite.source},"
                f" or name it with --suite {request}=FOLDER"
            )
        return _open((suite,), _only(folders, suite))
    folder = next((place for place in (data / request, Path(request)) if place.is_dir()), None)
    if folder is None:
        suites.find(request)
        raise AssertionError("a suite of that name was looked for above")
    known = suite_of(folder)
    return _open((known,) if known else suites.own(folder.resolve().name), folder)


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise UnrainError(f"{path}: is no folder")
    return path


def _only(folders: Sequence[Path], suite: Suite) -> Path:
    if len(folders) > 1:
        names = ", ".join(map(str, folders))
        raise UnrainError(f"{suite.name} may be any of {names}; choose one with --suite {suite.name}=FOLDER")
    return folders[0]


def suite_of(folder: Path) -> Suite | None:
    """The suite whose copies go by this folder's name, also with the name of a single clip behind it."""
    name = _plain(folder.resolve().name)
    for suite in suites.SUITES.values():
        for known in map(_plain, suite.folders):
            if name == known or (suite.kind == "clips" and re.fullmatch(rf"{known}[a-z]{{1,2}}\d{{1,2}}", name)):
                return suite
    return None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def _search(suite: Suite, data: Path) -> list[Path]:
    """Folders that go by the suite's name, as near to `data` as there are any."""
    level = [data]
    for _ in range(_SEARCH_DEPTH + 1):
        found = [folder for folder in level if suite_of(folder) is suite]
        if found:
            return found
        level = [inner for folder in level for inner in _subfolders(folder)]
    return []


def _subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(inner for inner in folder.iterdir() if inner.is_dir() and not inner.name.startswith("."))
    except OSError:
        return []


class _Reading(NamedTuple):
    """One way to read a folder: the suite it would be, the layout, and the files by (clip, key)."""

    suite: Suite
    layout: Layout
    rainy: dict[tuple[str, str], list[Path]]
    truth: dict[tuple[str, str], list[Path]]

    @property
    def fit(self) -> tuple[int, bool, int]:
        """The more pairs the better; without any, a suite that needs none is likelier."""
        return len(self.rainy.keys() & self.truth.keys()), self.suite.truth == "none", len(self.rainy)


def _open(candidates: Sequence[Suite], folder: Path) -> Copy:
    """The copy in `folder`, read as the suite and layout by which the most files find their partner."""
    files = dict(_pictures(folder))
    readings = [_read(suite, layout, files) for suite in candidates for layout in suite.layouts]
    best = max((reading for reading in readings if reading.rainy), key=lambda reading: reading.fit, default=None)
    if best is None:
        known = "; ".join(dict.fromkeys(layout.name for suite in candidates for layout in suite.layouts))
        raise UnrainError(f"{folder}: no pictures are found there in a known layout: {known}")
    return _copy(best, folder)


def _pictures(folder: Path) -> Iterator[tuple[str, Path]]:
    """Picture files below `folder` by their path in it, without the suffix; hidden ones are left out."""
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(root, name)
            if not name.startswith(".") and path.suffix.lower() in SUFFIXES:
                yield path.relative_to(folder).as_posix(), path


def _read(suite: Suite, layout: Layout, files: Mapping[str, Path]) -> _Reading:
    rainy = _matches(layout.rainy, files)
    truth = _matches(layout.truth, files) if layout.truth else {}
    return _Reading(suite, layout, rainy, truth)


def _matches(pattern: str, files: Mapping[str, Path]) -> dict[tuple[str, str], list[Path]]:
    found: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for name, path in files.items():
        match = re.fullmatch(pattern, name[: -len(path.suffix)], re.IGNORECASE)
        if match:
            groups = match.groupdict()
            found[groups.get("clip", ""), same_key(groups["key"])].append(path)
    return dict(found)


def same_key(text: str) -> str:
    """A key that is the same for `1`, `001` and, in any case of letters, for equal names."""
    return str(int(text)) if text.isdecimal() else text.casefold()


def _copy(reading: _Reading, folder: Path) -> Copy:
    suite, layout = reading.suite, reading.layout
    faults: list[str] = []
    frames: dict[str, list[Frame]] = defaultdict(list)
    for clip, key in sorted(reading.rainy, key=_natural):
        rainy = reading.rainy[clip, key]
        truths = reading.truth.get((clip, key), [])
        if len(rainy) > 1 or len(truths) > 1:
            names = ", ".join(str(path) for path in (rainy if len(rainy) > 1 else truths))
            faults.append(f"{names}: are more than one file for {key}; keep one of them")
        elif layout.truth and not truths:
            faults.append(f"{rainy[0]}: has no truth beside it ({layout.name})")
        else:
            frame = Frame(key, rainy[0], truths[0] if truths else None, layout.halves)
            frames[clip or (folder.resolve().name if suite.kind == "clips" else key)].append(frame)
    faults += [
        f"{path}: is a truth without a rainy picture"
        for clip_key in sorted(reading.truth.keys() - reading.rainy.keys(), key=_natural)
        for path in reading.truth[clip_key]
    ]
    items = tuple(
        Item(parts[0].name if suite.kind == "photos" else name, tuple(parts)) for name, parts in frames.items()
    )
    return Copy(suite, folder, layout, items, tuple(faults))


def _natural(clip_key: tuple[str, str]) -> list[tuple[int, str]]:
    """Sorts 2 before 10."""
    parts = re.split(r"(\d+)", "/".join(clip_key))
    return [(int(part), "") if part.isdecimal() else (0, part) for part in parts]


class Pair(NamedTuple):
    """A rainy picture and its truth, `(H, W, 3)` 8-bit RGB; the truth is None for real rain."""

    rainy: Bytes
    truth: Bytes | None


def read_frame(frame: Frame) -> Pair:
    """Read a rainy picture and its truth; `MediaError` names a file that cannot be read, or that does not fit."""
    rainy = _read_bytes(frame.rainy)
    if frame.halves:
        if rainy.shape[1] % 2:
            raise MediaError(f"{frame.rainy}: is {rainy.shape[1]} pixels wide, which has no two halves")
        middle = rainy.shape[1] // 2
        return Pair(rainy[:, middle:], rainy[:, :middle])
    if frame.truth is None:
        return Pair(rainy, None)
    truth = rainy if frame.truth == frame.rainy else _read_bytes(frame.truth)
    if truth.shape != rainy.shape:
        raise MediaError(f"{frame.rainy}: is {size_text(rainy)}, its truth {frame.truth.name} is {size_text(truth)}")
    return Pair(rainy, truth)


def _read_bytes(path: Path) -> Bytes:
    return to_uint8(read_picture(path).pixels)


def size_text(pixels: Bytes) -> str:
    """Width and height of a picture, for people."""
    return f"{pixels.shape[1]}×{pixels.shape[0]}"


class _Look(NamedTuple):
    """What one look at a frame's files showed; `darker` says that the rainy picture has lost light to the truth."""

    hashes: tuple[str, ...]
    size: tuple[int, int] = (0, 0)
    darker: bool = False
    fault: str = ""


def check(copy: Copy, advance: Callable[[], None] = lambda: None) -> Copy:
    """Look at every file: the same copy with sizes and hashes, without the pictures that cannot be measured.

    What was left out is named in `faults`, what looks wrong as a whole in `suspicions`. `advance` is called after each
    frame.
    """
    frames = [frame for item in copy.items for frame in item.frames]
    faults = list(copy.faults)
    looks: dict[Frame, _Look] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            for frame, look in zip(frames, pool.map(_look, frames), strict=True):
                looks[frame] = look
                advance()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    items = []
    for item in copy.items:
        sound = [frame for frame in item.frames if not looks[frame].fault]
        faults += [looks[frame].fault for frame in item.frames if looks[frame].fault]
        sizes = Counter(looks[frame].size for frame in sound)
        if len(sizes) > 1:
            faults.append(f"{copy.folder}: the frames of clip {item.name} have {len(sizes)} different sizes; left out")
        elif sound:
            items.append(replace(item, frames=tuple(sound), size=next(iter(sizes))))
    hashes = {
        path.relative_to(copy.folder).as_posix(): digest
        for item in items
        for frame in item.frames
        for path, digest in zip(frame.files, looks[frame].hashes, strict=True)
    }
    suspicions = _suspicions([looks[frame] for item in items for frame in item.frames])
    return replace(copy, items=tuple(items), faults=tuple(faults), suspicions=suspicions, hashes=hashes)


def _look(frame: Frame) -> _Look:
    try:
        pair = read_frame(frame)
        hashes = tuple(hashlib.sha256(path.read_bytes()).hexdigest() for path in frame.files)
    except MediaError as error:
        return _Look((), fault=str(error))
    size = pair.rainy.shape[1], pair.rainy.shape[0]
    if pair.truth is None or pair.truth is pair.rainy:
        return _Look(hashes, size)
    if np.array_equal(pair.rainy, pair.truth):
        return _Look((), fault=f"{frame.rainy}: is the same picture as its truth, without any rain")
    change = pair.rainy.astype(np.int32) - pair.truth
    darker = int(np.square(np.minimum(change, 0)).sum()) > int(np.square(np.maximum(change, 0)).sum())
    return _Look(hashes, size, darker)


def _suspicions(looks: Sequence[_Look]) -> tuple[str, ...]:
    share = sum(look.darker for look in looks) / max(1, len(looks))
    if share < _SWAPPED_SHARE:
        return ()
    return (
        f"{share:.0%} of the rainy pictures have less light than their truths, though rain adds light;"
        " rainy and clean may be swapped",
    )
