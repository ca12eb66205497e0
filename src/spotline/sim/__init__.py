"""The simulated room: an accelerator, scanning magnets and five chambers behind the seam.

The compiled part (`random`, `spill`, `magnets`, `chambers`, `plant`, `loop`) advances the physics
sample by sample, together with the control law; `settings` translates a beam line into its numbers;
`room` offers it to `spotline.delivery` as any room would.

May know the line, the treatment and the compiled law that it closes the loop with; nothing of records.
Known to delivery, campaigns and faces; the law never sees it.
"""
