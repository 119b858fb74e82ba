# SPDX-License-Identifier: MIT
"""fio writes with checksums on one leaf, and finds them on another, at the root, and on the root's disk."""
from lab import main, need_fuse, need_program, run

JOBS = {
    "random": ["--rw=randwrite", "--bs=4k", "--offset=0", "--size=24M", "--iodepth=16"],
    "sequential": ["--rw=write", "--bs=1m", "--offset=32M", "--size=64M", "--iodepth=4"],
    "unaligned": ["--rw=randwrite", "--bsrange=512-64k", "--blockalign=512", "--offset=128M", "--size=16M", "--iodepth=8"],
}


def fio(name, image, *more):
    run("fio", f"--name={name}", f"--filename={image}", "--ioengine=libaio", "--direct=1", "--verify=crc32c", "--verify_fatal=1",
        "--randseed=17", "--allow_file_create=0", *JOBS[name], *more)


def test(lab):
    need_fuse()
    need_program("fio")
    root = lab.root(size="256M")
    lab.proxy("proxy")
    one, two = lab.leaf("one", parent="proxy"), lab.leaf("two", parent="proxy")
    for name in JOBS:
        fio(name, one.image(), "--do_verify=1")
    for node in (two, root):
        for name in JOBS:
            fio(name, node.image(), "--verify_only=1")
    lab.stop_all()
    for name in JOBS:
        fio(name, "disk.img", "--verify_only=1")


main(test)
