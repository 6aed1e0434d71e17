import { randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { OperatingError } from '../lib/errors.js';
import {
  CACHING_SHA2,
  cachingSha2Answer,
  ED25519,
  ED25519_CHALLENGE_BYTES,
  isSameAnswer,
  makeChallenge,
  NATIVE,
  nativeAnswer,
  SHA2,
} from './auth-plugins.js';
import { isSignedBy, publicKeyOf } from './ed25519.js';
import { type ClientLogin, encodeAuthMoreData, encodeAuthSwitchRequest } from './handshake.js';

/** How one user proves who it is. */
export interface LoginRule {
  /** `scram` and `md5` are names of Postgres' ways; here both mean: with the password, by the plugin that the client has. */
  readonly auth: 'scram' | 'md5' | 'trust';
  readonly password: string | undefined;
  /** A SCRAM-SHA-256 verifier, of which no plugin of MySQL can make use. */
  readonly scram: string | undefined;
  /** The password goes into the client's identity, so that backends can be opened with it. */
  readonly passOn?: boolean;
  /** Told only to a client that has proven who it is, e.g. an unknown database. */
  readonly refusal?: OperatingError | undefined;
}

/** The way to the client while it proves itself: payloads without headers. */
export interface Conversation {
  send(payload: Buffer): void;
  answer(): Promise<Buffer>;
}

/** One attempt to log in. */
export interface Attempt {
  readonly login: Pick<ClientLogin, 'user' | 'plugin' | 'answer'>;
  /** That `answer` belongs to; undefined: none, the client is asked anew. */
  readonly challenge: Buffer | undefined;
  /** As errors name it. */
  readonly host: string;
}

const CACHED_KEYS = 1000;

/**
 * Lets clients prove who they are, each by the plugin that it says it has. A user that does not exist goes through the same exchange and
 * fails like a wrong password does.
 */
export class Authenticator {
  readonly #nobodysPassword = randomBytes(24).toString('hex');
  readonly #publicKeys = new LRUCache<string, ReturnType<typeof publicKeyOf>>({ max: CACHED_KEYS });

  /** Resolves when the user has proven itself; throws `authentication-failed` or `protocol-violation`. */
  async authenticate(client: Conversation, attempt: Attempt, rule: LoginRule | undefined): Promise<void> {
    const { user } = attempt.login;
    const isTrusted = rule?.auth === 'trust';
    if (!isTrusted && rule?.password === undefined && rule?.scram !== undefined) throw onlyScram(user);
    const { plugin, answer, challenge } = await answerOf(client, attempt);
    const hasPassword = rule?.password !== undefined && rule.password !== '';
    const password = hasPassword ? rule.password : this.#nobodysPassword;
    const isRight = isTrusted || this.#isRight(plugin, answer, challenge, password);
    if (!isRight) {
      const using = answer.length > 1 ? 'YES' : 'NO';
      throw new OperatingError(
        'authentication-failed',
        `Access denied for user '${user}'@'${attempt.host}' (using password: ${using})`,
      );
    }
    // Who has answered by this plugin waits for the word that no more is needed.
    if (plugin === CACHING_SHA2 && answer.length > 1) client.send(encodeAuthMoreData(Buffer.of(SHA2.fastOk)));
  }

  #isRight(plugin: string, answer: Buffer, challenge: Buffer, password: string): boolean {
    if (plugin === NATIVE) return isSameAnswer(answer, nativeAnswer(password, challenge));
    if (plugin === CACHING_SHA2) return isSameAnswer(answer, cachingSha2Answer(password, challenge));
    return isSignedBy(this.#publicKeyOf(password), challenge, answer);
  }

  #publicKeyOf(password: string): ReturnType<typeof publicKeyOf> {
    let key = this.#publicKeys.get(password);
    if (key === undefined) {
      key = publicKeyOf(password);
      this.#publicKeys.set(password, key);
    }
    return key;
  }
}

/** What the client says to a challenge of ours: in its first packet, or when it is asked by a plugin that both have. */
async function answerOf(
  client: Conversation,
  { login, challenge }: Attempt,
): Promise<{ plugin: string; answer: Buffer; challenge: Buffer }> {
  const { answer } = login;
  const plugin = login.plugin === '' ? NATIVE : login.plugin;
  // The greeting's challenge was for the native plugin; a client that prefers another may have left it without an answer.
  const isAnswered = plugin === NATIVE || (plugin === CACHING_SHA2 && answer.length > 1);
  if (challenge !== undefined && isAnswered) return { plugin, answer, challenge };
  const asked = plugin === CACHING_SHA2 || plugin === ED25519 ? plugin : NATIVE;
  const another = makeChallenge(asked === ED25519 ? ED25519_CHALLENGE_BYTES : undefined);
  client.send(encodeAuthSwitchRequest({ plugin: asked, challenge: another }));
  return { plugin: asked, answer: await client.answer(), challenge: another };
}

function onlyScram(user: string): OperatingError {
  return new OperatingError(
    'authorization-failed',
    `user '${user}' has only a SCRAM verifier, which no plugin of MySQL can check`,
    { hint: 'Give the user a password in the configuration.' },
  );
}
