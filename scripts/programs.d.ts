/** Programs by their names in PACKAGES; returns those that are missing still. Not given: those that the tests drive. */
export function bringPrograms(programs?: readonly string[]): string[];
export function howToInstall(missing: readonly string[], whoDrives?: string): string;
