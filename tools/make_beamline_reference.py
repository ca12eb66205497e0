"""Write the reference page of the beam-line file from the schema and the shipped line cnao-h.

    python tools/make_beamline_reference.py          # into docs/reference/beam-line-file.md

Keys, meanings, defaults and bounds come from `spotline.machine.model`, `.accelerator` and `.simulation`,
values and sources from the TOML file and its comments.  A test fails when the page is out of date.
"""

from __future__ import annotations

import ast
import inspect
import re
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from spotline.machine import accelerator, model, monitors, simulation
from spotline.machine.load import SHIPPED, TOML_NAME
from spotline.units import UNIT_SUFFIXES

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "beam-line-file.md"
EXAMPLE = "cnao-h"
ROWS = ("boxes", "monitors", "ions", "nozzle.layers")
"""Tables of the file of which there are several."""

INTRODUCTION = f"""\
# The beam-line file

<!-- Written by tools/make_beamline_reference.py from the classes of spotline.machine; do not edit. -->

A beam line is a folder with one `{TOML_NAME}` and the CSV tables that it names. Every key of the TOML file
is below, with the value of the shipped line [`{EXAMPLE}`](../../src/spotline/beamlines/{EXAMPLE}/{TOML_NAME})
and where that value comes from. How to describe a line of your own:
[Describe a beam line](../how-to/describe-a-beam-line.md).

Unknown keys, missing keys, numbers that are not finite and values out of bounds are refused, with a message
that names the file, the key, what is wrong and what to do. Units stand in the names; a key without one is a
number of things or a ratio.
"""

TABLES = """\
## CSV tables

Comment lines start with `#`; the first other line has the names of the columns, the rest numbers. All
columns are required unless said otherwise, and no others are allowed. A table must lie in the folder of the
line. Between the rows, `spotline` interpolates with PCHIP (monotone, piecewise cubic) in energy, and
bilinearly in gain maps.

**Energies of an ion** (`ions.energies`), strictly ascending in `energy_MeV_u` and `range_mm`, all above 0:

| column | meaning |
| --- | --- |
| `energy_MeV_u` | kinetic energy per nucleon |
| `range_mm` | depth of the Bragg peak in water behind the nozzle |
| `particles_per_count` | particles whose ionization of an integral chamber is one count |
| `particles_per_MU` | optional: particles of one monitor unit, needed if plans come in MU |
| `beam_MeV_u` | optional: mean energy per nucleon that the beam has; ascending |
| `beam_sigma_MeV_u` | optional: standard deviation of that energy, in place of `momentum_spread_percent` |

The last two are for machines whose beams are not what they are called, such as those with a degrader. They
decide what a [beam library](beam-library.md) of the line is made of, and nothing else: counts, currents and
spot sizes belong to `energy_MeV_u`, by which plan and machine call the beam.

**Spot sizes** (`ions.optics.table`), strictly ascending in energy, all above 0, from the lowest to the
highest energy of the ion at least; the rows need not be those of the energy table:

| column | meaning |
| --- | --- |
| `energy_MeV_u` | kinetic energy per nucleon |
| `fwhm_x_mm`, `fwhm_y_mm` | full width at half maximum in air at the isocentre |
| `fwhm_box_x_mm`, `fwhm_box_y_mm` | full width at half maximum at the chambers |

**Gain map** (`calibration.int1_gain_map`, `int2_gain_map`), one row per point of a rectangular grid that
covers the field, in any order:

| column | meaning |
| --- | --- |
| `x_iso_mm`, `y_iso_mm` | position at the isocentre |
| `gain` | counts there relative to counts in the middle, above 0 |

## Matter of the nozzle, twice

`nozzle_mm` of an ion and `[[nozzle.layers]]` with the air between them tell of the same matter, for two
purposes:

* `nozzle_mm` decides depths. It is fitted, per ion, so that the peaks of its beam library lie at `range_mm`
  within 0.15 mm, and takes up errors of the simulated range and of the nominal energy: protons and carbon
  ions differ by 0.08 mm, which no layers can. It needs nothing but a table of depths.
* The layers decide how wide the beam is. They say what scatters, and how far upstream, and are optional:
  without them the line has spot sizes at the isocentre and at the chambers only.

So depths do not come from the layers. Where a layer is not known otherwise it may come from the depths: the
window of the shipped lines is what the fit leaves beside chambers and air. A test holds both to each other
within 0.3 mm.

## Keys from before monitors were rows

Files without `[[boxes]]` and `[[monitors]]` load as ever if they have `geometry.int1_to_isocentre_mm`,
`strip_x_to_isocentre_mm`, `strip_y_to_isocentre_mm`, `int2_to_isocentre_mm`, `pixel_to_isocentre_mm`, and
`chambers.gap_mm`, `high_voltage_V`, `strips`, `strip_pitch_mm`, `pixels`, `pixel_pitch_mm`: they describe
INT1, StripX and StripY in BOX1, INT2 and PIX in BOX2. A file has either, not both. `BeamLine.changed` takes
these keys for the rows of such names too.

## Checks across keys

* The magnets reach half of the field in both planes with the highest energy of every ion.
* The strip and pixel chambers cover the field as it is projected onto them from the magnets.
* All monitors, with the whole of their gaps, are downstream of the scanning magnets and upstream of the
  isocentre; no gap overlaps that of another monitor. They stand in boxes of the line, of which there are two
  at most.
* A role of the control law is of one monitor, of the kind and plane that it is for. There are `int1` and
  `int2`, and in each plane strips or the pixel chamber; [what a line can do without](monitors.md). Both
  strip chambers of the law have the same channels. Only strip chambers can be without a role.
* `scan_period_us` divides `strip_period_us`, and that divides `pixel_period_us`.
* `intensity_levels` descend and are at most 1; the interlock on intensity lies above the full intensity.
* Exactly one of `gantry_angles_deg` and `gantry_range_deg` is given.
* Twice `energy_tolerance_MeV_u` is less than the smallest distance of listed energies.
* The nominal high voltage of every box is within its tolerance; each tolerance has its lower limit first.
* The first and the last energy are multiples of 0.01 MeV/u, and listed ones differ by more than rounding to
  that; an ion has at most 16 foci, the accelerator 16 `intensity_levels`: a cycle-code holds no more.
* Spot sizes cover the energies, gain maps cover the field; no ion and no optics stands there twice.
* If there is a nozzle: its passive elements are those of the line, its materials and ions are known, and
  nothing of it stands in the vacuum or within another layer.
* A spill, rise and fall included, fits into the cycle of a synchrotron; a flat top is no shorter than a
  spill, and it and `spot_preparation_s` are given for discrete extraction only.
* No beam of a cyclotron comes within 20 ms of its request; no energy is above that before the degrader, whose
  transmissions are at most 1 at ascending energies.

The SHA-256 of a line covers the TOML file and all tables that it names: names, lengths and contents, in order
of names, with line ends as line feeds. Records carry it.
"""


