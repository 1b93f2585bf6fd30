"""The entry point of `python -m cnn_tui`."""

from cnn_tui.main import main

if __name__ == "__main__":
    main()
