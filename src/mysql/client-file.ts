/**
 * A file that a client sends because the server has asked for it: packets up to an empty one (MySQL internals, "LOCAL INFILE Request"). The
 * client listens again only when it has sent all of it, so what answers earlier is kept until then.
 */
export class ClientFile {
  #kept: (() => void)[] | undefined;

  /** Packets that come now are the file's. */
  get isComing(): boolean {
    return this.#kept !== undefined;
  }

  begin(): void {
    this.#kept = [];
  }

  /** False: there is nothing to wait for, and the answer can be given now. */
  keeps(answer: () => void): boolean {
    this.#kept?.push(answer);
    return this.#kept !== undefined;
  }

  /** The file has ended; gives the answers that were kept. */
  end(): void {
    const kept = this.#kept ?? [];
    this.#kept = undefined;
    for (const answer of kept) answer();
  }
}
