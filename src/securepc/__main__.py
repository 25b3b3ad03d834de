"""`python -m securepc` is the `securepc` command."""

from securepc.cli import main

if __name__ == "__main__":
    main()
