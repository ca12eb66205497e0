"""Monte Carlo transport of ions by condensed history, in slabs and voxels."""
