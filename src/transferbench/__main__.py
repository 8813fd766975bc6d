"""``python -m transferbench``."""

from transferbench.cli import main

if __name__ == "__main__":
    main()
