"""Evaluating methods on suites: what is measured, averaged, ranked and written, and what happens to what fails."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from suite_samples import clean, pairs, rainy, write
from torch.optim.swa_utils import AveragedModel

import unrain
from unrain.errors import UnrainError
from unrain.evaluation import tables
from unrain.evaluation.methods import open_method
from unrain.evaluation.metrics import find as find_metric
from unrain.evaluation.metrics import psnr
from unrain.evaluation.report import to_html
from unrain.evaluation.results import Evaluation, from_json, to_json
from unrain.evaluation.run import Outcome, evaluate, metrics_for
from unrain.evaluation.suites.copies import find_copies
from unrain.media.images import from_uint8, to_uint8
from unrain.networks.graphs import graph_of
from unrain.networks.sapnet import SAPNet, from_published
from unrain.training import checkpoint
from unrain.weights import find as find_model

Pixels = NDArray[np.float32]
PSNRS = ("psnr-y", "psnr-rgb")


def run(data: Path, suites: Sequence[str], methods: Sequence[str], metrics: Sequence[str] = PSNRS) -> Outcome:
    return evaluate([open_method(method, "onnxruntime") for method in methods], find_copies(suites, data), metrics)


def mean(evaluation: Evaluation, suite: str, method: str, metric: str = "psnr-rgb") -> float:
    facts = next(facts for facts in evaluation.suites if facts.name == suite)
    found = evaluation.mean(facts, method, metric)
    assert found is not None
    return found.value


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three pairs, and two clips of two frames and one."""
    pairs(tmp_path / "rain12")
    frames = {"a/1": 1, "a/2": 2, "b/1": 7}
    write(tmp_path / "nturain", {f"rainy/{name}.png": rainy(number) for name, number in frames.items()})
    write(tmp_path / "nturain", {f"clean/{name}.png": clean(number) for name, number in frames.items()})
    return tmp_path


def results_folder(folder: Path, numbers: Sequence[int] = (0, 1, 2), worse: int = 4) -> Path:
    """What another method might have made of the pairs: the truth, somewhat brighter."""
    brighter = {f"{number + 1:03}.png": np.minimum(clean(number), 255 - worse) + worse for number in numbers}
    return write(folder, {name: picture.astype(np.uint8) for name, picture in brighter.items()})


