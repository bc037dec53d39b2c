"`python -m landmark_fastai train ...` is `landmark-fastai train ...`, wherever the package is importable."

import sys

from .cli import main

if __name__ == '__main__': sys.exit(main())
