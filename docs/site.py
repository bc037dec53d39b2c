"Hooks of mkdocs.yml: pages at the top of the project, where everybody looks for them, and links of notebooks."

import posixpath
import re
from pathlib import Path

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
AT_THE_TOP = ['CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md']
RELATIVE = re.compile(r'\b(href|src)="([\w./-]+\.(?:md|ipynb|png|gif|svg)(?:#[\w-]+)?)"')  # of a page, to a file


def on_files(files: Files, config) -> Files:
    "All files of the site, those `AT_THE_TOP` with links that lead to the pages beside them."
    for name in AT_THE_TOP:
        text = (ROOT / name).read_text(encoding='utf-8').replace('](docs/', '](')
        files.append(File.generated(config, name, content=text))
    return files


def on_page_content(html: str, page, config, files: Files) -> str:
    "The page of a notebook with links that lead where they do in the file: its plugin leaves them as they are."
    notebook = page.file.src_uri
    if not notebook.endswith('.ipynb'): return html
    def led(link: re.Match) -> str:
        path, *anchor = link[2].split('#')
        target = files.get_file_from_path(posixpath.normpath(posixpath.join(posixpath.dirname(notebook), path)))
        if target is None: raise PluginError(f'{notebook}: {link[2]} leads nowhere')
        return f'{link[1]}="{"#".join([target.url_relative_to(page.file), *anchor])}"'
    return RELATIVE.sub(led, html)
