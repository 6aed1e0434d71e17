const NON_ASCII_SPACE = /[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/gu;
// An alternation, because a joiner inside a class could be read as part of the character before it.
const MAPPED_TO_NOTHING =
  /\u00ad|\u034f|\u1806|[\u180b-\u180d]|\u200b|\u200c|\u200d|\u2060|[\ufe00-\ufe0f]|\ufeff/gu;
const PROHIBITED = new RegExp(
  '[\\u0000-\\u001f\\u007f-\\u009f\\u0340\\u0341\\u06dd\\u070f\\u180e\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u2ff0-\\u2ffb' +
    '\\ud800-\\udfff\\ue000-\\uf8ff\\ufdd0-\\ufdef\\ufff9-\\uffff\\u{1d173}-\\u{1d17a}\\u{e0000}-\\u{e007f}\\u{f0000}-\\u{10ffff}]',
  'u',
);

/**
 * SASLprep (RFC 4013) as far as passwords need it. A password that SASLprep would refuse is used as it is, like the
 * server does (pg_saslprep in src/common/saslprep.c).
 */
export function saslprep(password: string): string {
  if (/^[\x20-\x7e]*$/.test(password)) return password;
  const prepared = password.replace(NON_ASCII_SPACE, ' ').replace(MAPPED_TO_NOTHING, '').normalize('NFKC');
  return prepared === '' || PROHIBITED.test(prepared) ? password : prepared;
}