@dataclass(frozen=True, slots=True)
class Value:
    """What the example says for a key."""

    text: str
    comment: str


def field_docs() -> dict[tuple[str, str], str]:
    """Docstrings of the fields, by class and field."""
    trees = [ast.parse(inspect.getsource(module)) for module in (model, accelerator, monitors, simulation)]
    docs = {}
    for node in (n for tree in trees for n in tree.body if isinstance(n, ast.ClassDef)):
        for statement, following in zip(node.body, node.body[1:], strict=False):
            if (
                isinstance(statement, ast.AnnAssign)
                and isinstance(statement.target, ast.Name)
                and isinstance(following, ast.Expr)
                and isinstance(following.value, ast.Constant)
            ):
                docs[node.name, statement.target.id] = " ".join(str(following.value.value).split())
    return docs


def example_values() -> dict[str, list[Value]]:
    """Values and comments of the example by dotted key; several for keys of ``[[...]]`` tables."""
    values: dict[str, list[Value]] = {}
    table = ""
    for line in (SHIPPED / EXAMPLE / TOML_NAME).read_text(encoding="utf-8").splitlines():
        if header := re.match(r"\[+([\w.]+)\]+$", line):
            table = header[1] + "."
        elif named := re.match(r'(?:"[^"]+"|\w+) = \{ (.*) \}\s*(?:# (.*))?$', line):  # a table by name
            for part in named[1].split(", "):
                key, _, text = part.partition(" = ")
                values.setdefault(table + key, []).append(Value(text, (named[2] or "").strip()))
        elif entry := re.match(r'("[^"]+"|\w+) = (".*?"|[^#]*?)\s*(?:# (.*))?$', line):
            values.setdefault(table + entry[1], []).append(Value(entry[2], (entry[3] or "").strip()))
        elif inline := re.match(r"\s+\{ (.*) \},\s*(?:# (.*))?$", line):
            for part in inline[1].split(", "):
                key, _, text = part.partition(" = ")
                values.setdefault(f"{table}optics.{key}", []).append(Value(text, (inline[2] or "").strip()))
    return values


def unit_of(name: str) -> str:
    """Unit that a name ends in, for reading; empty if it has none."""
    pretty = {
        "MeV_u": "MeV/u",
        "mT_m": "mT m",
        "T_m": "T m",
        "mm_mrad": "mm mrad",
        "us": "µs",
        "deg": "°",
        "C": "°C",
        "V2": "V²",
    }

    def ending(part: str) -> str:
        found = [unit for unit in UNIT_SUFFIXES if part == unit or part.endswith(f"_{unit}")]
        unit = max(found, key=len, default="")
        return pretty.get(unit, unit)

    above, per, below = name.rpartition("_per_")
    if not per:
        return ending(below)
    return f"{ending(above) or '1'}/{ending(below)}" if ending(below) else ""


