import { OperatingError } from '../lib/errors.js';
import { Decompressor } from './compression.js';
import { PacketFramer } from './packets.js';

/** Finds a client's packets in its bytes, which may be compressed. */
export class ClientPackets {
  readonly #framer: PacketFramer;
  readonly #decompressor: Decompressor | undefined;

  /** `maxBytes`: longest packet. */
  constructor(maxBytes: number, isCompressed: boolean) {
    this.#framer = new PacketFramer(maxBytes);
    this.#decompressor = isCompressed ? new Decompressor(maxBytes) : undefined;
  }

  push(chunk: Buffer): void {
    (this.#decompressor ?? this.#framer).push(chunk);
  }

  /**
   * The next packet, whole, with its headers. `isCommand`: it begins a command, so its number must be 0 (compressed packets have numbers of
   * their own). Throws `protocol-violation` and `limit-exceeded`.
   */
  next(isCommand: boolean): Buffer | undefined {
    if (!this.#found()) return undefined;
    const { buffer, start, end, sequence } = this.#framer;
    if (isCommand && sequence !== 0 && this.#decompressor === undefined) {
      throw new OperatingError('protocol-violation', 'Got packets out of order');
    }
    return buffer.subarray(start, end);
  }

  /** Number of the last header of the packet that was found last. */
  get sequence(): number {
    return this.#framer.lastSequence;
  }

  get compressedSequence(): number {
    return this.#decompressor?.sequence ?? 0;
  }

  #found(): boolean {
    for (;;) {
      if (this.#framer.next()) return true;
      const plain = this.#decompressor?.next();
      if (plain === undefined) return false;
      this.#framer.push(plain);
    }
  }
}
