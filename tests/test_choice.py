"""What `auto` takes is measured on this machine, remembered, and never costs more quality than is allowed."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from unrain import weights
from unrain.errors import EngineError
from unrain.inference import choice, engines
from unrain.inference.choice import Choice, candidates, choose
from unrain.inference.pictures import PictureCleaner


@pytest.fixture
def entry() -> weights.Entry:
    return weights.find("sapnet")


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which nothing has been measured, and pictures small enough to measure fast."""
    path = tmp_path / "cache" / "fastest.json"
    monkeypatch.setattr(choice, "_memory", lambda: path)
    monkeypatch.setattr(choice, "SIDE", 32)
    return path


def test_a_precision_that_costs_too_much_is_taken_by_name_only(entry: weights.Entry) -> None:
    assert entry.int8 is not None
    costly = replace(entry, int8=replace(entry.int8, lost=0.06))
    assert {found.precision for found in candidates(costly)} == {"fp32"}
    assert {found.precision for found in candidates(costly, precision="int8")} == {"int8"}


def test_what_is_named_is_what_is_taken(entry: weights.Entry) -> None:
    assert candidates(entry, "onnxruntime", "fp32") == [Choice("onnxruntime", "fp32")]
    assert {found.engine for found in candidates(entry, "onnxruntime")} == {"onnxruntime"}


def test_what_is_not_there_is_said(entry: weights.Entry) -> None:
    with pytest.raises(EngineError, match="no precision 'int4'; choose one of int8, fp32"):
        candidates(entry, precision="int4")
    with pytest.raises(EngineError, match="has no int8 graph; use fp32"):
        candidates(replace(entry, int8=None), precision="int8")
    with pytest.raises(EngineError, match="torch runs fp32 only"):
        candidates(entry, "torch", "int8")


def test_the_fastest_is_measured_once_and_remembered(entry: weights.Entry, memory: Path) -> None:
    taken = choose(entry, threads=1)
    assert taken in candidates(entry)
    before = memory.read_bytes()
    other = next(found for found in candidates(entry) if found != taken)
    memory.write_text(
        before.decode().replace(f'["{taken.engine}", "{taken.precision}"]', f'["{other.engine}", "{other.precision}"]')
    )
    assert choose(entry, threads=1) == other


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"a": 1}'])
def test_a_broken_memory_is_measured_anew(entry: weights.Entry, memory: Path, content: bytes) -> None:
    memory.parent.mkdir()
    memory.write_bytes(content)
    assert choose(entry, "openvino", threads=1) in candidates(entry, "openvino")


def test_an_engine_that_does_not_work_is_left_out_with_a_line(
    entry: weights.Entry, memory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    whole = choice.open_as

    def broken(entry: weights.Entry, taken: Choice, threads: int | None = None) -> PictureCleaner:
        if taken.engine == "openvino":
            raise EngineError("its library is missing")
        return whole(entry, taken, threads)

    monkeypatch.setattr(choice, "open_as", broken)
    assert choose(entry, threads=1).engine != "openvino"
    assert "openvino does not work and is left out: its library is missing" in caplog.text


def test_an_engine_that_breaks_after_it_was_remembered_is_left_out_too(
    entry: weights.Entry,
    memory: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    choose(entry, threads=1)
    memory.write_text(json.dumps({key: ["openvino", "fp32"] for key in json.loads(memory.read_text())}))
    assert choose(entry, threads=1) == Choice("openvino", "fp32")
    (tmp_path / "openvino.py").write_text("raise OSError('libopenvino.so: cannot be opened')")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [*(name for name in sys.modules if name.split(".")[0] == "openvino"), engines.__name__ + ".openvino"]:
        monkeypatch.delitem(sys.modules, name)
    assert choose(entry, threads=1).engine != "openvino"
    assert "the engine openvino does not work and is left out: libopenvino.so: cannot be opened" in caplog.text
