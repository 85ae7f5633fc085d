"""`python -m casefile` is `casefile`."""

from .cli import main

if __name__ == "__main__":
    main()
