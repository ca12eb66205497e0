"""What the lines of a course come to: which fractions were given, and which is open."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from spotline.errors import CourseError
from spotline.inside import inside
from spotline.record.course import (
    CourseLine,
    CourseMade,
    DeliveryBegun,
    DeliveryEnded,
    DeliveryResumed,
    GivenUp,
    Prescribed,
    RemainderLeft,
)
from spotline.record.ledger import Line

_DEEPEST = 256  # parts of a path

BEGUN, COMPLETE, NOTHING = "begun", "complete", "nothing"


@dataclass(slots=True)
class Given:
    """A delivery of the course.

    Attributes
    ----------
    line : int
        With which it began.
    sha256 : str
        Hash of that line.
    when : str
        ISO 8601.
    begun : DeliveryBegun
    ended : DeliveryEnded or None
        None as long as it has not come to an end, or goes on.
    files : dict of str to str
        Hashes of its summary and journals, as last noted.
    left : RemainderLeft or None
        To which plan its rest was left.
    given_up : GivenUp or None
        Who took it for over.
    """

    line: int
    sha256: str
    when: str
    begun: DeliveryBegun
    ended: DeliveryEnded | None = None
    files: dict[str, str] = field(default_factory=dict)
    left: RemainderLeft | None = None
    given_up: GivenUp | None = None

    @property
    def status(self) -> str:
        """``complete``, ``interlock``, ``interrupted``; or ``begun``."""
        return BEGUN if self.ended is None else self.ended.status

    @property
    def in_words(self) -> str:
        """Where it is in the course."""
        what = f"fraction {self.begun.fraction}"
        if self.begun.continuation:
            what += f", continuation {self.begun.continuation}"
        return f"{what} (in {self.begun.record})"


@dataclass(slots=True)
class Fraction:
    """A fraction as it was given: a delivery, and those of its continuation plans.

    Attributes
    ----------
    deliveries : list of Given
        At least one, in order.
    """

    deliveries: list[Given]

    @property
    def plan(self) -> str:
        """Hash of the prescribed plan."""
        return self.deliveries[0].begun.plan

    @property
    def number(self) -> int:
        """From 1."""
        return self.deliveries[0].begun.fraction

    @property
    def again(self) -> str:
        """Why it was given although it had been given; empty if it had not."""
        return self.deliveries[0].begun.again

    @property
    def last(self) -> Given:
        """The delivery that is, or was, the last."""
        return self.deliveries[-1]

    @property
    def is_open(self) -> bool:
        """Whether something is lacking that nobody has given up."""
        return self.last.status != COMPLETE and self.last.given_up is None

    @property
    def in_words(self) -> str:
        """How it stands."""
        last = self.last
        if last.given_up is not None:
            return f"{last.status}, given up by {last.given_up.operator}: {last.given_up.reason}"
        if last.left is not None:
            return f"{last.status}, its rest left to the plan with SOP Instance UID {last.left.plan_uid}"
        return last.status

    @property
    def what_to_do(self) -> str:
        """What has to be done before anything else can be given."""
        last = self.last
        where = last.in_words
        over = "take it for over with `spotline course give-up`"
        if last.left is not None:
            return (
                f"the rest of {where} is left to the continuation plan with SOP Instance UID "
                f"{last.left.plan_uid}: deliver that into the course, or {over}"
            )
        if last.status == BEGUN:
            how = "was begun and has not come to an end"
        else:
            how = "was not delivered whole"
        return (
            f"{where} {how}: go on with `spotline resume`, write the plan of its rest with "
            f"`spotline continuation --out`, or {over}"
        )


@dataclass(slots=True)
class CourseState:
    """What the lines of a course come to.

    Attributes
    ----------
    made : CourseMade
    plans : dict of str to Prescribed
        By hash.
    fractions : list of Fraction
        In the order in which they were given, those given again too.
    torn : int
        How many lines were torn by crashes, and cut off.
    """

    made: CourseMade
    plans: dict[str, Prescribed] = field(default_factory=dict)
    fractions: list[Fraction] = field(default_factory=list)
    torn: int = 0

    @property
    def deliveries(self) -> list[Given]:
        """All of them, in order."""
        return [one for fraction in self.fractions for one in fraction.deliveries]

    @property
    def open(self) -> Fraction | None:
        """The fraction that must be brought to an end first; None if there is none."""
        return next((one for one in self.fractions if one.is_open), None)

    def of(self, plan: str) -> list[Fraction]:
        """Fractions of a plan."""
        return [one for one in self.fractions if one.plan == plan]

    def due(self, plan: str) -> int:
        """Number of the fraction that comes next, perhaps more than were prescribed."""
        return 1 + max((one.number for one in self.of(plan)), default=0)

    def at(self, line: int) -> Given | None:
        """The delivery that began with a line."""
        return next((one for one in self.deliveries if one.line == line), None)

    def fraction_of(self, given: Given) -> Fraction:
        """The fraction that a delivery is part of."""
        return next(one for one in self.fractions if given in one.deliveries)

    def _take(self, line: Line, entry: CourseLine) -> None:
        """Take the next line."""
        if isinstance(entry, Prescribed):
            self.plans[entry.plan_sha256] = entry
        elif isinstance(entry, DeliveryBegun):
            _checked(line, check_record, entry.record)
            given = Given(line.number, line.sha256, line.when, entry)
            before = self.open
            if entry.continuation and not entry.again and before is not None:
                before.deliveries.append(given)
            else:
                self.fractions.append(Fraction([given]))
        elif isinstance(entry, DeliveryResumed):
            self._given(line, entry.delivery).ended = None
        elif isinstance(entry, DeliveryEnded):
            self._end(line, entry)
        elif isinstance(entry, RemainderLeft):
            self._given(line, entry.delivery).left = entry
            for number, files in entry.files.items():
                self._given(line, int(number)).files = _names(line, files)
        elif isinstance(entry, GivenUp):
            self._given(line, entry.delivery).given_up = entry
        elif not isinstance(entry, CourseMade):
            self.torn += 1

    def _end(self, line: Line, entry: DeliveryEnded) -> None:
        given = self._given(line, entry.delivery)
        given.ended, given.files = entry, _names(line, entry.files)
        if entry.status == NOTHING:
            fraction = self.fraction_of(given)
            fraction.deliveries.remove(given)
            if not fraction.deliveries:
                self.fractions.remove(fraction)

    def _given(self, line: Line, number: int) -> Given:
        given = self.at(number)
        if given is None:
            raise CourseError(f"line {line.number} is about a delivery that no line {number} begins")
        return given


def check_record(name: str) -> str:
    """Return the name of a record: in the folder of the course, or absolute and without detours.

    Raises
    ------
    ValueError
        If it is neither.
    """
    inside(name.removeprefix("/"), "record", depth=_DEEPEST)
    return name


def _names(line: Line, files: dict[str, str]) -> dict[str, str]:
    """Hashes of the files of a record, by name."""
    for name in files:
        _checked(line, lambda name: inside(name, "file", depth=2), name)
    return files


def _checked(line: Line, check: Callable[[str], str], name: str) -> None:
    try:
        check(name)
    except ValueError as error:
        raise CourseError(f"line {line.number}: {error}") from None


def state_of(lines: Sequence[Line], where: str) -> CourseState:
    """Put the lines of a course together.

    Raises
    ------
    CourseError
        If one cannot be understood.
    """
    entries = list(_entries(lines, where))
    if not entries or not isinstance(entries[0], CourseMade):
        raise CourseError(f"{where}: does not begin with a course; make a new one with `spotline course new`")
    state = CourseState(entries[0])
    for line, entry in zip(lines, entries, strict=True):
        try:
            state._take(line, entry)
        except CourseError as error:
            raise CourseError(f"{where}: {error}; read it with the Spotline that wrote it") from None
    return state


def _entries(lines: Iterable[Line], where: str) -> Iterable[CourseLine]:
    for line in lines:
        try:
            yield msgspec.convert({**line.values, "kind": line.kind}, CourseLine)
        except (msgspec.ValidationError, ValueError) as error:
            raise CourseError(
                f"{where}: line {line.number} cannot be understood ({error}); read it with the Spotline that "
                "wrote it"
            ) from None
