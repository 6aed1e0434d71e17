/** Fetches a genuine MySQL for the tests unless it is there; returns why it could not be had, or undefined. */
export function bringGenuineMysql(): string | undefined;
/** The fetched server's command, to which options may be added, and the data folder to copy; undefined when it was not fetched. */
export function genuineMysql():
  | { readonly command: readonly [string, ...string[]]; readonly data: string }
  | undefined;
