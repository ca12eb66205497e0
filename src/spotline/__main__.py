"""``python -m spotline``: the same as the command ``spotline``."""

from spotline.cli import main

main()
