"""``python -m replicate``: the console script by another name."""

from .cli import main

if __name__ == "__main__":
    main()
