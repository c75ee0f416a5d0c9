"""``python -m admin`` is the command ``hotsplice``."""

import sys

from admin.cli import main

if __name__ == "__main__":
    sys.exit(main())
