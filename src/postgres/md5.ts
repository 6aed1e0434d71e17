import { createHash } from 'node:crypto';

/** The answer to AuthenticationMD5Password: `md5` + md5(md5(password + user) + salt) (PostgreSQL manual 55.2.1). */
export function md5Answer(user: string, password: string, salt: Buffer): string {
  return `md5${md5(Buffer.concat([Buffer.from(md5(password + user)), salt]))}`;
}

function md5(bytes: string | Buffer): string {
  return createHash('md5').update(bytes).digest('hex');
}
