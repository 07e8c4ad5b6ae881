"""Serve the page: python app.py --host 127.0.0.1 --port 7860."""

from app.lender import come_first

if __name__ == "__main__":
    come_first()  # before the page, which imports torch
    from app.command_line import main

    main()
