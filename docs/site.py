"A hook of mkdocs.yml: pages of the site that lie at the top of the project, where everybody looks for them."

from pathlib import Path

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
AT_THE_TOP = ['CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md']


def on_files(files: Files, config) -> Files:
    "All files of the site, those `AT_THE_TOP` with links that lead to the pages beside them."
    for name in AT_THE_TOP:
        text = (ROOT / name).read_text(encoding='utf-8').replace('](docs/', '](')
        files.append(File.generated(config, name, content=text))
    return files
