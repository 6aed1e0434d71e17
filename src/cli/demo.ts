import { runDemo } from '../demo/demo.js';
import { engineNamed } from '../demo/engines.js';
import { Screen } from '../demo/screen.js';
import { OperatingError } from '../lib/errors.js';

/** As in the configuration, which is checked when the proxy starts. */
function workerSetting(text: string): number | 'auto' {
  if (text === 'auto') return 'auto';
  if (/^[1-9]\d?$/.test(text)) return Number(text);
  throw new OperatingError('invalid-parameter', `--workers ${text} is not known`, {
    hint: 'Write a number, e.g. --workers 2, or auto.',
  });
}

/** `ringferry demo [--engine …] [--exit] [--workers …]`: returns the exit status. */
export async function demoCommand(options: {
  readonly exit: boolean;
  readonly engine: string;
  readonly workers: string;
}): Promise<number> {
  const engine = engineNamed(options.engine);
  const interrupted = new Promise<void>((resolve) => {
    let isAsked = false;
    const onSignal = () => {
      // A second Ctrl-C does not wait; child processes are guarded and end with us.
      if (isAsked) process.exit(130);
      isAsked = true;
      resolve();
    };
    process.on('SIGINT', onSignal);
    process.on('SIGTERM', onSignal);
  });
  return runDemo({
    engine,
    workers: workerSetting(options.workers),
    exit: options.exit,
    screen: new Screen(process.stdout),
    interrupted,
  });
}
