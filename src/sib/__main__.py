"""``python -m sib``, for launchers such as torchrun."""

import sys

from sib.cli.main import main

sys.exit(main())
