# SPDX-License-Identifier: MIT
"""fio writes with checksums on two leaves below a proxy, which is killed in the midst and stays away. The leaves know the root
from it, and go there: no error, nothing lost, only time."""
import time

from lab import check, main, need_fuse, need_program, run

LEASE = ("--hb-ttl", "2s")
PATIENCE = ("--io-timeout", "30s")
OFFSETS = {"one": "0", "two": "64M"}


def words(name, image, *more):
    """Some seconds of writes, many of them dirty in the leaf or in the proxy at any time."""
    return ["fio", f"--name={name}", f"--filename={image}", f"--offset={OFFSETS[name]}", "--size=40M", "--rate=,10m",
            "--ioengine=libaio", "--direct=1", "--rw=randwrite", "--bsrange=4k-64k", "--iodepth=8", "--fsync=100",
            "--end_fsync=1", "--verify=crc32c", "--verify_fatal=1", "--randseed=41", "--allow_file_create=0", *more]


def start(lab, leaf):
    with open(f"{leaf.name}.fio.log", "w") as log:
        return lab.popen(*words(leaf.name, leaf.image(), "--do_verify=1"), stdout=log, stderr=log)


def test(lab):
    need_fuse()
    need_program("fio")
    root = lab.root(*LEASE, size="128M")
    proxy = lab.proxy("proxy", *LEASE)
    leaves = [lab.leaf(name, *PATIENCE, parent="proxy") for name in OFFSETS]
    writers = {leaf.name: start(lab, leaf) for leaf in leaves}
    time.sleep(2)  # so that it is in the midst
    check(all(writer.poll() is None for writer in writers.values()), "fio was too fast")
    proxy.kill()
    for name, writer in writers.items():
        check(writer.wait(120) == 0, f"fio on {name} failed")
    for leaf in leaves:
        parent = leaf.volume()["parent"]
        check("root.sock" in parent["addr"] and parent["state"] == "connected", f"{leaf.name} has the parent", parent)
    for name in OFFSETS:
        for node in (root, *leaves):
            run(*words(name, node.image(), "--verify_only=1"))
    lab.stop_all()
    for name in OFFSETS:
        run(*words(name, "disk.img", "--verify_only=1"))


main(test)
