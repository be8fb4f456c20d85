"""Which file is what, and which output belongs to which input.

What is inside of the files is read and written in images/ and videos/, and outputs appear through writing.py.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import count
from pathlib import Path

from unrain.errors import MediaError
from unrain.media import images, videos
from unrain.media.manifest import FOLDER, made_of_others

# containers that are read but not written, or that players open under another name
_WRITTEN_AS = {".avi": ".mkv", ".3gp": ".mp4", ".mts": ".ts", ".m2ts": ".ts", **images.READ_ONLY_SUFFIXES}
_CONTAINERS = {"mov": ".mp4", "matroska": ".mkv", "avi": ".mkv", "mpegts": ".ts"}
_MEDIA_SUFFIXES = {*images.SUFFIXES, *videos.SUFFIXES, *_WRITTEN_AS}
VIEWS = ("streaks", "degradation", "side_by_side")
"""What else may be written of a file, beside its result."""


class Kind(StrEnum):
    """What a file holds."""

    IMAGE = "image"
    VIDEO = "video"


@dataclass(frozen=True)
class Job:
    """One file to read and the file to write for it.

    `root` is the output folder that the target is part of, if there is one. `names` are those of source and target to
    people, where they are not the paths. `refused` says in one line why the target must not be written, if so.
    """

    source: Path
    target: Path
    root: Path | None = None
    names: tuple[str, str] | None = None
    refused: str | None = None


def kind_of(path: Path) -> Kind:
    """Whether a file holds a picture or a video, told from its content and never from its name.

    Raises MediaError for a file that is missing, empty, or neither of the two.
    """
    try:
        with path.open("rb") as file:
            head = file.read(1024)
    except OSError as error:
        raise MediaError(f"{path}: cannot be opened: {error.strerror}") from error
    if not head:
        raise MediaError(f"{path}: is empty; fetch or export it again")
    if images.is_picture(path):
        return Kind.IMAGE
    try:
        videos.probe(path)
    except MediaError as error:
        if videos.container_of(head):
            raise
        raise MediaError(f"{path}: is neither a picture nor a video that unrain can read; convert it first") from error
    return Kind.VIDEO


def suffix_for(path: Path) -> str:
    """The suffix for writing a file like this one, going by its content. Raises MediaError like `kind_of`."""
    if kind_of(path) is Kind.IMAGE:
        return images.suffix_of(path)
    with path.open("rb") as file:
        return _CONTAINERS[videos.container_of(file.read(1024)) or "matroska"]


def plan(inputs: Sequence[Path], output: Path | None, suffix: str = "_clean", *, overwrite: bool = False) -> list[Job]:
    """Say which file is written for which input, in a fixed order.

    - Without `output`, with the suffix `_clean`: `photo.png` becomes `photo_clean.png` beside it, the folder `in`
      becomes `in_clean`.
    - One file, and an `output` with the suffix of a picture or video: exactly that file.
    - Otherwise `output` is a folder. Of one folder the tree is kept below it; of several inputs each folder keeps its
      own name. Files of the same name are told apart by the folders that they come from, or else by a number.

    Folders are walked in sorted order, without hidden entries, linked folders, `output` itself, and files that do not
    have the suffix of a picture or video. A file that is named is always planned, also if it does not exist. AVI is
    written as .mkv, 3GP as .mp4 and MTS as .ts, because the originals cannot hold what is kept; HEIC as .jpg,
    and as .png, like AVIF, if it has more than 8 bits.

    With `overwrite`, and without `output`, each file is its own target, unless it is written as another format; such
    results are not sources the next time. A job is refused if its target is another source, or a link to itself.

    Raises MediaError if all jobs are refused, a target lies outside of the output folder because of a link, or
    `output` is a file where a folder is needed.
    """
    if overwrite:
        if output is not None:
            raise MediaError(f"{output}: is an output, but the inputs are to be overwritten; ask for one of the two")
        jobs = [job for each in inputs for job in _in_place(each)]
    elif output is not None and len(inputs) == 1 and _names_a_file(inputs[0], output):
        jobs = [Job(inputs[0], output)]
    elif output is None:
        jobs = [job for each in inputs for job in _beside(each, suffix)]
    else:
        if output.exists() and not output.is_dir():
            raise MediaError(f"{output}: is a file, but a folder is needed for these inputs; name a folder")
        jobs = [Job(each, output / target, output) for each, target in _relative_targets(inputs, output)]
        _refuse_escapes(jobs, output)
    jobs = _distinct(jobs, overwrite)
    if jobs and all(job.refused for job in jobs):
        raise MediaError(jobs[0].refused)
    return jobs


def _names_a_file(source: Path, output: Path) -> bool:
    return output.suffix.lower() in _MEDIA_SUFFIXES and not source.is_dir() and not output.is_dir()


def _beside(each: Path, suffix: str) -> Iterator[Job]:
    if not each.is_dir():
        yield Job(each, _as_written(each.with_name(each.stem + suffix + each.suffix), each))
        return
    folder = _real(each) if each.name in ("", "..") else each
    root = folder.with_name(folder.name + suffix)
    jobs = [Job(source, root / _as_written(source.relative_to(each), source), root) for source in _walk(each, root)]
    _refuse_escapes(jobs, root)
    yield from jobs


def _in_place(each: Path) -> Iterator[Job]:
    if not each.is_dir():
        yield Job(each, _as_written(each, each))
        return
    ours = made_of_others(each)
    for source in _walk(each, each / FOLDER):
        if source not in ours:
            yield Job(source, _as_written(source, source), each)


def _relative_targets(inputs: Sequence[Path], output: Path) -> Iterator[tuple[Path, Path]]:
    files = [each for each in inputs if not each.is_dir()]
    shared = Counter(each.name.casefold() for each in {_real(each): each for each in files}.values())
    twins = [_real(each.parent) for each in files if shared[each.name.casefold()] > 1]
    common = Path(os.path.commonpath(twins)) if twins else Path()
    for each in inputs:
        if each.is_dir():
            top = Path(_real(each).name) if len(inputs) > 1 else Path()
            for source in _walk(each, output):
                yield source, top / _as_written(source.relative_to(each), source)
        elif shared[each.name.casefold()] > 1:
            yield each, _as_written(_real(each.parent).relative_to(common) / each.name, each)
        else:
            yield each, _as_written(Path(each.name), each)


def _walk(folder: Path, output: Path) -> Iterator[Path]:
    """Media files below `folder`, sorted; results of an earlier run, and views of them, must not become inputs."""
    found = []
    for root, folders, files in os.walk(folder, followlinks=False):
        names = set(files)
        folders[:] = [name for name in folders if not name.startswith(".") and _real(Path(root, name)) != _real(output)]
        visible = (Path(root, name) for name in names if not (name.startswith(".") or _is_view(name, names)))
        found += [path for path in visible if path.suffix.lower() in _MEDIA_SUFFIXES]
    yield from sorted(found, key=lambda path: path.parts)


def view_of(target: Path, what: str, suffix: str) -> Path:
    """Where one of the `VIEWS` of a result is written."""
    return target.with_name(f"{target.name}.{what}{suffix}")


def _is_view(name: str, others: Container[str]) -> bool:
    whole, what = os.path.splitext(os.path.splitext(name)[0])
    return what[1:] in VIEWS and whole in others


def _as_written(path: Path, source: Path) -> Path:
    """The path with the suffix under which the result of `source` is written."""
    suffix = source.suffix.lower()
    if suffix in images.MAYBE_DEEP and images.is_deep(source):
        return path.with_suffix(".png")
    return path.with_suffix(_WRITTEN_AS.get(suffix, source.suffix)) if suffix else path


def _distinct(jobs: Sequence[Job], overwrite: bool) -> list[Job]:
    """Each source once, and each target once, none of them another source; case makes no difference between targets."""
    real = _Real()
    if overwrite:  # a link must not stand for the file that it leads to
        jobs = sorted(jobs, key=lambda job: job.source.is_symlink())
    distinct: dict[str, Job] = {}
    for job in jobs:
        distinct.setdefault(real(job.source), job)
    sources = {source.casefold() for source in distinct}
    targets: set[str] = set()

    def is_free(path: Path, job: Job) -> bool:
        if str(path).casefold() in targets:
            return False
        return path == job.target or real(path).casefold() not in sources

    kept = []
    for job in distinct.values():
        refused = _refusal(job, overwrite, real(job.target).casefold() in sources)
        if refused is None:
            if job.target != job.source:
                job = replace(job, target=next(path for path in _numbered(job.target) if is_free(path, job)))
            targets.add(str(job.target).casefold())
        kept.append(replace(job, refused=refused))
    return kept


def _numbered(path: Path) -> Iterator[Path]:
    yield path
    yield from (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in count(2))


def _refusal(job: Job, overwrite: bool, is_source: bool) -> str | None:
    if overwrite and job.target == job.source:
        if job.source.is_symlink():
            return f"{job.source}: is a link, so it is not overwritten; name the file that it leads to"
        return None
    if not is_source:
        return None
    if overwrite:
        return f"{job.source}: is written as {job.target.name}, which is an input too; move one of the two elsewhere"
    return f"{job.target}: would overwrite an input; choose another output, or ask for --overwrite"


def _refuse_escapes(jobs: Sequence[Job], root: Path) -> None:
    for folder, job in {job.target.parent: job for job in jobs}.items():
        if not _real(folder).is_relative_to(_real(root)):
            raise MediaError(f"{job.target}: a link leads out of {root}; remove the link or choose another output")


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


class _Real:
    """Paths without links, for many files: each folder is looked up once."""

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def __call__(self, path: Path) -> str:
        """The path as `_real` has it."""
        folder, name = os.path.split(path)
        if name in ("", os.curdir, os.pardir) or path.is_symlink():
            return os.path.realpath(path)
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        return os.path.join(self._folders[folder], name)
