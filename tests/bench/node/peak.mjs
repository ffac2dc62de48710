/** Preloaded: writes the process's own peak of memory at its end, in KiB. What `wait4` tells counts its parent's, too. */

import { readFileSync } from 'node:fs';

process.on('exit', () => console.log(/^VmHWM:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]));
