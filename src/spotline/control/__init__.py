"""The control law of the dose delivery: what the five FPGAs and the slow control decide.

The law sees counts, strips, pixels, currents and events, and nothing else.  It never imports the
simulation.  `integral` leads, `strip` and `pixel` measure where the beam is, `scan` steers it and
`timing` talks to the accelerator; `period` holds what surrounds them in a scan period, and `replay` runs
them over a recording; `memory` holds what they share; `interlocks` lists every cause that stops the beam,
`register` keeps those that did, and `safety` stops it without the rest; `slow` watches gas, high voltage and
passive elements; `supervision` is the table of the treatment.

May know physics and the ground.  Known to every room above that plans for it, runs it or reads what it left.
"""
