"""What is compared: nothing done at all, a shipped model, a network from a file, or a folder of results made elsewhere.

Each is told a clip's frames (a photo is a clip of one) and gives its results; nothing is measured here.
"""

from __future__ import annotations

import hashlib
import importlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from unrain import weights
from unrain.errors import MediaError, UnrainError, WeightsError
from unrain.evaluation.suites import Suite
from unrain.evaluation.suites.copies import Frame, Item, same_key
from unrain.inference import frames, pictures, recurrence
from unrain.inference.engines import Engine
from unrain.inference.pictures import PictureCleaner
from unrain.inference.recurrence import FrameCleaner
from unrain.media.images import SUFFIXES, read_picture, to_uint8

Bytes = NDArray[np.uint8]
Result = Bytes | UnrainError
"""What became of one frame: an 8-bit picture, as a file would hold it, or why there is none."""


class MissingResult(MediaError):
    """A folder of results lacks this one; `name` is the rainy picture's."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no result for {name}")
        self.name = name


RAINY = "rainy"
PUBLISHED_STAGES = 6
"""How often the papers of SAPNet and PReNet repeat their stage."""


class Method(Protocol):
    """Something that makes clean frames.

    label: what the tables call it. about: all that is needed to run it again, for the report. timed: whether it
    computes, so that its time means something.
    """

    label: str
    about: Mapping[str, Any]
    timed: bool

    def refusal(self, suite: Suite) -> str | None:
        """One line on why it cannot be measured on this suite; None if it can."""
        ...

    def clean(self, suite: Suite, item: Item, pictures: Iterable[Bytes]) -> Iterator[Result]:
        """One result per frame of `item`, in order; `pictures` are its rainy frames, to be read in order."""
        ...


class Rainy:
    """The input as it is: what every method is compared with."""

    label = RAINY
    about: Mapping[str, Any] = {"kind": "the input, as it is"}
    timed = False

    def refusal(self, suite: Suite) -> str | None:
        """None: every suite has inputs."""
        return None

    def clean(self, suite: Suite, item: Item, pictures: Iterable[Bytes]) -> Iterator[Result]:
        """The frames themselves."""
        yield from pictures


class ImageMethod:
    """A network for single pictures; the frames of a clip are cleaned one by one."""

    timed = True

    def __init__(self, label: str, cleaner: PictureCleaner, count: int, about: Mapping[str, Any]) -> None:
        self.label = label
        ran = _runs_on(cleaner.engine(count))
        self.about: Mapping[str, Any] = {"kind": "network for pictures", **ran, **about, "stages": count}
        self._cleaner, self._count = cleaner, count

    def refusal(self, suite: Suite) -> str | None:
        """None: a clip is cleaned frame by frame."""
        return None

    def clean(self, suite: Suite, item: Item, pictures: Iterable[Bytes]) -> Iterator[Result]:
        """See `Method.clean`."""
        for picture in pictures:
            try:
                yield self._cleaner.clean(picture, self._count)
            except MediaError as error:
                yield error


class VideoMethod:
    """A network for videos: the frames of a clip are streamed through its memory."""

    timed = True

    def __init__(self, label: str, cleaner: FrameCleaner, about: Mapping[str, Any]) -> None:
        self.label = label
        self.about: Mapping[str, Any] = {"kind": "network for videos", **_runs_on(cleaner.engine), **about}
        self._cleaner = cleaner

    def refusal(self, suite: Suite) -> str | None:
        """A photo has no frames before it that could be remembered."""
        if suite.kind == "clips":
            return None
        return f"{self.label} cleans videos, and {suite.name} holds photos; give it a suite of clips"

    def clean(self, suite: Suite, item: Item, pictures: Iterable[Bytes]) -> Iterator[Result]:
        """See `Method.clean`."""
        self._cleaner.check(item.size[1], item.size[0])
        for result in frames.run_frames(self._cleaner, pictures):
            try:
                yield to_uint8(result.background)
            except MediaError as error:
                yield error


class ResultsMethod:
    """A folder of pictures that some other program made, found by the names of the rainy files or of their truths.

    Of several suites, each has a folder of its own in it, by any of the names that copies of the suite go by.
    """

    timed = False

    def __init__(self, label: str, folder: Path) -> None:
        self.label, self._folder = label, folder
        self.about: Mapping[str, Any] = {"kind": "results made elsewhere", "folder": str(folder)}
        self._files: dict[Path, dict[tuple[str, str], Path]] = {}

    def refusal(self, suite: Suite) -> str | None:
        """None: what is missing is said file by file."""
        return None

    def clean(self, suite: Suite, item: Item, pictures: Iterable[Bytes]) -> Iterator[Result]:
        """See `Method.clean`; a result that is missing, cannot be read or has another size is an error that says so."""
        folder = self._folder_of(suite)
        if folder not in self._files:
            self._files[folder] = _index(folder)
        clip = _clip_key(item.name) if suite.kind == "clips" else ""
        for frame, picture in zip(item.frames, pictures, strict=True):
            yield _result(self._files[folder], clip, frame, picture)

    def _folder_of(self, suite: Suite) -> Path:
        names = {name.casefold() for name in (suite.name, suite.title, *suite.folders)}
        inner = (path for path in sorted(self._folder.iterdir()) if path.is_dir() and path.name.casefold() in names)
        return next(inner, self._folder)


def _index(folder: Path) -> dict[tuple[str, str], Path]:
    """Picture files by the names of their folder and their own; a photo is found without its folder, too."""
    found: dict[tuple[str, str], Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
            key = same_key(path.stem)
            found.setdefault((_clip_key(path.parent.name), key), path)
            found.setdefault(("", key), path)
    return found


def _clip_key(name: str) -> str:
    return re.sub(r"_(rain|rainy|gt|clean|derained)$", "", name.casefold())


def _result(files: Mapping[tuple[str, str], Path], clip: str, frame: Frame, picture: Bytes) -> Result:
    names = [same_key(path.stem) for path in frame.files] + [frame.key]
    path = next((files[clip, name] for name in names if (clip, name) in files), None)
    if path is None:
        return MissingResult(f"{clip}/{frame.name}" if clip else frame.name)
    try:
        result = to_uint8(read_picture(path).pixels)
    except MediaError as error:
        return error
    if result.shape != picture.shape:
        sizes = [f"{pixels.shape[1]}×{pixels.shape[0]}" for pixels in (result, picture)]
        return MediaError(f"{path}: is {sizes[0]}, but {frame.rainy.name} is {sizes[1]}")
    return result


def open_method(
    text: str, engine: str = "auto", threads: int | None = None, precision: str = "fp32", mirrored: bool = False
) -> Method:
    """What is meant by one METHOD of the command line.

    A shipped model's name; a step graph (.onnx); a checkpoint of a training run, or one that the authors of a network
    published (.pt, .pth; these need the extra `train`, and run in PyTorch, exactly as they are); or a folder of
    results. `LABEL=` before it names its row. `@N` behind it is the number of stages of a network for pictures.
    `precision`, int8 or fp32, is that of the shipped models; the others are what they are. `mirrored` goes for the
    shipped models for pictures and step graphs of such: see `PictureCleaner`. Raises `UnrainError` where it is none of
    these.
    """
    if precision not in weights.PRECISIONS:
        raise UnrainError(f"there is no precision {precision!r}; choose one of {', '.join(weights.PRECISIONS)}")
    label, what = _split_label(text)
    path, count = _split_stages(what)
    label = label or Path(what).resolve().name
    if path.is_dir():
        return ResultsMethod(label, path)
    if path.suffix.lower() in (".pt", ".pth") and path.is_file():
        return _checkpoint(label, path, count, threads)
    if path.suffix.lower() == ".onnx" and path.is_file():
        return _graph(label, _entry(path), count, engine, threads, mirrored=mirrored)
    if str(path) not in weights.catalog():
        raise UnrainError(
            f"there is no method {what!r}: it is no file or folder here, and no shipped model"
            f" ({', '.join(weights.catalog())})"
        )
    return _graph(label, weights.find(str(path)), count, engine, threads, precision, mirrored)


def _split_label(text: str) -> tuple[str, str]:
    label, equals, what = text.partition("=")
    return (label.strip(), what) if equals and not Path(text).exists() else ("", text)


def _split_stages(what: str) -> tuple[Path, int | None]:
    match = re.fullmatch(r"(.+)@(\d+)", what)
    if match is None or Path(what).exists():
        return Path(what), None
    if int(match[2]) < 1:
        raise UnrainError(f"{what}: a picture cannot be cleaned in {match[2]} stages; use 1 or more")
    return Path(match[1]), int(match[2])


def _entry(graph: Path) -> weights.Entry:
    """A step graph outside of the catalog, with the memory and stages of the shipped one of its kind."""
    content = graph.read_bytes()
    # A graph holds its network's name as plain text, behind its length; reading it so needs no library.
    names = [*pictures.RESULTS, *recurrence.NETWORKS]
    network = next((name for name in names if b"network\x12%c%s" % (len(name), name.encode()) in content), None)
    if network is None:
        raise WeightsError(f"{graph}: is not a step graph of unrain; make one with unrain export")
    digest = hashlib.sha256(content).hexdigest()
    like, file = weights.of_network(network), str(graph.absolute())
    return replace(like, name=graph.stem, network=network, file=file, sha256=digest, details={}, int8=None)


def _graph(
    label: str,
    entry: weights.Entry,
    count: int | None,
    engine: str,
    threads: int | None,
    precision: str = "fp32",
    mirrored: bool = False,
) -> Method:
    graph = entry.graph(precision)
    about = {"network": entry.name, "file": str(graph), "sha256": weights.file_hash(graph)}
    if b"QuantizeLinear" in graph.read_bytes():
        about["precision"] = "int8"
    if entry.kind == "video":
        _refuse_stages(label, count)
        return VideoMethod(label, recurrence.opened(entry, engine, threads, precision), about)
    about |= {"mirrored": "and as it is, the mean of both"} if mirrored else {}
    cleaner = pictures.opened(entry, engine, threads, precision, mirrored)
    return ImageMethod(label, cleaner, count or entry.stages, about)


def _checkpoint(label: str, path: Path, count: int | None, threads: int | None) -> Method:
    """A network with the weights of a checkpoint, in PyTorch, so that no rounding of an export is between them."""
    try:
        import torch

        from unrain.inference.engines.torch import TorchEngine
        from unrain.networks.graphs import SIGNATURES, graph_of
        from unrain.networks.j4rnet import J4RNet
        from unrain.networks.j4rnet_half import J4RNetHalf
    except ImportError:
        raise UnrainError(f"{path}: a checkpoint needs PyTorch; try: pip install 'unrain[train]'") from None
    if threads:
        torch.set_num_threads(threads)
    network, published = _read_checkpoint(path)
    name, graph = graph_of(network)
    signature = SIGNATURES[name]
    like = weights.of_network(name)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    about = {"network": name, "weights": "published" if published else "trained", "file": str(path), "sha256": digest}
    if isinstance(network, J4RNet | J4RNetHalf):
        _refuse_stages(label, count)
        step = TorchEngine(graph.eval(), signature, recurrence.BACKGROUND, 1)
        cleaner = FrameCleaner(step, like.bytes_per_pixel("torch", "fp32"), even=signature.even)
        return VideoMethod(label, cleaner, about)
    picture_cleaner = _picture_cleaner(network)
    return ImageMethod(label, picture_cleaner, count or (PUBLISHED_STAGES if published else like.stages), about)


def _picture_cleaner(network: Any) -> PictureCleaner:
    from unrain.inference.engines.torch import TorchEngine
    from unrain.networks.graphs import SIGNATURES, graph_of

    name, graph = graph_of(network)

    def open_engine(steps: int) -> Engine:
        return TorchEngine(graph.eval(), SIGNATURES[name], pictures.RESULTS[name], steps)

    return PictureCleaner(open_engine, name, weights.find(weights.DEFAULT_IMAGE).bytes_per_pixel("torch", "fp32"))


def _read_checkpoint(path: Path) -> tuple[Any, bool]:
    """The network in a checkpoint, and whether its weights are those that a network's authors published."""
    from unrain.networks.graphs import NETWORKS, build, load_weights
    from unrain.training import checkpoint
    from unrain.training.export import averaged_network

    state = checkpoint.load(path)
    if "network_name" in state:
        return averaged_network(path), False
    for name, kind in NETWORKS.items():
        # A network whose authors published weights has, in its module, a function that renames them to ours.
        rename = getattr(importlib.import_module(kind.__module__), "from_published", None)
        if rename is None:
            continue
        try:
            known = rename(state)
        except WeightsError:
            continue
        network = build(name)
        load_weights(network, known)
        return network, True
    raise WeightsError(f"{path}: is neither a checkpoint of a training run nor one that a network's authors published")


def _refuse_stages(label: str, count: int | None) -> None:
    if count is not None:
        raise UnrainError(f"{label}: a network for videos has no stages to choose; leave out the @")


def _runs_on(engine: Engine) -> dict[str, Any]:
    return {
        "engine": f"{engine.name} {metadata.version(engine.name)}",
        "device": engine.device,
        "precision": "float32",
    }
