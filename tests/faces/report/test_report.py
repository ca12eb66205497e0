from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from spotline.errors import OutputError
from spotline.faces.report import figure_overview, figures, machine_figures, write_report
from spotline.faces.report.tables import figures_of_merit
from spotline.record.model import INTERLOCK, FieldRecord, Record
from tests.faces.report import records
from tests.faces.report.pages import HOSTILE, Page, read_page

FIGURES = {
    "layers": figures.figure_energy_layers,
    "spill": figures.figure_spill,
    "maps": lambda field: figures.figure_spot_maps(field, figures.slices_to_show(field)),
    "particles": figures.figure_particles,
    "positions": figures.figure_positions,
    "times": figures.figure_times,
    "truth": figures.figure_truth,
    "magnets": machine_figures.figure_magnets,
    "ratio": machine_figures.figure_ratio,
    "slow": machine_figures.figure_slow_control,
    "overview": lambda field: figure_overview(records.record(field)),
}

WITHOUT_UNIT = {
    "spots",
    "spill",
    "spot, in the order of delivery",
    "particles planned",
}
"""Labels of axes that count something."""


def page_of(record: Record, folder: Path) -> tuple[str, Page, str]:
    """Write a report; return the HTML, what the parser found, and the text on one line."""
    path = folder / "report.html"
    write_report(record, path)
    return read_page(path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Page, str]:
    """The report of a field that was delivered whole."""
    folder = tmp_path_factory.mktemp("whole")
    return page_of(records.record(records.field(folder)), folder)


def one_spot(path: Path) -> FieldRecord:
    field = records.field(path, slices=1, side=1)
    return records.with_changes(field, slow_control=field.slow_control[:1], trend=field.trend[50:51])


def all_nan(path: Path) -> FieldRecord:
    field = records.field(path)
    tables = {
        name: getattr(field, name).copy() for name in ("spots", "trend", "slow_control", "truth", "slices")
    }
    for table in tables.values():
        for name in table.dtype.names:
            if table.dtype[name].kind == "f":
                table[name] = np.nan
    tables["spots"]["position_valid"] = False
    return records.with_changes(field, **tables)


def nothing_whole(path: Path) -> FieldRecord:
    """One spot, begun and never finished, without a position."""
    field = one_spot(path)
    spots = field.spots.copy()
    spots["complete"] = spots["position_valid"] = False
    spots["x_mm"] = spots["y_mm"] = np.nan
    spots["particles_int2"] = 0.0
    return records.with_changes(field, spots=spots, header={**field.header, "status": "interlock"})


def no_counts(path: Path) -> FieldRecord:
    """Spills that brought no beam."""
    field = records.empty(path)
    whole = records.field(path)
    spills, trend = whole.spills.copy(), whole.trend.copy()
    for table in (spills, trend):
        table["int1_counts"] = table["int2_counts"] = 0
    return records.with_changes(field, spills=spills, trend=trend)


def first_chamber_dead(path: Path) -> FieldRecord:
    """INT1 counts nothing, INT2 does."""
    field = records.field(path)
    tables = {name: getattr(field, name).copy() for name in ("spills", "trend")}
    for table in tables.values():
        table["int1_counts"] = 0
    return records.with_changes(field, **tables)


def bare(path: Path) -> FieldRecord:
    """Nothing at all, not even slices or facts."""
    field = records.empty(path)
    return records.with_changes(field, header={}, slices=field.slices[:0], interlocks=field.interlocks[:0])


STRANGE = {
    "interrupted": records.interrupted,
    "empty": records.empty,
    "one spot": one_spot,
    "all NaN": all_nan,
    "nothing whole": nothing_whole,
    "no counts": no_counts,
    "first chamber dead": first_chamber_dead,
    "bare": bare,
    "no truth": lambda path: records.with_changes(records.field(path), truth=None),
    "no slow control": lambda path: records.with_changes(
        records.field(path), slow_control=records.field(path).slow_control[:0]
    ),
    "no trend": lambda path: records.with_changes(records.field(path), trend=records.field(path).trend[:0]),
}


def test_a_whole_field(whole: tuple[str, Page, str], tmp_path: Path):
    html, page, text = whole
    spots = records.field(tmp_path).spots
    deviation = 100 * (spots["particles"] / spots["particles_planned"] - 1)
    assert "Research software, not a medical device." in text
    assert "Delivered whole" in text
    assert "288 of 288 (0 in part)" in text
    assert f"{np.mean(np.abs(deviation) <= 1) * 100:.1f} %" in text
    assert f"+{deviation.mean():.3f} ± {deviation.std():.3f} %" in text
    dx_mm = spots["x_mm"] - spots["x_planned_mm"]
    assert f"+{dx_mm.mean():.3f} ± {dx_mm.std():.3f} mm" in text
    distance_mm = np.hypot(dx_mm, spots["y_mm"] - spots["y_planned_mm"])
    assert f"{np.sqrt(np.mean(distance_mm**2)):.3f} mm" in text
    for expected in ("Two slices", "test-line", "a1b2c3dddddd…", "2026-02-27 09:30:00 UTC", "numpy 2.4.6"):
        assert expected in text
    for expected in ("62004650", "184.50", "6.5 × 6.2", "12.500 s", "Known to the simulation only"):
        assert expected in text
    assert page.tags.count("svg") == 10
    assert len(html) < 1e6


