# SPDX-License-Identifier: MIT
"""A proxy dies, and who is above it is stopped: it waits for what the proxy has, and that is what a leaf below has written. A root takes
it from the leaf, and is gone then. Above another proxy the leaf finds the root."""
import os
import signal

from lab import BLOCK, Opener, check, main, need_fuse, wait_readable


def tree(lab, name, *proxies):
    """A root, proxies one below the other, and a leaf. The nodes."""
    lab.create(f"{name}.img")
    nodes = [lab.serve(f"{name}-root", "--volume", f"v={name}.img", "--listen", f"unix:{name}-root.sock", "--hb-ttl", "4s", mount=False)]
    above = "root"
    for proxy in proxies:
        nodes.append(lab.serve(f"{name}-{proxy}", "--volume", "v", "--parent", f"unix:{name}-{above}.sock", "--listen",
                               f"unix:{name}-{proxy}.sock", "--hb-ttl", "4s", mount=False))
        above = proxy
    nodes.append(lab.serve(f"{name}-leaf", "--volume", "v", "--parent", f"unix:{name}-{above}.sock", "--writeback", "1h"))
    return nodes


def kill_below(node, proxy):
    proxy.kill()
    os.kill(node.pid, signal.SIGTERM)


def content(name):
    with open(f"{name}.img", "rb") as file:
        return file.read(BLOCK)


def test(lab):
    need_fuse()
    root, proxy, leaf = tree(lab, "one", "q")
    opener = Opener(lab, leaf.image())
    opener.write(0, b"x", BLOCK)
    check(content("one") != b"x" * BLOCK, "it is there already")
    kill_below(root, proxy)
    wait_readable(root.pidfd)
    check(content("one") == b"x" * BLOCK, "the root has left without what the leaf had written")
    opener.process.kill()

    root, above, proxy, leaf = tree(lab, "two", "p", "q")
    opener = Opener(lab, leaf.image())
    opener.write(0, b"y", BLOCK)
    kill_below(above, proxy)
    check(opener.do("os.fsync(fd)") == "ok", "a fsync fails")
    check(content("two") == b"y" * BLOCK, "a fsync has ended, and the root does not have what was written")
    opener.close()
    leaf.stop()
    root.stop()


main(test)
