"""Training: recipes are checked, runs go on where they stopped, and what is exported is what was trained."""

from __future__ import annotations

import json
import os
import pickle
import random
import shutil
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from unrain.data.batches import Batches, Mixture
from unrain.errors import RecipeError, WeightsError
from unrain.networks.graphs import build, read_network
from unrain.networks.sapnet import SAPNet
from unrain.training import checkpoint, loop, recipe, validation
from unrain.training.export import averaged_network, export, export_checkpoints, mean_network
from unrain.training.features import Features, Residual
from unrain.training.log import Progress
from unrain.training.loop import Setting
from unrain.training.objectives import OBJECTIVES, Losses, PictureLoss

IDS = ["sapnet", "j4rnet", "j4rnet-half"]
UNRAIN = Path(sys.executable).with_name("unrain")
RECIPES = sorted((Path(__file__).parents[1] / "recipes").glob("*.toml"))

TINY = """
network = "{network}"
seed = 1
[mixture]
rain = "rain100l"
dry = 0.2
{phases}
"""
PHASE = '[[phases]]\nobjective = "{}"\nsteps = {}\nbatch = 2\nsize = 20\nrate = [1e-3, 1e-4]\n'
SAPNET = TINY.format(network="sapnet", phases=PHASE.format("sapnet", 2) + PHASE.format("sapnet", 2) + "stages = 2\n")
J4RNET = TINY.format(
    network="j4rnet", phases=PHASE.format("j4rnet-single", 1) + PHASE.format("j4rnet", 2) + "frames = 3\n"
)
J4RNET_HALF = TINY.format(network="j4rnet-half", phases=PHASE.format("clip", 2) + "frames = 3\n")


def train_command(recipe: Path, data: Path, run: Path) -> list[str]:
    return [*map(str, (UNRAIN, "train", recipe, "--data", data, "-o", run)), "--threads", "1"]


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def write(folder: Path, text: str) -> recipe.Recipe:
    path = folder / "tiny.toml"
    path.write_text(text)
    return recipe.load(path)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipe_of_the_project_can_be_read(path: Path) -> None:
    assert recipe.load(path).steps > 0


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipe_of_the_project_runs_from_start_to_end(tmp_path: Path, training_folder: Path, path: Path) -> None:
    small = {"steps": 1, "batch": 2, "size": 24, "frames": 3, "stages": 2}
    phases = recipe.load(path).phases
    changes = [
        f"phases.{number}.{name}={min(value, getattr(phase, name))}"
        for number, phase in enumerate(phases)
        for name, value in small.items()
    ]
    short = recipe.load(path, changes)
    assert short.steps == len(phases)
    torch.manual_seed(0)
    setting = Setting(features=Features(((4,), (4,), (4,), (4,))), backbone=Residual((1, 1), width=4))
    last = loop.train(short, training_folder, tmp_path, setting)
    assert checkpoint.load(last)["step"] == short.steps
    averaged_network(last)


def test_papers_weights_and_rates_are_in_their_recipes() -> None:
    sapnet, j4rnet = (recipe.load(RECIPES[0].with_name(f"{name}-paper.toml")) for name in ("sapnet", "j4rnet"))
    assert sapnet.losses == Losses(0, 0, ssim=1, segmentation=0.1, contrastive=0.1, perceptual=0.1, earlier=0)
    assert {(phase.batch, phase.size, phase.stages) for phase in sapnet.phases} == {(12, 100, 6)}
    rates = [phase.rate[0] for phase in sapnet.phases]
    assert rates == pytest.approx([1e-4 * 0.2**power for power in range(4)])
    shares = np.cumsum([phase.steps for phase in sapnet.phases]) / sapnet.steps
    assert shares.tolist() == pytest.approx([0.3, 0.5, 0.8, 1])
    assert [phase.objective for phase in j4rnet.phases] == ["j4rnet-single", "j4rnet", "j4rnet"]
    assert (j4rnet.phases[1].frames, j4rnet.phases[1].size) == (9, 32)
    assert (j4rnet.phases[0].rate[0], j4rnet.phases[-1].rate[1]) == (1e-3, 1e-5)


