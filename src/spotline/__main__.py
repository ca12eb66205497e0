"""``python -m spotline``: the same as the command ``spotline``."""

from spotline.faces.cli import main

main()
