"""What is said of doses: gamma, differences, histograms, and the evaluation of a plan or delivery as a whole.

`evaluate` is given values (records, what the beams meet, structures, doses) and asks the engine; `compare`,
`dvh` and `gamma` know no engine.

May know the rooms of `spotline.dose` and records.  Known to who asks for a dose above `spotline.dose`.
"""
