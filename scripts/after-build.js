// After tsc: what it does not do. The command may be run, and the dashboard lies beside the code that serves it.
import { chmodSync, copyFileSync } from 'node:fs';

const root = new URL('..', import.meta.url);
chmodSync(new URL('dist/cli/main.js', root), 0o755);
copyFileSync(new URL('src/admin/dashboard.html', root), new URL('dist/admin/dashboard.html', root));