class TestRunning:
    def test_the_rainy_input_is_the_first_row_and_is_measured_as_it_is(self, data: Path) -> None:
        evaluation = run(data, ["rain12"], []).evaluation
        assert [method.label for method in evaluation.methods] == ["rainy"]
        values = evaluation.per_item("rain12", "rainy", "psnr-rgb")
        expected = [psnr(from_uint8(rainy(number)), from_uint8(clean(number)), "rgb") for number in range(3)]
        assert list(values) == ["001", "002", "003"]
        assert list(values.values()) == pytest.approx(expected, abs=1e-9)
        assert mean(evaluation, "rain12", "rainy") == pytest.approx(np.mean(expected), abs=1e-9)

    def test_a_model_is_measured_on_what_it_would_write_to_a_file(self, data: Path) -> None:
        evaluation = run(data, ["rain12"], ["sapnet@1"]).evaluation
        model = unrain.load(engine="onnxruntime", precision="fp32")
        written = [to_uint8(model(from_uint8(rainy(number)), stages=1)) for number in range(3)]
        expected = [psnr(from_uint8(each), from_uint8(clean(n)), "rgb") for n, each in enumerate(written)]
        values = evaluation.per_item("rain12", "sapnet@1", "psnr-rgb")
        assert list(values.values()) == pytest.approx(expected, abs=1e-9)
        assert all(score.seconds for score in evaluation.scores if score.method == "sapnet@1")

    def test_a_clip_is_averaged_over_its_frames_and_the_set_over_its_clips(self, data: Path) -> None:
        evaluation = run(data, ["nturain"], []).evaluation
        one, two, seven = (psnr(from_uint8(rainy(n)), from_uint8(clean(n)), "rgb") for n in (1, 2, 7))
        assert evaluation.per_item("nturain", "rainy", "psnr-rgb") == pytest.approx({"a": (one + two) / 2, "b": seven})
        assert mean(evaluation, "nturain", "rainy") == pytest.approx(((one + two) / 2 + seven) / 2)

    def test_a_model_for_pictures_takes_clips_frame_by_frame_and_one_for_videos_streams_them(self, data: Path) -> None:
        evaluation = run(data, ["nturain"], ["sapnet@1", "j4rnet"]).evaluation
        single = to_uint8(unrain.load(engine="onnxruntime", precision="fp32")(from_uint8(rainy(2)), stages=1))
        frames = evaluation.per_frame("nturain", "sapnet@1", "psnr-rgb")
        assert frames["a", "2"] == pytest.approx(psnr(from_uint8(single), from_uint8(clean(2)), "rgb"))
        clip = [from_uint8(rainy(number)) for number in (1, 2)]
        streamed = list(unrain.load("j4rnet", engine="onnxruntime", precision="fp32").stream(clip))
        frames = evaluation.per_frame("nturain", "j4rnet", "psnr-rgb")
        expected = psnr(from_uint8(to_uint8(streamed[1])), from_uint8(clean(2)), "rgb")
        assert frames["a", "2"] == pytest.approx(expected)

    def test_a_model_for_videos_is_refused_on_photos_in_one_line(self, data: Path) -> None:
        with pytest.raises(UnrainError, match="j4rnet cleans videos, and rain12 holds photos") as error:
            run(data, ["rain12"], ["j4rnet"])
        assert "\n" not in str(error.value)
        outcome = run(data, ["rain12", "nturain"], ["j4rnet", "sapnet@1"])
        assert outcome.evaluation.methods[1].refused == ("rain12",)
        assert tables.table(outcome.evaluation).groups[0].cells[1][0].text == "–"
        assert {example.method for example in outcome.examples["rain12"]} == {"sapnet@1"}
        assert {example.method for example in outcome.examples["nturain"]} == {"j4rnet"}

    def test_a_method_that_changes_nothing_does_no_harm(self, tmp_path: Path) -> None:
        write(tmp_path / "kodak", {"1.png": clean(1), "2.png": clean(2)})
        write(tmp_path / "same", {"1.png": clean(1), "2.png": clean(2)})
        evaluation = run(tmp_path, ["kodak"], [str(tmp_path / "same")]).evaluation
        assert mean(evaluation, "kodak", "same") == math.inf
        assert tables.table(evaluation).groups[0].cells[1][0].text == "∞"

    def test_pictures_that_cannot_be_measured_are_named_and_the_rest_is_measured(self, data: Path) -> None:
        (data / "rain12/clean/002.png").write_text("no picture")
        outcome = run(data, ["rain12", "nturain"], [])
        (line,) = outcome.evaluation.problems
        assert "clean/002.png" in line
        assert list(outcome.evaluation.per_item("rain12", "rainy", "psnr-y")) == ["001", "003"]
        assert "clean/002.png" not in outcome.evaluation.suites[0].hashes

    def test_a_metric_of_clips_is_given_all_frames_and_averaged_over_the_clips(
        self, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def error_of_first(frames: Sequence[Pixels], truth: Sequence[Pixels]) -> float:
            assert len(frames) == len(truth)
            return len(frames) + float(np.abs(frames[0] - truth[0]).mean())

        metric = replace(find_metric("psnr-y"), name="first", clip=True, measure=error_of_first)
        monkeypatch.setattr("unrain.evaluation.run.find", lambda name: metric)
        evaluation = run(data, ["nturain"], [], ["first"]).evaluation
        errors = {n: float(np.abs(from_uint8(rainy(n)) - from_uint8(clean(n))).mean()) for n in (1, 7)}
        expected = {"a": 2 + errors[1], "b": 1 + errors[7]}
        assert evaluation.per_item("nturain", "rainy", "first") == pytest.approx(expected)
        assert mean(evaluation, "nturain", "rainy", "first") == pytest.approx(np.mean(list(expected.values())))

    def test_real_rain_is_measured_without_a_truth_and_lower_may_be_better(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(tmp_path / "sirr", {"1.png": rainy(1), "2.png": rainy(2)})
        write(tmp_path / "theirs", {"1.png": clean(1), "2.png": clean(2)})
        light = replace(find_metric("psnr-y"), name="light", truth=False, better="lower", measure=np.mean)
        monkeypatch.setattr("unrain.evaluation.run.find", lambda name: light)
        outcome = run(tmp_path, ["sirr"], [str(tmp_path / "theirs")], ["light"])
        values = outcome.evaluation.per_item("sirr", "theirs", "light")
        assert values == pytest.approx({str(n): from_uint8(clean(n)).mean() for n in (1, 2)})
        assert all(example.gain > 0 and example.truth is None for example in outcome.examples["sirr"])
        assert "rain taken out, theirs" in to_html(outcome)

    def test_metrics_that_need_a_truth_are_refused_where_there_is_none(self, tmp_path: Path) -> None:
        write(tmp_path / "sirr", {"1.png": rainy(1)})
        with pytest.raises(UnrainError, match="sirr has no truth, and none of the metrics psnr-y, psnr-rgb"):
            run(tmp_path, ["sirr"], [])

    def test_the_usual_metrics_are_psnr_and_ssim_in_both_conventions(self, data: Path) -> None:
        (copy,) = find_copies(["rain12"], data)
        assert {metric.name for metric in metrics_for(copy.suite, ())} == {"psnr-y", "psnr-rgb", "ssim-y", "ssim-rgb"}

    def test_the_public_pairs_have_their_known_values(self, shared: Path) -> None:
        evaluation = run(shared / "data" / "test", ["rain100l", "rain100h"], []).evaluation
        printed = [cell.text for group in tables.table(evaluation).groups for cell in group.cells[0]]
        assert printed == ["27.20", "25.83", "13.54", "12.13"]


class TestMethods:
    def test_a_missing_result_is_named_and_its_method_has_no_rank(self, data: Path, tmp_path: Path) -> None:
        results_folder(tmp_path / "whole")
        results_folder(tmp_path / "part", (0, 2), worse=1)
        results_folder(tmp_path / "other", worse=9)
        evaluation = run(data, ["rain12"], [str(tmp_path / name) for name in ("whole", "part", "other")]).evaluation
        (line,) = evaluation.problems
        assert line == "part: has no result for 1 of 3 pictures of Rain12: 002"
        cells = [row[0] for row in tables.table(evaluation).groups[0].cells]
        assert [cell.rank for cell in cells] == ["", "best", "", "second"]
        assert cells[2].text.endswith("*")
        assert "some results are missing" in tables.table(evaluation).notes[0]

    def test_a_result_of_another_size_is_named(self, data: Path, tmp_path: Path) -> None:
        write(results_folder(tmp_path / "theirs"), {"002.png": clean(1, (40, 47))})
        (line,) = run(data, ["rain12"], [str(tmp_path / "theirs")]).evaluation.problems
        assert "002.png: is 47×40, but 002.png is 48×40" in line

    def test_results_of_several_suites_lie_in_folders_of_their_own(self, data: Path, tmp_path: Path) -> None:
        folder = tmp_path / "theirs"
        results_folder(folder / "Rain12")
        frames = {"a/1": 1, "a/2": 2, "b/1": 7}
        write(folder / "nturain", {f"{name}.png": clean(number) for name, number in frames.items()})
        evaluation = run(data, ["rain12", "nturain"], [str(folder)]).evaluation
        assert evaluation.problems == ()
        assert mean(evaluation, "nturain", "theirs") == math.inf

    def test_a_step_graph_of_ones_own_is_what_the_shipped_one_is(self, data: Path, tmp_path: Path) -> None:
        shutil.copy(find_model("sapnet").graph(), tmp_path / "mine.onnx")
        evaluation = run(data, ["rain12"], ["sapnet@1", f"{tmp_path / 'mine.onnx'}@1"]).evaluation
        assert mean(evaluation, "rain12", "mine.onnx@1") == mean(evaluation, "rain12", "sapnet@1")
        assert evaluation.methods[1].about["sha256"] == evaluation.methods[2].about["sha256"]

    def test_a_checkpoint_of_a_training_run_is_measured_with_its_averaged_weights(
        self, data: Path, tmp_path: Path
    ) -> None:
        torch.manual_seed(0)
        network = SAPNet()
        state = {"network_name": "sapnet", "options": {}, "average": AveragedModel(network).state_dict()}
        checkpoint.save(tmp_path / "last.pt", state)
        evaluation = run(data, ["rain12"], [f"ours={tmp_path / 'last.pt'}@2"]).evaluation
        assert evaluation.methods[1].label == "ours"
        assert evaluation.methods[1].about["stages"] == 2
        expected = np.mean([self.psnr_of(network, number, 2) for number in range(3)])
        assert mean(evaluation, "rain12", "ours") == pytest.approx(expected, abs=1e-4)

    def test_the_published_checkpoint_of_sapnet_is_measured_in_six_stages(self, data: Path, shared: Path) -> None:
        path = shared / "peers" / "sapnet" / "net_latest.pth"
        evaluation = run(data, ["rain12"], [str(path)]).evaluation
        about = evaluation.methods[1].about
        assert (about["network"], about["weights"], about["stages"]) == ("sapnet", "published", 6)
        network = SAPNet()
        network.load_state_dict(from_published(torch.load(path, weights_only=True, map_location="cpu")))
        expected = np.mean([self.psnr_of(network, number, 6) for number in range(3)])
        assert mean(evaluation, "rain12", "net_latest.pth") == pytest.approx(expected, abs=1e-4)

    def test_the_published_checkpoint_of_another_network_is_told_from_its_weights(
        self, data: Path, shared: Path
    ) -> None:
        method = open_method(str(shared / "peers/prenet/Rain100L.pth"))
        assert (method.about["network"], method.about["weights"]) == ("prenet", "published")

    @staticmethod
    def psnr_of(network: SAPNet, number: int, stages: int) -> float:
        assert graph_of(network)[0] == "sapnet"
        with torch.inference_mode():
            picture = torch.from_numpy(from_uint8(rainy(number))).permute(2, 0, 1)[None]
            result = network.eval()(picture, stages)[-1][0].permute(1, 2, 0).numpy()
        return psnr(from_uint8(to_uint8(result)), from_uint8(clean(number)), "rgb")

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            (
                "nothing",
                r"no method 'nothing': it is no file or folder here, and no shipped model \(sapnet, .*\)",
            ),
            ("sapnet@0", "cannot be cleaned in 0 stages"),
            ("j4rnet@2", "has no stages to choose"),
            ("text.onnx", "text.onnx: is not a step graph"),
            ("text.pth", "text.pth: cannot be read as a checkpoint"),
        ],
    )
    def test_what_is_no_method_is_said_in_one_line(
        self, tmp_path: Path, text: str, says: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        for name in ("text.onnx", "text.pth"):
            Path(name).write_text("not what it seems")
        with pytest.raises(UnrainError, match=says) as error:
            open_method(text)
        assert "\n" not in str(error.value)

    def test_two_methods_of_one_name_must_be_told_apart(self, data: Path, tmp_path: Path) -> None:
        results_folder(tmp_path / "theirs")
        with pytest.raises(UnrainError, match="two methods are called theirs; tell them apart as LABEL=METHOD"):
            run(data, ["rain12"], [str(tmp_path / "theirs")] * 2)


class TestRanks:
    @pytest.mark.parametrize(
        ("values", "better", "ranks"),
        [
            ([1, 3, 2], "higher", ["", "best", "second"]),
            ([1, 3, 2], "lower", ["best", "", "second"]),
            ([3, 3, 2, 1], "higher", ["best", "best", "second", ""]),
            ([3, 2, 2], "higher", ["best", "second", "second"]),
            ([None, 1, 2], "lower", ["", "best", "second"]),
            ([None, 1], "higher", ["", ""]),
            ([math.inf, 40.0, math.nan], "higher", ["best", "second", ""]),
            ([2, 2], "higher", ["best", "best"]),
        ],
    )
    def test_best_and_second_are_marked_and_equal_values_share_a_rank(
        self, values: list[float | None], better: str, ranks: list[str]
    ) -> None:
        assert tables.rank(values, better) == ranks  # type: ignore[arg-type]

    def test_values_that_print_alike_share_a_rank_and_the_input_has_none(self, data: Path, tmp_path: Path) -> None:
        for name, worse in (("a", 4), ("b", 4), ("c", 9)):
            results_folder(tmp_path / name, worse=worse)
        evaluation = run(data, ["rain12"], [str(tmp_path / name) for name in "abc"]).evaluation
        nearly = [
            replace(score, values={name: value + 0.0004 for name, value in score.values.items()})
            if score.method == "b"
            else score
            for score in evaluation.scores
        ]
        table = tables.table(replace(evaluation, scores=tuple(nearly)))
        assert [row[0].rank for row in table.groups[0].cells] == ["", "best", "best", "second"]


class TestOutput:
    @pytest.fixture
    def outcome(self, data: Path, tmp_path: Path) -> Outcome:
        results_folder(tmp_path / "50%_&", worse=1)
        results_folder(tmp_path / "<b>")
        write(tmp_path / "kodak", {f"{number}.png": clean(number) for number in range(2)})
        methods = [str(tmp_path / "50%_&"), str(tmp_path / "<b>"), "sapnet@1"]
        return run(data, ["rain12", "nturain", f"kodak={tmp_path / 'kodak'}"], methods, ())

    def test_json_gives_the_same_evaluation_back_also_with_infinite_values(self, outcome: Outcome) -> None:
        text = to_json(outcome.evaluation)
        assert from_json(text) == outcome.evaluation
        table = json.loads(text, parse_constant=pytest.fail)
        assert table["means"]["kodak"]["rainy"]["psnr-y"] == "inf"
        assert table["suites"][0]["sha256"] == outcome.evaluation.suites[0].sha256
        assert len(table["suites"][0]["hashes"]) == 6
        assert {"unrain", "numpy", "python"} <= table["about"]["versions"].keys()
        assert {"wall", "network"} <= table["about"]["seconds"].keys()
        assert table["methods"][3]["about"]["precision"] == "float32"

    def test_json_of_something_else_is_refused(self) -> None:
        for text in ("{}", "[]", "no json", '{"format": 99}'):
            with pytest.raises(UnrainError, match="no results of unrain eval"):
                from_json(text)

    def test_csv_has_a_line_for_every_value(self, outcome: Outcome) -> None:
        rows = list(csv.DictReader(io.StringIO(tables.to_csv(outcome.evaluation))))
        assert len(rows) == sum(len(score.values) for score in outcome.evaluation.scores)
        wanted = [row for row in rows if (row["suite"], row["method"], row["metric"]) == ("rain12", "rainy", "psnr-y")]
        values = outcome.evaluation.per_item("rain12", "rainy", "psnr-y")
        assert {row["item"]: float(row["value"]) for row in wanted} == values

    def test_the_table_for_latex_marks_ranks_and_escapes_names(self, outcome: Outcome) -> None:
        text = tables.to_tex(tables.table(outcome.evaluation))
        row = next(line for line in text.splitlines() if line.startswith("50"))
        assert row.startswith(r"50\%\_\& & \textbf{")
        assert r"\underline{" in next(line for line in text.splitlines() if line.startswith("<b>"))
        assert r"$\infty$" in text
        assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule") == 1
        widths = {line.count("&") for line in text.replace(r"\&", "").splitlines() if line.endswith(r"\\")}
        assert widths == {12, 3}

    def test_the_report_holds_everything_and_refers_to_nothing_outside(self, outcome: Outcome) -> None:
        page = to_html(outcome)
        parser = References()
        parser.feed(page)
        assert parser.links
        assert all(link.startswith("#") for link in parser.links)
        assert parser.sources
        assert all(source.startswith("data:image/") for source in parser.sources)
        assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|<link|<iframe", page)
        assert "<b>: has no result" in parser.text
        assert "<b>: has no result" not in page

    def test_the_report_shows_best_and_worst_pictures_with_their_zooms(self, data: Path, tmp_path: Path) -> None:
        pairs(data / "rain100l", 6)
        for number in range(6):
            write(tmp_path / "theirs", {f"{number + 1:03}.png": np.minimum(clean(number), 250) + np.uint8(number)})
        outcome = run(data, ["rain100l"], [str(tmp_path / "theirs")])
        shown = outcome.examples["rain100l"]
        gains = {
            item: value - outcome.evaluation.per_item("rain100l", "rainy", "psnr-y")[item]
            for item, value in outcome.evaluation.per_item("rain100l", "theirs", "psnr-y").items()
        }
        order = sorted(gains, key=lambda item: -gains[item])
        assert [example.item for example in shown] == [*order[:2], *order[-2:]]
        assert np.array_equal(shown[0].rainy, rainy(int(shown[0].item) - 1))
        page = to_html(outcome)
        assert page.count('class="card example"') == 4
        assert page.count("rain taken out, theirs") == 4 * 2

    def test_the_report_of_the_input_alone_and_of_a_single_picture_can_be_made(self, tmp_path: Path) -> None:
        pairs(tmp_path / "rain12", 1)
        assert "Rain12" in to_html(run(tmp_path, ["rain12"], []))
        assert "Rain12" in to_html(run(tmp_path, ["rain12"], ["sapnet@1"]))


class References(HTMLParser):
    """Collects what a page refers to, and its visible text."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.sources: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "href":
                self.links.append(value or "")
            if name in ("src", "srcset", "data", "poster", "action"):
                self.sources.append(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data


def command(*arguments: object) -> list[str]:
    return [str(Path(sys.executable).with_name("unrain")), "eval", *map(str, arguments)]


class TestCommandLine:
    def test_one_command_writes_tables_and_a_report(self, data: Path, tmp_path: Path) -> None:
        out = tmp_path / "report"
        arguments = command("sapnet@1", "--suite", "rain12,nturain", "--data", data, "-o", out, "--metrics", "psnr-y")
        done = subprocess.run(
            arguments, capture_output=True, text=True, check=False, env=os.environ | {"COLUMNS": "99"}
        )
        assert done.returncode == 0, done.stderr
        assert sorted(path.name for path in out.iterdir()) == [
            "report.html", "results.csv", "results.json", "table.tex",
        ]  # fmt: skip
        assert "Rain12 (3 of 12)" in done.stdout
        assert "rain12: 3 of 12 pairs, a part of the set" in done.stderr
        evaluation = from_json((out / "results.json").read_text())
        assert f"{mean(evaluation, 'rain12', 'sapnet@1', 'psnr-y'):.2f}" in done.stdout
        assert "unrain eval sapnet@1 --suite rain12,nturain" in evaluation.about["settings"]["command"]

    def test_a_fault_is_named_the_rest_is_done_and_the_exit_status_is_1(self, data: Path, tmp_path: Path) -> None:
        (data / "rain12/rainy/002.png").write_text("no picture")
        done = subprocess.run(
            command("--suite", "rain12", "--data", data, "-o", tmp_path / "report", "--metrics", "psnr-y"),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert "002.png" in done.stderr
        assert "Traceback" not in done.stderr
        assert "002.png" in (tmp_path / "report" / "report.html").read_text()

    def test_an_unknown_suite_is_one_line(self, data: Path) -> None:
        done = subprocess.run(command("--suite", "hail", "--data", data), capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert "no suite 'hail'" in done.stderr

    def test_stopping_it_leaves_nothing_half_written(self, tmp_path: Path) -> None:
        write(tmp_path / "rain12/rainy", {f"{number}.png": np.tile(rainy(number), (9, 9, 1)) for number in range(12)})
        write(tmp_path / "rain12/clean", {f"{number}.png": np.tile(clean(number), (9, 9, 1)) for number in range(12)})
        arguments = command("sapnet", "--suite", "rain12", "--data", tmp_path, "-o", tmp_path / "report")
        # where the tests themselves run in the background, Ctrl-C is ignored, and programs inherit that
        signal.signal(signal.SIGINT, signal.default_int_handler)
        process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        assert "rain12" in process.stderr.readline()
        rest = None
        while rest is None:  # a library that is just being imported may swallow the first one
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                rest = process.communicate(timeout=2)[1]
        assert process.returncode not in (0, None)
        assert "Traceback" not in rest
        assert not (tmp_path / "report").exists()