def bounds_of(annotation: Any) -> str:
    """What a value may be, from the constraints of the schema."""
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        meta = next(m for m in parts[1:] if isinstance(m, msgspec.Meta))
        if meta.pattern is not None:
            return "word"
        whole = "whole, " if parts[0] is int else ""
        if meta.ge is not None and meta.le is not None:
            return f"{whole}{meta.ge:g} to {meta.le:g}"
        return whole + (f"> {meta.gt:g}" if meta.gt is not None else f">= {meta.ge:g}")
    if origin is typing.Literal:
        return " or ".join(f"`{part}`" for part in parts)
    if origin is tuple:
        inner = bounds_of(parts[0])
        return f"list of ({inner})" if parts[-1] is Ellipsis else f"pair of ({inner})"
    if origin is dict:
        return f"table of ({bounds_of(parts[1])})"
    if type(None) in parts:
        return bounds_of(next(part for part in parts if part is not type(None)))
    return {float: "number", int: "whole", str: "text", bool: "true or false"}[annotation]


def default_of(field: msgspec.structs.FieldInfo) -> str:
    """Default of a field, or that it is required."""
    if field.default is not msgspec.NODEFAULT:
        return "none" if field.default is None else f"`{msgspec.json.encode(field.default).decode()}`"
    if field.default_factory is not msgspec.NODEFAULT:
        return "empty"
    return "required"


def structs_in(annotation: Any) -> list[type[msgspec.Struct]]:
    """Tables that a key may hold, or the one of the list that it holds."""
    kinds = (annotation, *typing.get_args(annotation))
    return [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, msgspec.Struct)]


def cell(text: str) -> str:
    """Escape what would end a cell of a Markdown table."""
    return text.replace("|", "\\|")


def section(kind: type[msgspec.Struct], key: str, values: dict[str, list[Value]]) -> Iterator[str]:
    """Write the section of a table of the file, then those of the tables in it."""
    docs, hints = field_docs(), typing.get_type_hints(kind, include_extras=True)
    rows = []
    below = []
    tag = kind.__struct_config__.tag
    if tag is not None:
        named = values.get(f"{key}.kind", [Value("", "")])[0]
        is_that = named.text == f'"{tag}"'
        if not is_that:
            values = {name: found for name, found in values.items() if not name.startswith(f"{key}.")}
        default = "`synchrotron`" if tag == "synchrotron" else "required"
        shown, source = (f"`{named.text}`", named.comment) if is_that else ("-", "")
        rows.append(f"| `kind` |  | Which kind it is. | `{tag}` | {default} | {shown} | {source} |")
    for field in msgspec.structs.fields(kind):
        annotation = hints[field.name]
        full = f"{key}.{field.name}" if key else field.name
        inner = structs_in(annotation)
        if inner:
            below += [(struct, full) for struct in inner]
            continue
        example = list(dict.fromkeys(values.get(full, [])))
        if typing.get_origin(annotation) is dict:
            example = [
                Value(f"{name.removeprefix(full + '.')} = {value.text}", value.comment)
                for name, found in values.items()
                if name.startswith(full + ".")
                for value in found
            ]
        columns = (
            f"`{field.name}`",
            unit_of(field.name),
            next(docs[c.__name__, field.name] for c in kind.__mro__ if (c.__name__, field.name) in docs),
            bounds_of(annotation),
            default_of(field),
            "<br>".join(f"`{value.text}`" for value in example) or "-",
            "<br>".join(dict.fromkeys(value.comment for value in example if value.comment)),
        )
        rows.append("| " + " | ".join(cell(column) for column in columns) + " |")
    title = (
        {"ions.optics": "ions.optics"}.get(key, f"[[{key}]]" if key in ROWS else f"[{key}]")
        if key
        else "Top of the file"
    )
    summary = " ".join((kind.__doc__ or "").split("\n\n")[0].split())
    if rows:
        which = f", kind `{tag}`" if tag is not None else ""
        yield f"## `{title}`{which}\n" if key else f"## {title}\n"
        yield summary + "\n"
        yield f"| key | unit | meaning | allowed | default | {EXAMPLE} | source of it |"
        yield "| --- | --- | --- | --- | --- | --- | --- |"
        yield from rows
        yield ""
    for struct, full in below:
        yield from section(struct, full, values)


def page() -> str:
    """Text of the whole page."""
    body = "\n".join(section(model.Description, "", example_values()))
    return f"{INTRODUCTION}\n{body}\n{TABLES}"


def main() -> None:
    """Write the page."""
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
