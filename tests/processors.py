"""Do the arithmetic of other processors on this one, and run the tests that compare with stored results.

    python -m tests.processors [arguments for pytest]      # scripts/test-processors

BLAS, NumPy, Numba and the C library each choose their instructions by the processor, and with them the last
digits of what they work out.  Each can be told to take another processor's, as long as this one has them.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import llvmlite.binding
import numba
import numpy as np
import scipy

ROOT = Path(__file__).resolve().parents[1]

AVX2 = frozenset({"avx2", "fma"})
AVX512 = frozenset({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"})
ASK = "import json; from tests.processors import taken; print(json.dumps(taken()))"


@dataclass(frozen=True, slots=True)
class Processor:
    """A kind of processor.

    Attributes
    ----------
    name : str
    needs : frozenset of str
        Instructions, by LLVM's names, that this processor must have.
    without : frozenset of str
        Groups of instructions that NumPy does without.
    environment : dict of str to str
        What the other libraries are told.
    blas : str
        The kernels that OpenBLAS then takes.
    """

    name: str
    needs: frozenset[str]
    without: frozenset[str]
    environment: dict[str, str]
    blas: str

    def variables(self) -> dict[str, str]:
        """All variables of its environment."""
        from numpy._core._multiarray_umath import (  # type: ignore[import-not-found]
            __cpu_dispatch__,
            __cpu_features__,
        )

        groups = [g for g in __cpu_dispatch__ if __cpu_features__[g] and g.startswith(tuple(self.without))]
        disabled = {"NPY_DISABLE_CPU_FEATURES": " ".join(groups)} if groups and self.without else {}
        return {**self.environment, **disabled}

    def obstacle(self) -> str:
        """Why this machine cannot do its arithmetic; empty if it can."""
        if not corenames():
            return "NumPy and SciPy come without an OpenBLAS that can be told which kernels to take"
        features = llvmlite.binding.get_host_cpu_features()
        missing = sorted(name for name in self.needs if not features.get(name))
        return f"this processor has no {', '.join(missing)}" if missing else ""


PROCESSORS = (
    Processor("Haswell", AVX2, frozenset({"X86_V4", "AVX512"}), {"OPENBLAS_CORETYPE": "Haswell"}, "Haswell"),
    Processor("SkylakeX", AVX512, frozenset(), {"OPENBLAS_CORETYPE": "SkylakeX"}, "SkylakeX"),
    Processor(
        "generic",
        frozenset(),
        frozenset({"X86_V3", "X86_V4", "AVX", "FMA"}),
        {
            "OPENBLAS_CORETYPE": "Prescott",
            "NUMBA_CPU_NAME": "generic",
            "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F",
        },
        "Katmai",  # what OpenBLAS calls the kernels of Prescott
    ),
)
"""The last has only what every 64-bit x86 processor has."""


def corenames() -> list[str]:
    """Kernels that the OpenBLAS of NumPy and that of SciPy have taken; empty without them."""
    found = []
    for package in (np, scipy):
        folder = Path(str(package.__file__)).parents[1] / f"{package.__name__}.libs"
        for path in sorted(folder.glob("*openblas*")):
            library = ctypes.CDLL(str(path))
            for name in ("scipy_openblas_get_corename64_", "scipy_openblas_get_corename"):
                if hasattr(library, name):
                    ask = getattr(library, name)
                    ask.restype = ctypes.c_char_p
                    found.append(ask().decode())
    return found


def taken() -> dict[str, object]:
    """What the libraries of this process have taken."""
    return {"blas": corenames(), "numba": numba.config.CPU_NAME or llvmlite.binding.get_host_cpu_name()}


def environment_of(processor: Processor) -> dict[str, str]:
    """Environment of a process that does the arithmetic of another processor."""
    return {**os.environ, **processor.variables()}


def main(arguments: list[str]) -> int:
    """Run the marked tests as each processor; return 1 if any fails."""
    failed = []
    for processor in PROCESSORS:
        if obstacle := processor.obstacle():
            print(f"{processor.name}: skipped: {obstacle}", flush=True)
            continue
        environment = environment_of(processor)
        said = subprocess.run(
            [sys.executable, "-c", ASK], env=environment, cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout.strip()
        print(f"{processor.name}: {said}", flush=True)
        if f'"{processor.blas}"' not in said or said.count(f'"{processor.blas}"') != len(corenames()):
            print(f"{processor.name}: OpenBLAS should have taken {processor.blas}", flush=True)
            failed.append(processor.name)
            continue
        command = [sys.executable, "-m", "pytest", "-n", "2", "--benchmark-disable", "-q", "-m", "stored"]
        if subprocess.run([*command, *arguments], env=environment, cwd=ROOT, check=False).returncode:
            failed.append(processor.name)
    print(f"failed as {', '.join(failed)}" if failed else "equal on all of them", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
