# SPDX-License-Identifier: MIT
"""The root is killed and comes back, faster and slower than the lease, with writers below it: one next to it, two below a
proxy. They live, so they lose nothing and get no error; they wait."""
import time

from history import History, Workload
from lab import check, main, need_fuse

LEASE = 2


def test(lab):
    need_fuse()
    flags = ("--hb-ttl", f"{LEASE}s")

    def start():
        return lab.serve("root", "--volume", "v=disk.img", "--listen", "unix:root.sock", *flags)

    lab.create()
    root = start()
    proxy = lab.proxy("proxy", *flags)
    leaves = [lab.leaf("near"), lab.leaf("far", parent="proxy"), lab.leaf("farther", parent="proxy")]
    history = History(bound=30, inner=("root", "proxy"))
    workload = Workload(lab, history, leaves)
    workload.up(root)
    workload.up(proxy)
    for away in (0, 0.3 * LEASE, 1.5 * LEASE, 0):
        workload.go()
        time.sleep(2)
        workload.kill(root)
        time.sleep(away)
        root = start()
        workload.up(root)
        time.sleep(2 * LEASE)
        workload.rest([proxy, root])
        count = len(history.ops)
        wrong = history.check()
        check(not wrong, f"away for {away} s:", *wrong[:3])
        print(f"away for {away:.1f} s: {count} operations, the slowest write took {history.slowest['w'] / 1e9:.2f} s")
    lab.stop_all()
    workload.check_disk()


main(test)