def test_each_ablation_adds_one_thing_on_an_equal_budget() -> None:
    rows = [recipe.load(RECIPES[0].with_name(f"ablation-{row}.toml")) for row in ("m1", "m2", "m3", "m4", "m5", "full")]
    assert len({row.steps for row in rows}) == 1
    assert len({(row.mixture, row.seed, row.phases[0].batch, row.phases[0].size) for row in rows}) == 1
    for before, after in pairwise(rows):
        changed = [
            getattr(before.losses, name) != getattr(after.losses, name)
            for name in ("segmentation", "contrastive", "perceptual")
        ]
        changed += [before.options != after.options, len(before.phases) != len(after.phases)]
        assert sum(changed) == 1


def test_settings_can_be_changed_from_outside(tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(SAPNET)
    changed = recipe.load(
        path, ["seed=3", "mixture.rain=heavy", "mixture.dry = 0.5", "phases.1.rate=[1e-2, 1e-3]", "losses.ssim=1"]
    )
    assert (changed.seed, changed.mixture.rain, changed.mixture.dry) == (3, "heavy", 0.5)
    assert changed.phases[1].rate == (1e-2, 1e-3)
    assert changed.losses.ssim == 1
    for wrong, says in (
        ("seed", "no ="),
        ("phases.9.steps=1", "phases.9"),
        ("sead=1", "sead"),
        ("losses.ssim=-1", "ssim"),
    ):
        with pytest.raises(RecipeError, match=says):
            recipe.load(path, [wrong])


def test_recipe_that_looks_at_pictures_asks_for_what_it_looks_with(tmp_path: Path, training_folder: Path) -> None:
    looking = write(tmp_path, SAPNET.replace("[mixture]", "[losses]\nperceptual = 0.1\n[mixture]"))
    with pytest.raises(RecipeError, match="--features"):
        loop.train(looking, training_folder, tmp_path / "run")


def test_run_begins_from_a_graph_and_leaves_frozen_parts_as_they_are(tmp_path: Path, training_folder: Path) -> None:
    start = tmp_path / "sapnet-fast.onnx"
    export(build("sapnet-fast"), start)
    text = J4RNET_HALF.replace("[mixture]", 'frozen = ["step.units"]\n[mixture]')
    last = loop.train(write(tmp_path, text), training_folder, tmp_path / "run", Setting(start=(start,)))
    first = read_network(start).state_dict()
    trained = averaged_network(last).state_dict()
    assert all(torch.equal(trained[f"step.{name}"], first[name]) for name in first if name.startswith("units."))
    assert not torch.equal(trained["step.enter.weight"][:, :12], first["enter.weight"])
    with pytest.raises(RecipeError, match="trains a J4RNet; this is a SAPNetFast"):
        loop.train(write(tmp_path, J4RNET), training_folder, tmp_path / "other", Setting(start=(start,)))
    with pytest.raises(RecipeError, match=r"no part step\.unit "):
        write(tmp_path, text.replace("step.units", "step.unit"))


def test_bfloat16_trains_to_nearly_the_same_loss(tmp_path: Path, training_folder: Path) -> None:
    tiny = write(tmp_path, SAPNET)
    losses = []
    for bf16 in (False, True):
        loop.train(tiny, training_folder, tmp_path / str(bf16), Setting(bf16=bf16))
        losses.append(
            [json.loads(line)["loss"] for line in (tmp_path / str(bf16) / "log.jsonl").read_text().splitlines()]
        )
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    weights = checkpoint.load(tmp_path / "True/last.pt")["network"]
    assert {value.dtype for value in weights.values()} == {torch.float32}


def test_loss_that_is_no_number_stops_the_run_and_keeps_what_was_saved(
    tmp_path: Path, training_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = write(tmp_path, SAPNET)
    last = loop.train(tiny, training_folder, tmp_path / "run", Setting(minutes=0))
    before = last.read_bytes()
    monkeypatch.setitem(OBJECTIVES, "sapnet", lambda network, *_: next(network.parameters()).sum() * torch.nan)
    with pytest.raises(RecipeError, match="no number"):
        loop.train(tiny, training_folder, tmp_path / "run", resume=True)
    assert last.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("seed", "sead"), "unknown setting sead"),
        (('"sapnet"', '"unet"'), "no network 'unet'"),
        (("rain100l", "hail"), "no rain preset 'hail'"),
        (("batch = 2", "batches = 2"), "unknown setting batches"),
        (('objective = "sapnet"', 'objective = "gan"'), "no objective 'gan'"),
        (("seed = 1", "seed = "), "cannot be read as a recipe"),
    ],
)
def test_typo_in_a_recipe_is_named(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as error:
        write(tmp_path, SAPNET.replace(*change))
    assert "tiny.toml" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", [SAPNET, J4RNET], ids=["sapnet", "j4rnet"])
def test_run_that_was_stopped_goes_on_to_the_same_weights(
    tmp_path: Path,
    training_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
) -> None:
    tiny = write(tmp_path, text)
    whole = checkpoint.load(loop.train(tiny, training_folder, tmp_path / "whole"))

    def stop(progress: Progress) -> None:
        if progress.step == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        loop.train(tiny, training_folder, tmp_path / "parts", report=stop)
    assert checkpoint.load(tmp_path / "parts/last.pt")["step"] == 1
    resumed = checkpoint.load(loop.train(tiny, training_folder, tmp_path / "parts", resume=True))
    assert resumed["step"] == whole["step"] == tiny.steps
    for part in ("network", "average"):
        assert all(torch.equal(resumed[part][name], value) for name, value in whole[part].items())


def test_run_that_is_killed_goes_on_as_if_it_had_not_been(tmp_path: Path, training_folder: Path) -> None:
    write(tmp_path, SAPNET.replace("steps = 2", "steps = 12"))
    program = (
        "import sys, torch; from pathlib import Path; from unrain.training import loop, recipe;"
        "torch.set_num_threads(1); loop.SAVE_SECONDS = 0.0; file, data, run = map(Path, sys.argv[1:]);"
        "loop.train(recipe.load(file), data, run, resume=True)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "tiny.toml"), str(training_folder)]
    subprocess.run([*command, str(tmp_path / "whole")], check=True)
    process = subprocess.Popen([*command, str(tmp_path / "parts")])
    while not (tmp_path / "parts/last.pt").exists():
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(random.random() / 4)
    process.kill()
    process.wait()
    assert checkpoint.load(tmp_path / "parts/last.pt")["step"] >= 1
    subprocess.run([*command, str(tmp_path / "parts")], check=True)
    resumed, whole = (checkpoint.load(tmp_path / run / "last.pt") for run in ("parts", "whole"))
    for part in ("network", "average"):
        assert all(torch.equal(resumed[part][name], value) for name, value in whole[part].items())
    assert read_lines(tmp_path / "parts/log.jsonl") == read_lines(tmp_path / "whole/log.jsonl")


def test_full_disk_is_one_line_and_keeps_the_checkpoint(tmp_path: Path, training_folder: Path) -> None:
    write(tmp_path, SAPNET)
    run = tmp_path / "run"
    loop.train(recipe.load(tmp_path / "tiny.toml"), training_folder, run, Setting(minutes=0))
    before = (run / "last.pt").read_bytes()
    command = [*train_command(tmp_path / "tiny.toml", training_folder, run), "--resume"]
    # No file may grow beyond this: writing fails as it does on a full disk.
    limit = ["bash", "-c", 'ulimit -f 100; exec "$0" "$@"', *command]
    result = subprocess.run(limit, capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert result.stderr.strip().splitlines()[-1].endswith("--resume goes on from it")
    assert "Traceback" not in result.stderr
    assert (run / "last.pt").read_bytes() == before
    assert not list(run.glob(".*"))


def test_batch_beyond_the_memory_is_one_line(tmp_path: Path, training_folder: Path) -> None:
    huge = write(tmp_path, SAPNET.replace("stages = 2", "frames = 1000000000000"))
    with pytest.raises(RecipeError, match="lower batch or size, and go on with --resume"):
        loop.train(huge, training_folder, tmp_path / "run")


def test_weights_alone_are_safetensors_that_can_be_read(tmp_path: Path, training_folder: Path) -> None:
    last = loop.train(write(tmp_path, J4RNET_HALF), training_folder, tmp_path / "run")
    weights = last.with_suffix(".safetensors")
    trained, read = averaged_network(last), read_network(weights)
    assert read.options == {"width": 48, "dilations": [1, 2, 4, 2]}
    assert all(torch.equal(value, read.state_dict()[name]) for name, value in trained.state_dict().items())
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(WeightsError, match="cannot be read as safetensors"):
        read_network(weights)


def test_photo_that_shows_a_test_picture_is_not_trained_on(
    tmp_path: Path, training_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copy(training_folder / "photos/set/b.png", tmp_path / "test.png")
    batches = Batches(training_folder, Mixture(), 0, torch.device("cpu"), avoid=tmp_path)
    everything = Batches(training_folder, Mixture(), 0, torch.device("cpu"))
    assert len(batches.stills) == len(everything.stills) / 2
    assert "b.png shows a picture" in caplog.text


def test_run_is_logged(tmp_path: Path, training_folder: Path) -> None:
    tiny = write(tmp_path, SAPNET)
    loop.train(tiny, training_folder, tmp_path / "run")
    log = read_lines(tmp_path / "run/log.jsonl")
    assert [line["step"] for line in log] == [1, 2, 3, 4]
    assert all(line["loss"] > 0 for line in log)
    assert list((tmp_path / "run/tensorboard").glob("events.*"))


def test_log_of_a_run_that_goes_on_has_each_step_once(tmp_path: Path, training_folder: Path) -> None:
    tiny, run = write(tmp_path, SAPNET), tmp_path / "run"
    loop.train(tiny, training_folder, run, Setting(minutes=0))
    with (run / "log.jsonl").open("a") as log:
        # What a run wrote that was killed after its last checkpoint, in the middle of a line.
        log.write('{"step": 1, "loss": 9.0}\n{"step": 2, "lo')
    loop.train(tiny, training_folder, run, resume=True)
    assert [line["step"] for line in read_lines(run / "log.jsonl")] == [1, 2, 3, 4]
    assert all(line["loss"] < 9 for line in read_lines(run / "log.jsonl"))


@pytest.mark.parametrize("text", [SAPNET, J4RNET, J4RNET_HALF], ids=IDS)
def test_run_is_measured_on_validation_pictures(tmp_path: Path, training_folder: Path, text: str) -> None:
    from unrain.evaluation import metrics

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validation, "PHOTO_SIZE", (64, 80))
        patch.setattr(validation, "FRAME_SIZE", (64, 80))
        setting = Setting(validation=training_folder)
        tiny = write(tmp_path, text.replace("seed = 1", "seed = 1\nvalidate = 2"))
        last = loop.train(tiny, training_folder, tmp_path / "run", setting)
        material = validation.Validation(training_folder, tiny, torch.device("cpu"))
        measured = material.measure(averaged_network(last))
    lines = read_lines(tmp_path / "run/validation.jsonl")
    steps = sorted({2, tiny.steps})
    assert [(line["step"], line["rain"]) for line in lines] == [
        (n, rain) for n in steps for rain in ("dry", "rain100l")
    ]
    psnr, ssim = measured.quality["rain100l"]
    assert (lines[-1]["psnr"], lines[-1]["ssim"]) == pytest.approx((psnr, ssim), abs=1e-4)
    # The sheet's last picture is the truth; the metrics are those of the evaluation.
    sheet = measured.sheet.astype(np.float32) / 255
    assert sheet.shape == (3 * 64, 2 * 80, 3)
    assert [path.name for path in sorted((tmp_path / "run/sheets").iterdir())] == [f"{n:06}.png" for n in steps]
    pictures = material._clean[:, -1].movedim(1, -1).numpy()
    np.testing.assert_allclose(sheet[-64:, :80], pictures[0], atol=1 / 255)
    noisy = (material._clean + 0.1).clamp(0, 1)
    expected = [
        np.mean([metric(a, b) for a, b in zip(noisy[:, -1].movedim(1, -1).numpy(), pictures, strict=True)])
        for metric in (metrics.psnr, metrics.ssim)
    ]
    assert validation._quality(noisy[:, -1], material._clean[:, -1]) == pytest.approx(expected, abs=1e-5)


def test_processes_that_share_a_batch_train_as_one(tmp_path: Path, training_folder: Path) -> None:
    text = SAPNET.replace("batch = 2", "batch = 4") + "[losses]\nearlier = 0.5\n"
    write(tmp_path, text)
    losses = {}
    for count in (1, 2):
        run = tmp_path / f"run{count}"
        start = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={count}", "--no-python"]
        train = train_command(tmp_path / "tiny.toml", training_folder, run)
        subprocess.run([*(start if count > 1 else []), *train], check=True, capture_output=True, timeout=100)
        losses[count] = [line["loss"] for line in read_lines(run / "log.jsonl")]
    assert len(losses[1]) == 4
    assert losses[1] == pytest.approx(losses[2], rel=1e-4)
    one, two = (checkpoint.load(tmp_path / f"run{count}/last.pt")["network"] for count in (1, 2))
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-4


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_network_learns_a_batch(training_folder: Path, objective: str) -> None:
    torch.manual_seed(0)
    frames = 3 if objective in ("j4rnet", "clip") else 1
    batch = Batches(training_folder, Mixture("heavy"), 0, torch.device("cpu")).batch(0, 2, frames, 24)
    network = build({"picture": "sapnet-fast", "clip": "j4rnet-half"}.get(objective, objective.split("-")[0]))
    optimizer = torch.optim.Adam(network.parameters())
    losses = []
    for _ in range(12):
        loss = OBJECTIVES[objective](network, batch, frames, PictureLoss(Losses()))
        loop._optimise(network, optimizer, loss, 1e-3)
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


def test_checkpoint_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    checkpoint.save(path, {"step": 1})
    with pytest.raises((AttributeError, pickle.PicklingError)):
        checkpoint.save(path, {"step": 2, "not picklable": lambda: None})
    assert checkpoint.load(path) == {"step": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["last.pt"]


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(Path(__file__).parent / "exploded"),)


@pytest.mark.parametrize("content", [b"", b"text", pickle.dumps(_Bomb())], ids=["empty", "text", "pickle bomb"])
def test_file_that_is_no_checkpoint_is_refused_and_never_run(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "last.pt"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="cannot be read as a checkpoint"):
        checkpoint.load(path)
    assert not (Path(__file__).parent / "exploded").exists()


def test_learning_rate_runs_down_a_cosine() -> None:
    phase = recipe.Phase("sapnet", steps=100, batch=1, size=16, rate=(1e-3, 1e-5))
    run = recipe.Recipe("two", "sapnet", Mixture(), Losses(), (phase, phase))
    assert [run.rate(step) for step in (0, 50, 99, 100)] == pytest.approx([1e-3, 5.05e-4, 1.02e-5, 1e-3], rel=0.01)


@pytest.mark.parametrize("text", [SAPNET, J4RNET, J4RNET_HALF], ids=IDS)
def test_exported_graph_is_one_small_file_that_agrees_with_the_checkpoint(
    tmp_path: Path,
    training_folder: Path,
    text: str,
) -> None:
    last = loop.train(write(tmp_path, text), training_folder, tmp_path / "run")
    graph = tmp_path / "graph.onnx"
    lines = list(export_checkpoints([last], graph))
    assert graph.stat().st_size < 3e6
    # Weights are rounded to half precision, one part in 2000.
    assert max(float(line.split("at most ")[1].split()[0]) for line in lines[1:]) < 1e-3
    assert str(tmp_path).encode() not in graph.read_bytes()
    trained, read = averaged_network(last).state_dict(), read_network(graph).state_dict()
    assert read.keys() == trained.keys()
    assert all(torch.equal(read[name], value.half().float()) for name, value in trained.items())


def test_mean_of_networks_has_their_mean_weights() -> None:
    one, other = build("sapnet"), build("sapnet")
    expected = {name: (value + other.state_dict()[name]) / 2 for name, value in one.state_dict().items()}
    mean = mean_network([one, other]).state_dict()
    assert all(torch.allclose(mean[name], value) for name, value in expected.items())
    with pytest.raises(WeightsError, match="different networks"):
        mean_network([build("sapnet"), build("j4rnet")])


def test_network_without_a_step_graph_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="Linear has no step graph"):
        export(torch.nn.Linear(1, 1), tmp_path / "x.onnx")
    huge = SAPNet()
    torch.nn.init.constant_(huge.stage.conv.weight, 1e6)
    with pytest.raises(WeightsError, match="too large"):
        export(huge, tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())
