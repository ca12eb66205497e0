"""Items of sequences: made, and found in the dataset of a plan."""

from __future__ import annotations

from pydicom import Dataset


def item(**values: object) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def beam(dataset: Dataset, number: int = 1) -> Dataset:
    return dataset.IonBeamSequence[number - 1]


def point(dataset: Dataset, index: int) -> Dataset:
    return beam(dataset).IonControlPointSequence[index]


def group(dataset: Dataset) -> Dataset:
    return dataset.FractionGroupSequence[0]


def reference(dataset: Dataset, number: int = 1) -> Dataset:
    return group(dataset).ReferencedBeamSequence[number - 1]
