"""`python -m nunect.cli`, where no console script is installed."""

from nunect.cli import main

main()