def test_measured_widths_stand_beside_the_expected_ones(whole: tuple[str, Page, str], tmp_path: Path):
    assert "7.15 × 6.25" in whole[2]
    assert "+10.0 × 0.0" in whole[2]
    field = records.field(tmp_path)
    slices = field.slices.copy()
    slices["sigma_x_mm"] = slices["sigma_y_mm"] = np.nan
    _, _, text = page_of(records.record(records.with_changes(field, slices=slices)), tmp_path)
    assert "7.15" not in text


def test_a_repainted_field_tells_of_the_spots_of_the_plan(tmp_path: Path):
    """Two visits that are 2 % off, in either direction, are one spot that is right."""
    once = records.field(tmp_path, side=4)
    assert not any("plan within" in name for name, _ in figures_of_merit(once))
    spots, visits = once.spots.copy(), once.visits.copy()
    spots["particles_planned"] = visits["particles_planned"] = 1e5
    spots["particles"] = np.where(spots["spot"] % 2, 0.98e5, 1.02e5)
    for table in (spots, visits):
        table["planned_spot"] = table["spot"] // 2
    merits = dict(figures_of_merit(records.with_changes(once, spots=spots, visits=visits)))
    assert merits["Spots within ±1 % of their particles"] == "0.0 %"
    assert merits["Repainted: spots of the plan delivered"] == "16 of 16"
    assert merits["Spots of the plan within ±1 %, visits together"] == "100.0 %"


def test_a_stopped_field(tmp_path: Path):
    _, _, text = page_of(records.record(records.interrupted(tmp_path)), tmp_path)
    assert "Stopped by an interlock: int ratio, at 4.615 s; 1 pause" in text
    assert "215 of 288 (1 in part)" in text
    assert (
        "position x fast control: deviation at the isocentre from StripX below the limit 0.120000 1 0 70"
        in text
    )
    assert "2.345 2 mm beam off for the rest of the spill" in text
    assert "0.1234 0.1 1 treatment stopped" in text
    assert "1 stop, 1 pause" in text


def test_an_empty_field_says_so(tmp_path: Path):
    _, page, text = page_of(records.record(records.empty(tmp_path)), tmp_path)
    assert "0 of 288" in text
    assert "background" in text
    assert "Nothing measured." in text
    assert "svg" not in page.tags


def test_no_field(tmp_path: Path):
    _, _, text = page_of(records.record(plan_label="Nobody"), tmp_path)
    assert "Nobody" in text
    assert "no field was delivered" in text
    assert isinstance(figure_overview(records.record()), Figure)


def test_truth_has_its_own_section_only_if_there_is_one(whole: tuple[str, Page, str], tmp_path: Path):
    field = records.with_changes(records.field(tmp_path, side=3), truth=None)
    for (_, _, text), there in ((whole, True), (page_of(records.record(field), tmp_path), False)):
        assert ("Known to the simulation only" in text) is there
        assert ("Measured and true" in text) is there


def test_several_fields(tmp_path: Path):
    second = records.with_changes(records.interrupted(tmp_path), number=7, name="From behind")
    html, page, text = page_of(records.record(records.field(tmp_path), second), tmp_path)
    assert "Field 7: Stopped by an interlock" in text
    assert 'href="#field-7"' in html
    assert ("id", "field-7") in page.attributes
    identifiers = [value for name, value in page.attributes if name == "id"]
    assert len(identifiers) == len(set(identifiers))


def test_a_field_that_was_never_begun(tmp_path: Path):
    _, _, text = page_of(records.record(records.field(tmp_path), status="interlock"), tmp_path)
    assert "Not all fields of the plan were delivered" in text


@pytest.mark.parametrize("name", STRANGE)
def test_strange_records(name: str, tmp_path: Path):
    record = records.record(STRANGE[name](tmp_path))
    page_of(record, tmp_path)
    figure_overview(record).savefig(tmp_path / "overview.png", dpi=20)


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize(
    "kind", ["empty", "all NaN", "nothing whole", "bare"]
)  # reports leave most of them out
def test_figures_of_strange_records(name: str, kind: str, tmp_path: Path):
    figure = FIGURES[name](STRANGE[kind](tmp_path))
    figure.savefig(tmp_path / "figure.png", dpi=20)


