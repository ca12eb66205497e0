"""What people sign with is one line of text, whoever asks for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from spotline import DeliveryOptions, OptionError
from spotline.delivery.command import Command, Order
from spotline.delivery.resume import _operator
from spotline.record.course_folder import CourseFolder
from spotline.signature import signed, signed_by_somebody

CONTROL = ["bad\x1b[31m\nname", "a\nb", "a\x00b", "a\x85b", "a\u2028b", "a\udcffb"]


@pytest.mark.parametrize("text", CONTROL)
def test_control_characters_are_refused_wherever_somebody_signs(text: str, tmp_path: Path):
    for give in (
        lambda: signed("operator", text),
        lambda: DeliveryOptions(operator=text),
        lambda: DeliveryOptions(again=text),
        lambda: _operator(text, "repaired", None),
        lambda: _operator("M. Curie", text, None),
        lambda: CourseFolder(tmp_path).give_up(text, "repaired"),
        lambda: CourseFolder(tmp_path).give_up("M. Curie", text),
        lambda: Order(Command.PAUSE, text, "coughs"),
        lambda: Order(Command.PAUSE, "M. Curie", text),
    ):
        with pytest.raises(OptionError, match="control character") as caught:
            give()
        assert str(caught.value).isprintable(), "the message itself goes to a terminal"


def test_other_text_stays_as_it_is():
    assert (
        signed("operator", "  Müller-Lüdenscheidt, Ж. 山田\u00a0太郎 ")
        == "Müller-Lüdenscheidt, Ж. 山田\u00a0太郎"
    )
    assert DeliveryOptions(operator=" M. Curie ").operator == "M. Curie"


@pytest.mark.parametrize("text", ["", "  ", "\t\n"])
def test_blank_is_nobody(text: str):
    with pytest.raises(OptionError, match="reason is missing: it is in somebody's name"):
        signed_by_somebody("reason", text, "it is in somebody's name")


@pytest.mark.parametrize("text", [None, 3, b"M. Curie", object()])
def test_what_is_no_text_is_refused(text: object):
    with pytest.raises(OptionError, match=r"operator: is .*, not text"):
        signed("operator", text)
