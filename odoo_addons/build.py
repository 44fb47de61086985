#!/usr/bin/env python3
"""Makes towpath_outbox for one version of Odoo, as a folder or a zip.

    odoo_addons/build.py --version 17 [--out DIR] [--zip]

The source is written for Odoo 19, which is the version it is tested on. What
differs in Python is in towpath_outbox/compat.py; what differs in data files is
here:

    17 and older  lists are called ``tree``; scheduled actions need a number of calls
    18 and older  groups have a category and ``users``; actions have ``groups_id``
    16            nothing more
"""
import argparse
import pathlib
import re
import shutil
import sys
import zipfile

SOURCE = pathlib.Path(__file__).resolve().parent / "towpath_outbox"
VERSIONS = (16, 17, 18, 19)
_SINCE_19 = re.compile(r"\s*<!-- since 19 -->.*?<!-- /since 19 -->", re.DOTALL)


def for_version(path, text, version):
    """The text of one file, as the version wants it."""
    if path.name == "__manifest__.py":
        return text.replace('"version": "19.0.', '"version": "%d.0.' % version)
    if path.suffix != ".xml":
        return text
    if version < 19:
        text = _SINCE_19.sub("", text)
        text = text.replace('<field name="privilege_id" ref="privilege_towpath"/>',
                            '<field name="category_id" ref="module_category_towpath"/>')
        text = text.replace('<field name="user_ids" eval=', '<field name="users" eval=')
    if version < 18:
        text = re.sub(r"<(/?)list\b", r"<\1tree", text)
        text = text.replace('<field name="view_mode">list,form</field>', '<field name="view_mode">tree,form</field>')
        text = text.replace('<field name="interval_type">days</field>',
                            '<field name="interval_type">days</field>\n        <field name="numbercall">-1</field>')
    return text


def build(version, out):
    """Write the module into the folder ``out``; gives its folder."""
    target = out / "towpath_outbox"
    if target.exists():
        shutil.rmtree(target)
    for path in sorted(SOURCE.rglob("*")):
        if path.is_dir() or "__pycache__" in path.parts or path.name == ".gitignore":
            continue
        to = target / path.relative_to(SOURCE)
        to.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".py", ".xml", ".csv", ".md", ".po", ".pot"):
            to.write_text(for_version(path, path.read_text("utf-8"), version), "utf-8")
        else:
            shutil.copyfile(path, to)
    return target


def main():
    parser = argparse.ArgumentParser(description="Makes towpath_outbox for one version of Odoo.")
    parser.add_argument("--version", type=int, required=True, choices=VERSIONS)
    parser.add_argument("--out", type=pathlib.Path, default=None, help="folder; default: build/VERSION")
    parser.add_argument("--zip", action="store_true", help="make towpath_outbox-VERSION.zip instead")
    args = parser.parse_args()
    out = args.out or pathlib.Path("build") / str(args.version)
    target = build(args.version, out)
    if args.zip:
        name = out / ("towpath_outbox-%d.zip" % args.version)
        with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(target.rglob("*")):
                if path.is_file():
                    # The same bytes from the same source, whenever it is made.
                    entry = zipfile.ZipInfo(str(path.relative_to(out)), (2026, 1, 1, 0, 0, 0))
                    archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
        shutil.rmtree(target)
        target = name
    print(target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
