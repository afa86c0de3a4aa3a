"""``python -m sib``, for launchers such as torchrun, and for several commands in one process."""

import sys

from sib.cli.sequence import main

sys.exit(main(sys.argv[1:]))
