"""The control law of the dose delivery: what the five FPGAs and the slow control decide.

The law sees counts, strips, pixels, currents and events, and nothing else.  It never imports the
simulation.  `integral` leads, `strip` and `pixel` measure where the beam is, `scan` steers it and
`timing` talks to the accelerator; `memory` holds what they share; `interlocks` lists every cause that
stops the beam; `slow` watches gas, high voltage and passive elements; `phases` is the table of the
treatment.
"""
