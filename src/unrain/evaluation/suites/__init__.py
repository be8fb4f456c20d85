"""The sets of pictures that the papers measure on, as data: what each holds, how copies are laid out, where to get it.

Nothing here looks at a disk; finding and checking a copy is the business of `copies.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from unrain.errors import UnrainError

Kind = Literal["photos", "clips"]
Truth = Literal["given", "none", "itself"]


@dataclass(frozen=True)
class Layout:
    """How the files of one published copy are named.

    `rainy` and `truth` are regular expressions for the whole of a file's path below the folder, without its suffix;
    case does not matter. Their group `key` says which two files belong together, and `clip`, where there is one, which
    clip a frame belongs to. With `halves`, one file holds both, side by side: the truth on the left.
    """

    name: str
    rainy: str
    truth: str | None = None
    halves: bool = False


@dataclass(frozen=True)
class Suite:
    """One set to measure on.

    kind: single photos, or clips of frames. truth: `given`; `none` for real rain; `itself` for clean pictures, which a
    method should leave as they are. expected: how many photos or clips the whole set has, where that is known. folders:
    names under which copies go around, the first being the suite's own. convention: how the papers measure it. source:
    where its authors publish it. Both are empty for a set of one's own.
    """

    name: str
    title: str
    kind: Kind
    truth: Truth
    expected: int | None
    layouts: tuple[Layout, ...]
    folders: tuple[str, ...]
    convention: str
    source: str


_KEY = r"(?P<key>[^/]+?)"
_CLIP = r"(?P<clip>[^/]+)"

_OURS = Layout("rainy/ and clean/", f"rainy/{_KEY}", f"clean/{_KEY}")
_INPUT_TARGET = Layout("input/ and target/, as in MPRNet's release", f"input/{_KEY}", f"target/{_KEY}")
_RAIN_NORAIN = Layout("rain/ and norain/", f"rain/(?:rain-)?{_KEY}", f"norain/(?:norain-)?{_KEY}")
_RAINY_GT = Layout("rainy/ and gt/", f"rainy/(?:rain-)?{_KEY}", f"(?:gt|groundtruth|ground_truth)/(?:norain-)?{_KEY}")
_PRENET = Layout("rainy/rain-001 beside norain-001, as in PReNet's release", f"rainy/rain-{_KEY}", f"norain-{_KEY}")
_FLAT = Layout("rain-001 and norain-001 in one folder", f"rain-{_KEY}", f"norain-{_KEY}")
_JORDER = Layout(
    "rain/X2/norain-1x2 and norain/norain-1, as on the authors' page",
    f"(?:rain_data_test_(?:light|heavy)/)?rain/x2/norain-{_KEY}x2",
    f"(?:rain_data_test_(?:light|heavy)/)?norain/norain-{_KEY}",
)
_IN_GT = Layout("01_in and 01_GT", f"(?:[^/]+/)?{_KEY}_in", f"(?:[^/]+/)?{_KEY}_gt")
_HALVES = Layout("clean and rainy halves of one picture, as in ID-CGAN's release", _KEY, _KEY, halves=True)
_PAIRS = (_OURS, _INPUT_TARGET, _RAIN_NORAIN, _RAINY_GT)

_OUR_CLIPS = Layout("rainy/CLIP/ and clean/CLIP/", f"rainy/{_CLIP}/{_KEY}", f"clean/{_CLIP}/{_KEY}")
_ONE_CLIP = Layout("one clip, rainy/ and clean/", f"rainy/{_KEY}", f"clean/{_KEY}")
_J4R_ROOT = r"(?:video_rain_(?:light|heavy)/)?(?:test/)?"
_J4R = Layout(
    "input/CLIP/ and gt/CLIP/ (or processed/CLIP/), as in J4R-Net's release",
    f"{_J4R_ROOT}input/{_CLIP}/{_KEY}",
    f"{_J4R_ROOT}(?:gt|processed)/{_CLIP}/{_KEY}",
)
_J4R_FRAMES = Layout(
    "CLIP/rfc-1 and CLIP/gtc-1, as in J4R-Net's frames",
    f"{_J4R_ROOT}{_CLIP}/rfc-{_KEY}",
    f"{_J4R_ROOT}{_CLIP}/gtc-{_KEY}",
)
_NTU_ROOT = r"(?:dataset_testing_synthetic/)?"
_NTU = Layout(
    "a1_Rain/ and a1_GT/, as in SPAC-CNN's release",
    f"{_NTU_ROOT}{_CLIP}_rain/{_KEY}",
    f"{_NTU_ROOT}{_CLIP}_gt/{_KEY}",
)
_CLIPS = (_OUR_CLIPS, _ONE_CLIP, _J4R, _J4R_FRAMES)

_REAL = Layout("rainy photos without a truth", rf"(?:(?:rainy|input|real_input)/)?{_KEY}")
_REAL_CLIPS = Layout("CLIP/ without a truth", f"(?:(?:rainy|input)/)?{_CLIP}/{_KEY}")
_DRY = Layout("clean photos", f"(?:clean/)?{_KEY}", f"(?:clean/)?{_KEY}")

_SAPNET = "SAPNet: PSNR and SSIM on rgb; PReNet, MPRNet, Restormer: on y"
_SAPNET_REAL = "SAPNet: metrics without a truth"
_J4RNET = "J4R-Net does not say on which channels; per frame, per clip, then over the clips"
_HARMLESS = "PSNR and SSIM of the output to the input, which has no rain; higher is better"
_MADE = "made with `unrain rain clean -o rainy --preset NAME --seed N` of labelled photos"

SUITES: Mapping[str, Suite] = {
    suite.name: suite
    for suite in (
        Suite(
            "rain12", "Rain12", "photos", "given", 12, (*_PAIRS, _IN_GT), ("rain12", "test12", "li_cvpr16_rain"),
            _SAPNET, "http://yu-li.github.io/paper/li_cvpr16_rain.zip",
        ),
        Suite(
            "rain100l", "Rain100L", "photos", "given", 100, (*_PAIRS, _PRENET, _FLAT, _JORDER),
            ("rain100l", "rain_data_test_light"),
            _SAPNET, "http://www.icst.pku.edu.cn/struct/Projects/joint_rain_removal.html (the first version)",
        ),
        Suite(
            "rain100h", "Rain100H", "photos", "given", 100, (*_PAIRS, _PRENET, _FLAT, _JORDER),
            ("rain100h", "rain_data_test_heavy"),
            _SAPNET, "http://www.icst.pku.edu.cn/struct/Projects/joint_rain_removal.html (the first version)",
        ),
        Suite(
            "rain800", "Rain800", "photos", "given", 100, (*_PAIRS, _HALVES), ("rain800", "test_syn", "test100"),
            _SAPNET, "https://github.com/hezhangsprinter/ID-CGAN",
        ),
        Suite(
            "sirr", "SIRR", "photos", "none", 147, (_REAL,), ("sirr", "real_input"),
            _SAPNET_REAL, "https://github.com/ShenZheng2000/SAPNet-for-image-deraining (datasets/real_input)",
        ),
        Suite(
            "moss", "MOSS", "photos", "none", None, (_REAL,), ("moss",),
            _SAPNET_REAL, "https://github.com/hhb072/MOSS",
        ),
        Suite(
            "coco150", "COCO150", "photos", "given", 150, _PAIRS, ("coco150",),
            "SAPNet: detection before and after", f"{_MADE}; photos: https://cocodataset.org",
        ),
        Suite(
            "cityscape150", "CityScape150", "photos", "given", 150, _PAIRS, ("cityscape150", "cityscapes150"),
            "SAPNet: segmentation before and after", f"{_MADE}; photos: https://www.cityscapes-dataset.com",
        ),
        Suite(
            "rainsynlight25", "RainSynLight25", "clips", "given", 25, _CLIPS,
            ("rainsynlight25", "video_rain_light", "light25"),
            _J4RNET, "https://github.com/flyywh/J4RNet-Deep-Video-Deraining-CVPR-2018",
        ),
        Suite(
            "rainsyncomplex25", "RainSynComplex25", "clips", "given", 25, _CLIPS,
            ("rainsyncomplex25", "video_rain_heavy", "complex25"),
            _J4RNET, "https://github.com/flyywh/J4RNet-Deep-Video-Deraining-CVPR-2018",
        ),
        Suite(
            "rainpractical10", "RainPractical10", "clips", "none", 10, (_REAL_CLIPS,),
            ("rainpractical10", "practical10"),
            "J4R-Net: looked at, not measured",
            "https://github.com/flyywh/J4RNet-Deep-Video-Deraining-CVPR-2018",
        ),
        Suite(
            "nturain", "NTURain", "clips", "given", 8, (_NTU, _OUR_CLIPS, _ONE_CLIP),
            ("nturain", "dataset_testing_synthetic", "spac_supplementarymaterials"),
            "PSNR and SSIM on y; per frame, per clip, then over the clips",
            "https://github.com/hotndy/SPAC-SupplementaryMaterials",
        ),
        Suite(
            "kodak", "Kodak without rain", "photos", "itself", 24, (_DRY,), ("kodak", "kodak24"),
            _HARMLESS, "https://r0k.us/graphics/kodak/",
        ),
        Suite(
            "dry", "Photos without rain", "photos", "itself", None, (_DRY,), ("dry",),
            _HARMLESS, "any photos without rain",
        ),
    )
}  # fmt: skip


def find(name: str) -> Suite:
    """The suite of this name; `UnrainError` names those that exist."""
    if name not in SUITES:
        raise UnrainError(f"there is no suite {name!r}; choose from {', '.join(SUITES)}, or name a folder")
    return SUITES[name]


def own(name: str) -> tuple[Suite, ...]:
    """The suites that a folder of somebody's own may be, the likeliest first: pairs, clips, clips or photos of rain."""
    kinds: tuple[tuple[Kind, Truth, tuple[Layout, ...]], ...] = (
        ("photos", "given", (*_PAIRS, _PRENET, _FLAT, _JORDER, _IN_GT)),
        ("clips", "given", (_OUR_CLIPS, _J4R, _J4R_FRAMES, _NTU)),
        ("photos", "none", (_REAL,)),
        ("clips", "none", (_REAL_CLIPS,)),
    )
    return tuple(Suite(name, name, kind, truth, None, layouts, (), "", "") for kind, truth, layouts in kinds)
