"The command line in a checkout: `python cli.py train ...`; installed it is `landmark-fastai train ...`."

import sys

from landmark_fastai.cli import main

if __name__ == '__main__': sys.exit(main())
