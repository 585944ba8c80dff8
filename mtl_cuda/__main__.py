"""`python -m mtl_cuda` is the command `mtl-cuda`."""

from mtl_cuda.cli import main

raise SystemExit(main())
