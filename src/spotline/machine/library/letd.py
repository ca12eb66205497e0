"""Of which particles a LETd is: publications answer in several ways or not at all.

See Kalholm et al., Radiother. Oncol. 161 (2021) 211.  The models of protons are functions of LETd of protons,
primaries and those that they set free.  Heavier recoils leave less than a percent of the dose, but of a LET a
hundred times as large: in the plateau they would add half to LETd, while what they do to cells is in the
measurements that the models were fitted to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from spotline.physics.ions import Ion

LETD_GROUPS = ("primaries", "hydrogen", "charged")
"""Primaries that have not reacted; all nuclei of hydrogen, primaries among them in a beam of protons; and all
charged particles but what reactions leave on the spot, which has no LET here."""
IN_WORDS = {
    "primaries": "primaries that have not reacted",
    "hydrogen": "hydrogen nuclei",
    "charged": "all charged particles",
}
BEFORE_GROUPS = ("charged",)
"""What libraries of formats 2 and 3 have."""


def letd_in_words(group_of: Mapping[str, str]) -> str:
    """Say of which particles LETd is that mixes beams, given the group by ion."""
    if len(set(group_of.values())) < 2:
        return "".join(IN_WORDS[group] for group in set(group_of.values()))
    return ", ".join(f"{IN_WORDS[group]} ({ion})" for ion, group in group_of.items())


def letd_group(ion: Ion, held: Sequence[str] = LETD_GROUPS) -> str:
    """Return the group that LETd of a beam is of unless another is asked for.

    Of protons it is all hydrogen, which models of RBE want, if a library has it.  No model here takes LETd of
    ions; what is usual for them is all charged particles, for fragments leave much of the dose.

    Parameters
    ----------
    ion : Ion
        The beam.
    held : sequence of str
        The groups that a library has.
    """
    return "hydrogen" if ion.charge_number == 1 and "hydrogen" in held else "charged"
