"""Entry: `python -m app.cli` is `kadr`, also where the project is not installed."""

from app.cli.entry import main

main()
