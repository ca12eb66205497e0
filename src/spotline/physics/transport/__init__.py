"""Monte Carlo transport of ions by condensed history, in slabs and voxels.

May know the rest of physics.  Known to who makes beam libraries, and to who verifies doses.
"""
