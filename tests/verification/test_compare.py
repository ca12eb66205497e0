"""Two sets of results against each other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spotline.measurement import Limits, Result, ResultSet, write_results
from verification.compare import compare, main, pair_of


def put(path: Path, *results: Result) -> Path:
    write_results(ResultSet(title="page", command="", program="", date="", results=results), path)
    return path


def one(value: float | None, uncertainty: float | None = None, **fields: object) -> Result:
    return Result(name="figure", value=value, uncertainty=uncertainty, **fields)


@pytest.mark.parametrize(
    ("old", "new", "has_moved"),
    [
        (one(10.0, 0.3), one(11.4, 0.4), False),  # 2.8 of the combined 0.5
        (one(10.0, 0.3), one(11.6, 0.4), True),
        (one(10.0, 0.5), one(11.4), False),  # one of both has an error
        (one(10.0), one(10.000009), False),
        (one(10.0), one(10.00002), True),
        (one(10.0, 0.0), one(10.00002, 0.0), True),  # exact
        (one(10.0, 1e-9), one(10.000009, 1e-9), False),
        (one(0.0), one(0.0), False),
        (one(0.0), one(1e-12), True),
        (one(None), one(None), False),
        (one(None), one(1.0), True),
        (one(1.0, 9.0), one(None), True),
        (one(1.0, unit="mm"), one(1.0, unit="m"), True),
    ],
)
def test_what_has_moved(old: Result, new: Result, has_moved: bool):
    assert pair_of("figure", old, new).has_moved is has_moved
    assert pair_of("figure", new, old).has_moved is has_moved


def test_nothing_compared_is_no_agreement(tmp_path: Path, capsys: pytest.CaptureFixture):
    old, new = put(tmp_path / "old.json", one(1.0)), put(tmp_path / "new.json")
    assert main([str(old), str(new)]) == 2
    assert "have no figure of the same name, so nothing was compared" in capsys.readouterr().err
    assert main([str(old), str(old)]) == 0


def test_units_of_the_combined_error():
    pair = pair_of("figure", one(10.0, 0.3), one(9.0, 0.4))
    assert pair.difference == -1.0
    assert pair.uncertainty == pytest.approx(0.5)
    assert pair.sigmas == pytest.approx(-2.0)
    assert not pair.has_moved
    assert pair_of("figure", one(10.0, 0.3), one(9.0, 0.4), sigmas=1.9).has_moved


def test_what_came_and_went():
    found = compare({"a": one(1.0), "b": one(2.0)}, {"c": one(3.0), "b": one(2.0)})
    assert (found.vanished, found.appeared, [pair.name for pair in found.pairs]) == (("a",), ("c",), ["b"])
    assert not found.moved


def test_a_verdict_may_change_within_the_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    limits = Limits(high=1.0)
    old = put(tmp_path / "old.json", one(0.9, 0.2, tolerance=limits))
    new = put(tmp_path / "new.json", one(1.1, 0.2, tolerance=limits))
    assert main([str(old), str(new)]) == 0
    out = capsys.readouterr().out
    assert "pass -> tolerance exceeded" in out
    assert "1 compared: 0 moved, 1 with another verdict; 0 appeared, 0 vanished" in out


def test_folders_file_by_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        put(tmp_path / name / "same.json", one(1.0))
        put(tmp_path / name / "moved.json", one(1.0 if name == "old" else 2.0))
    put(tmp_path / "old" / "gone.json", one(1.0))
    assert main([str(tmp_path / "old"), str(tmp_path / "new"), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["compared"], said["moved"], said["vanished"]) == (2, ["moved: figure"], ["gone: figure"])
    assert said["figures"][0]["difference"] == 1.0
    assert main([str(tmp_path / "old"), str(tmp_path / "old")]) == 0


def test_text_of_what_moved(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    old, new = put(tmp_path / "old.json", one(1.0, 0.1, unit="mm")), put(tmp_path / "new.json", one(3.0))
    assert main([str(old), str(new)]) == 1
    assert "| figure | mm -> none | 1 | 3 | 2 | +20.0 | not judged |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none.json", "good.json"), "none.json: cannot be read"),
        (("good.json", "broken.json"), "broken.json: is no JSON"),
        (("empty", "empty"), "no files of results"),
        (("good.json", "empty"), "give two files or two folders"),
        (("good.json", "good.json", "--sigmas", "nan"), "--sigmas is nan"),
        (("good.json", "good.json", "--sigmas", "-1"), "--sigmas is -1"),
    ],
)
def test_bad_input_ends_with_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
):
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "good.json", one(1.0))
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.count("\n") == 1
    assert not said.out
