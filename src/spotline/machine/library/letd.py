"""Of which particles a LETd is: publications answer that differently or not at all (Kalholm et al., Radiother.
Oncol. 161 (2021) 211), and models of RBE need one of the answers.

The models of protons are functions of LETd of protons, primaries and those that they set free.  Heavier recoils
leave less than a percent of the dose, but of a LET a hundred times as large: in the plateau they would add half to
LETd, while what they do to cells is in the measurements that the models were fitted to.
"""

from __future__ import annotations

from collections.abc import Sequence

from spotline.physics.ions import Ion

LETD_GROUPS = ("primaries", "hydrogen", "charged")
"""Primaries that have not reacted; all nuclei of hydrogen, primaries among them if the beam is of protons; all
charged particles but what reactions leave on the spot, which has no LET here."""
BEFORE_GROUPS = ("charged",)
"""What libraries of formats 2 and 3 have."""


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
