"""``python -m sib``, for launchers such as torchrun."""

import sys

from sib.cli import main

sys.exit(main())
