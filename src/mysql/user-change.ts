import type { ClientIdentity } from '../proxy/frontend.js';
import type { Conversation } from './authenticator.js';
import type { FrontendOptions } from './frontend-options.js';

/** The way to a client that proves once more who it is. */
export interface ProvingClient {
  /** What is said next answers the packet that came last. */
  begin(): void;
  /** One payload, at once. */
  send(payload: Buffer): void;
  /** The proof's next packet can be taken. */
  read(): void;
  /** It takes too long. */
  giveUp(): void;
}

/** COM_CHANGE_USER on its way: until its end the client's packets belong to its proof. */
export class UserChange {
  readonly #client: ProvingClient;
  #take: ((payload: Buffer) => void) | undefined;

  constructor(client: ProvingClient) {
    this.#client = client;
  }

  /** A packet has been asked for. */
  get takesProof(): boolean {
    return this.#take !== undefined;
  }

  proofCame(payload: Buffer): void {
    const take = this.#take;
    this.#take = undefined;
    take?.(payload);
  }

  /** Who the client is from now on. Throws when it cannot prove it. */
  async prove(
    payload: Buffer,
    { reauthenticate, authTimeoutMs }: Pick<FrontendOptions, 'reauthenticate' | 'authTimeoutMs'>,
  ): Promise<ClientIdentity> {
    this.#client.begin();
    const conversation: Conversation = {
      send: (bytes) => this.#client.send(bytes),
      answer: () => this.#answer(),
    };
    const slow = setTimeout(() => this.#client.giveUp(), authTimeoutMs);
    try {
      return await reauthenticate(payload, conversation);
    } finally {
      clearTimeout(slow);
    }
  }

  #answer(): Promise<Buffer> {
    return new Promise((resolve) => {
      this.#take = (bytes) => {
        this.#client.begin();
        resolve(bytes);
      };
      this.#client.read();
    });
  }
}
