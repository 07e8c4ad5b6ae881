"""Serve the page: python app.py --host 127.0.0.1 --port 7860."""

from app.command_line import main

if __name__ == "__main__":
    main()