@pytest.mark.parametrize("name", FIGURES)
def test_axes_have_labels_with_units(name: str, tmp_path: Path):
    figure = FIGURES[name](records.field(tmp_path))
    shared = name in ("layers", "magnets", "maps", "overview")
    labels = []
    for axes in figure.axes:
        if not axes.get_visible() or axes.get_label() == "<colorbar>":
            continue
        for label, told in ((axes.get_xlabel(), axes.xaxis), (axes.get_ylabel(), axes.yaxis)):
            assert label or shared, f"an axis of {name} has no label ({told})"
            if label:
                labels.append(label)
    assert labels
    for label in labels:
        base = re.sub(r" \(10[⁰¹²³⁴⁵⁶⁷⁸⁹]+\)$", "", label)
        assert base in WITHOUT_UNIT or re.search(
            r"\((%|mm|s|ms|µs|A|V|hPa|°C|1|MeV/u|1?0?[¹²³⁴⁵⁶⁷⁸⁹]*/s)\)$", label
        ), label


def test_nothing_is_loaded_from_elsewhere(whole: tuple[str, Page, str]):
    html, page, _ = whole
    assert not re.search(r"https?:|//[a-z]", re.sub(r"base64,\s*[A-Za-z0-9+/=\s]+", "", html))
    assert "script" not in page.tags
    assert "link" not in page.tags
    for name, value in page.attributes:
        assert not name.startswith("on")
        if name in ("src", "href"):
            assert value.startswith(("#", "data:image/png"))


def test_hostile_texts_are_escaped(tmp_path: Path):
    field = records.field(tmp_path, plan_label=HOSTILE, ion=HOSTILE, beamline=HOSTILE, warnings=[HOSTILE])
    field = records.with_changes(field, name=HOSTILE)
    record = records.record(field, plan=HOSTILE)
    html, page, text = page_of(record, tmp_path)
    assert "<script" not in html
    assert "script" not in page.tags
    assert text.count("<script>alert('1')</script> & \"$x_1$ {{ 7*7 }}") >= 5
    figure_overview(record).savefig(tmp_path / "overview.png", dpi=20)


def test_pictures_have_texts_in_their_place(whole: tuple[str, Page, str]):
    _, page, _ = whole
    labels = [value for name, value in page.attributes if name == "aria-label"]
    assert len(labels) == page.tags.count("svg")
    assert all(len(label) > 15 for label in labels)
    assert any("288 spots, mean +0.267 %" in label for label in labels)


def test_many_slices(tmp_path: Path):
    field = records.field(tmp_path, slices=26, side=3)
    _, page, text = page_of(records.record(field), tmp_path)
    assert "The other slices" in text
    titles = re.findall(r"slice (\d+): [\d.]+ MeV/u, 9 of 9", text)
    assert sorted(int(n) for n in titles) == list(range(26))
    assert "details" in page.tags


def test_size_of_a_large_field(tmp_path: Path):
    field = records.field(tmp_path, slices=6, side=25)
    path = tmp_path / "report.html"
    write_report(records.record(field), path)
    # A field of 30 slices and 19 000 spots stays below 6 MB.
    assert path.stat().st_size < 6e6 * len(field.spots) / 19_000 + 1e6


def test_unknown_cause(tmp_path: Path):
    interlocks = np.zeros(1, dtype=INTERLOCK)
    interlocks[0] = (99, 100_000, 1, 0, 3, np.nan, np.nan, 1)
    field = records.with_changes(records.field(tmp_path), interlocks=interlocks)
    _, _, text = page_of(records.record(field), tmp_path)
    assert "unknown cause 99" in text


def test_a_place_that_cannot_be_written(tmp_path: Path):
    with pytest.raises(OutputError, match="choose another place"):
        write_report(records.record(records.empty(tmp_path)), tmp_path / "missing" / "report.html")


def test_matplotlib_is_imported_only_when_a_report_is_written():
    code = "import sys, spotline.faces.report; print({'matplotlib', 'jinja2'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def test_same_bytes_whatever_the_settings_of_the_user(whole: tuple[str, Page, str], tmp_path: Path):
    import matplotlib as mpl

    with mpl.rc_context({"axes.grid": False, "font.size": 30.0, "axes.labelcolor": "yellow"}):
        found, _, _ = page_of(records.record(records.field(tmp_path)), tmp_path)
        assert mpl.rcParams["font.size"] == 30.0
    assert found == whole[0]


def test_overview_has_its_size(tmp_path: Path):
    figure = figure_overview(records.record(records.empty(tmp_path), records.field(tmp_path)))
    assert tuple(figure.get_size_inches() * 100) == (1200.0, 700.0)
