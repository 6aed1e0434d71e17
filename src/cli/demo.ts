import { runDemo } from '../demo/demo.js';
import { Screen } from '../demo/screen.js';

/** `ringferry demo [--exit]`: returns the exit status. */
export async function demoCommand(options: { readonly exit: boolean }): Promise<number> {
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
  return runDemo({ exit: options.exit, screen: new Screen(process.stdout), interrupted });
}
