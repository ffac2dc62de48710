/** Preloaded: prints the process's peak memory in KiB at exit. `wait4` would include the peak of its parent. */

import { readFileSync } from 'node:fs';

process.on('exit', () => console.log(/^VmHWM:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]));
