"""Makes a file every two milliseconds, named by the instant, until the file `stop` is there. Says `began` after the first."""

import os
import sys
import time

folder, stop = sys.argv[1:3]
began = False
while not os.path.exists(stop):
    instant = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    os.close(os.open(os.path.join(folder, str(instant)), os.O_CREAT | os.O_WRONLY, 0o600))
    if not began:
        print("began", flush=True)
        began = True
    time.sleep(0.002)
