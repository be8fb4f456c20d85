"""Training: recipes are checked, runs go on where they stopped, and what is exported is what was trained."""

from __future__ import annotations

import json
import os
import pickle
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from unrain.data.batches import Batches, Mixture
from unrain.errors import RecipeError, WeightsError
from unrain.networks.graphs import build, read_network
from unrain.networks.sapnet import SAPNet
from unrain.training import checkpoint, loop, recipe
from unrain.training.export import averaged_network, export, export_checkpoints, mean_network
from unrain.training.features import Features
from unrain.training.objectives import OBJECTIVES, Losses, PictureLoss

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
J4RNET_OVER_SAPNET = J4RNET.replace("[mixture]", "options.stages = 2\n[mixture]")


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
    last = loop.train(short, training_folder, tmp_path, features=Features(((4,), (4,), (4,), (4,))))
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
    start = tmp_path / "sapnet.onnx"
    export(build("sapnet"), start)
    text = J4RNET_OVER_SAPNET.replace("[mixture]", 'frozen = ["step.first"]\n[mixture]')
    last = loop.train(write(tmp_path, text), training_folder, tmp_path / "run", start=start)
    first = read_network(start).state_dict()
    trained = averaged_network(last).state_dict()
    assert all(torch.equal(trained[f"step.first.{name.removeprefix('stage.')}"], first[name]) for name in first)
    assert not torch.equal(trained["step.joint.conv.weight"], torch.zeros(3, 64, 3, 3))
    with pytest.raises(RecipeError, match="trains a J4RNet; this is a SAPNet"):
        loop.train(write(tmp_path, J4RNET), training_folder, tmp_path / "other", start=start)
    with pytest.raises(RecipeError, match=r"no part step\.second"):
        write(tmp_path, text.replace("step.first", "step.second"))


def test_bfloat16_trains_to_nearly_the_same_loss(tmp_path: Path, training_folder: Path) -> None:
    tiny = write(tmp_path, SAPNET)
    losses = []
    for bf16 in (False, True):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "LOG_STEPS", 1)
            loop.train(tiny, training_folder, tmp_path / str(bf16), bf16=bf16)
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
    last = loop.train(tiny, training_folder, tmp_path / "run", minutes=0)
    before = last.read_bytes()
    monkeypatch.setitem(OBJECTIVES, "sapnet", lambda network, batch, repeats, judge: batch.rainy.sum() * torch.nan)
    with pytest.raises(RecipeError, match="nan"):
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

    def stop(progress: loop.Progress) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(loop, "LOG_STEPS", 2)
    with pytest.raises(KeyboardInterrupt):
        loop.train(tiny, training_folder, tmp_path / "parts", report=stop)
    assert checkpoint.load(tmp_path / "parts/last.pt")["step"] == 1
    resumed = checkpoint.load(loop.train(tiny, training_folder, tmp_path / "parts", resume=True))
    assert resumed["step"] == whole["step"] == tiny.steps
    for part in ("network", "average"):
        assert all(torch.equal(resumed[part][name], value) for name, value in whole[part].items())


def test_run_is_logged(tmp_path: Path, training_folder: Path) -> None:
    tiny = write(tmp_path, SAPNET)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "LOG_STEPS", 2)
        loop.train(tiny, training_folder, tmp_path / "run")
    log = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [2, 4]
    assert all(line["loss"] > 0 for line in log)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_network_learns_a_batch(training_folder: Path, objective: str) -> None:
    torch.manual_seed(0)
    frames = 3 if objective == "j4rnet" else 1
    batch = Batches(training_folder, Mixture("heavy"), 0, torch.device("cpu")).batch(0, 2, frames, 24)
    network = build(objective.split("-")[0])
    optimizer = torch.optim.Adam(network.parameters())
    losses = [
        loop._optimise(network, optimizer, OBJECTIVES[objective](network, batch, frames, PictureLoss(Losses())), 1e-3)
        for _ in range(12)
    ]
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
    phase = recipe.Phase("sapnet", steps=100, batch=1, size=8, rate=(1e-3, 1e-5))
    rates = [loop.learning_rate(phase, done) for done in (0, 0.5, 1)]
    assert rates == pytest.approx([1e-3, 5.05e-4, 1e-5])


@pytest.mark.parametrize("text", [SAPNET, J4RNET, J4RNET_OVER_SAPNET], ids=["sapnet", "j4rnet", "j4rnet over sapnet"])
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
